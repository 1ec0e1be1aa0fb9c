"""Remembers what has been sent to W&B: a line of JSON for each finished upload, so that none is made twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from lifelong.records.bounds import read_bytes
from lifelong.records.record import Record
from lifelong.records.spec import Strict
from lifelong.reporting.wandb.record import PROJECT, Mode, run_id
from lifelong.reporting.wandb.view import VERSION


class Target(Strict):
    """Where runs go. Offline runs have no host: `wandb sync` chooses it."""

    mode: Mode
    project: str = PROJECT
    entity: str = ""
    """The user or the team; whoever is logged in where it is empty."""
    host: str = ""

    @classmethod
    def of(cls, mode: Mode, project: str = PROJECT, entity: str | None = None) -> Target:
        """Make a target, with what wandb's own settings say of the host and the entity."""
        import wandb

        settings = wandb.setup().settings
        host = settings.base_url if mode == "online" else ""
        return cls(mode=mode, project=project, entity=entity or settings.entity or "", host=host)


class Sent(Strict):
    """One finished upload. W&B shows the last one of a run."""

    target: Target
    run: str
    record_sha256: str
    view: int


class Ledger:
    """The uploads to one target, which the file `wandb/pushed.jsonl` of a folder lists."""

    def __init__(self, directory: Path, target: Target) -> None:
        self.target = target
        self._file = directory / "wandb" / "pushed.jsonl"
        self._sent = {sent.run: sent for sent in self._read() if sent.target == target}

    def __contains__(self, record: Record) -> bool:
        return self._sent.get(run_id(record)) == self._entry(record)

    def add(self, record: Record) -> None:
        """Note that the upload of a record is finished."""
        sent = self._entry(record)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as file:
            file.write(sent.model_dump_json().encode() + b"\n")
        self._sent[sent.run] = sent

    def _entry(self, record: Record) -> Sent:
        digest = hashlib.sha256(record.to_json().encode()).hexdigest()
        return Sent(target=self.target, run=run_id(record), record_sha256=digest, view=VERSION)

    def _read(self) -> list[Sent]:
        """The uploads that can be read; one whose line is damaged counts as unfinished."""
        try:
            lines = read_bytes(self._file).splitlines()
        except (OSError, ValueError):
            return []
        uploads = []
        for line in lines:
            try:
                uploads.append(Sent.model_validate_json(line))
            except ValidationError:
                continue
        return uploads
