"""Reads W&B runs back into records: from the record that each run carries, and from nothing else.

What is read comes from strangers. Its size is bounded, and it is parsed as a record and as nothing else. The place
where it is written follows from the record, never from a name in W&B.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit
from urllib.request import urlopen

from lifelong.errors import UsageError
from lifelong.records.bounds import MAX_RECORD_BYTES, plain
from lifelong.records.merge import TOLD, MergeOutcome, add, conflict, told
from lifelong.records.record import Record, parse, read
from lifelong.records.store import Store
from lifelong.reporting.wandb.access import NO_KEY, has_credentials, reason
from lifelong.reporting.wandb.record import ARTIFACT_FILE, ARTIFACT_TYPE, TIMEOUT_S, run_id

if TYPE_CHECKING:
    from wandb.apis.public import File, Run


class Pulled(NamedTuple):
    """What became of one run."""

    run: str
    outcome: MergeOutcome | Literal["without a record"]
    reason: str = ""

    @property
    def told(self) -> str:
        """What a person should know, in a sentence; empty where all is as one expects."""
        own = {"damaged": "carries no record that can be read", "without a record": "carries no record"}
        return told(self.run, self.outcome, self.reason, {**TOLD, **own})


def pull(entity: str, project: str, out: Path, *, timeout_s: float = TIMEOUT_S) -> Iterator[Pulled]:
    """Write the records of a project's runs, the oldest run first, and yield what became of each.

    Args:
        entity, project: whose runs they are.
        out: the folder to write to: `--out` of `lifelong run`.
        timeout_s: how long an answer may take, in whole seconds.

    Raises:
        UsageError: if there is no API key or no such project, or once the server cannot be reached; what came before
            that stays.
    """
    if not has_credentials():
        raise UsageError(f"W&B: {NO_KEY}")
    import wandb

    try:
        for run in wandb.Api(timeout=int(timeout_s)).runs(f"{entity}/{project}"):
            yield _pulled(run, out, timeout_s)
    except Exception as error:  # wandb's errors have no base class in common
        raise UsageError(f"W&B: {entity}/{project}: {plain(reason(error))}") from error


def _pulled(run: Run, out: Path, timeout_s: float) -> Pulled:
    name = plain(f"{run.name} ({run.id})")
    try:
        content = _carried(run, timeout_s)
        return Pulled(name, "without a record") if content is None else _added(name, parse(content), out)
    except (OSError, ValueError, HTTPException) as error:
        return Pulled(name, "damaged", plain(reason(error)))


def _carried(run: Run, timeout_s: float) -> bytes | None:
    """The record that a run carries; of several that were sent, the last; None where there is none."""
    carried = [one for one in run.logged_artifacts() if one.type == ARTIFACT_TYPE and one.state == "COMMITTED"]
    if not carried:
        return None
    newest = max(carried, key=lambda artifact: artifact.created_at)
    file = next(iter(newest.files(names=[ARTIFACT_FILE])), None)
    return None if file is None or file.name != ARTIFACT_FILE else _download(file, timeout_s)


def _download(file: File, timeout_s: float) -> bytes:
    """Fetch what W&B has stored. A reference to some other place is not followed.

    Raises:
        ValueError: if it is such a reference, or larger than a record may be.
        OSError: if it cannot be fetched.
        HTTPException: if the answer is no HTTP.
    """
    url = file.direct_url
    if url == file.url or urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("a reference to another place")
    limit = MAX_RECORD_BYTES
    content = b""
    if file.size <= limit:
        with urlopen(url, timeout=timeout_s) as response:
            content = response.read(limit + 1)
    if max(file.size, len(content)) > limit:
        raise ValueError(f"larger than {limit / 2**20:.0f} MiB")
    return content


def pull_offline(folder: Path, out: Path) -> Iterator[Pulled]:
    """Write the records that offline runs have left in a folder, and yield what became of each.

    Args:
        folder: holds wandb's own `wandb` folder, or is one.
        out: the folder to write to.

    Raises:
        UsageError: if there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"no folder {str(folder)!r}")
    without = {file.stem.removeprefix("run-") for file in folder.rglob("run-*.wandb")}
    for path in sorted(folder.rglob("artifacts/staging/*")):
        try:
            record = read(path)
        except (OSError, ValueError):  # tables lie in the same place, under names that do not tell them from records
            continue
        run = run_id(record)
        without.discard(run)
        yield _added(run, record, out)
    for run in sorted(without):
        yield Pulled(plain(run), "without a record")


def _added(run: str, record: Record, out: Path) -> Pulled:
    store = Store(out, record.board)
    outcome = add(record, store)
    kept = conflict(store.path(record.spec), record) if outcome == "conflict" else ""
    return Pulled(run, outcome, str(kept))
