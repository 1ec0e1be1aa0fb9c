"""Logs a record as a run in Weights & Biases: a view of the record, never its store.

wandb is imported inside the functions, so that a command that does not log does not pay for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lifelong.records.record import Record
from lifelong.reporting.wandb import view

if TYPE_CHECKING:
    import wandb

Mode = Literal["offline", "online"]
PROJECT = "lifelong"
TIMEOUT_S = 20.0
"""Seconds that a run may wait for the server when it starts, and again when it ends."""
ARTIFACT_TYPE = "record"
ARTIFACT_FILE = "record.json"


def log_record(
    record: Record,
    *,
    mode: Mode,
    directory: Path,
    project: str = PROJECT,
    entity: str | None = None,
    protocol: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> str:
    """Create one W&B run from a record; the same record always gets the same id, so a second upload replaces the first.

    Args:
        record: of any status; one that is not ok ends as a failed run, with its error.
        mode: `offline` writes files that `wandb sync` uploads; `online` uploads at once.
        directory: holds wandb's own `wandb` folder.
        project: the W&B project.
        entity: the user or the team whose project it is; by default whoever is logged in.
        protocol: the scenario's, which becomes a part of the configuration and a tag.
        timeout_s: the most seconds that the start of an online run may take, and its end.

    Returns:
        The run's address, or its folder where it is offline.

    Raises:
        wandb.errors.Error: if the server cannot be reached, or does not accept the run.
        TimeoutError: if it takes longer.
    """
    import wandb

    directory.mkdir(parents=True, exist_ok=True)
    start = partial(wandb.init, mode=mode, dir=directory, project=project, entity=entity)
    with _staged_in(directory):
        run = start(settings=_settings(timeout_s), config=view.config(record, protocol), **_labels(record, protocol))
        exit_code = 1
        try:
            _fill(run, record)
            exit_code = 0 if record.ok else 1
        finally:
            run.finish(exit_code=exit_code)
    return (run.url if mode == "online" else None) or str(Path(run.dir).parent)


@contextlib.contextmanager
def _staged_in(directory: Path) -> Iterator[None]:
    """Let wandb keep what it will upload beside its runs; by default that lies in the home folder."""
    name = "WANDB_DATA_DIR"
    if name in os.environ:
        yield
        return
    os.environ[name] = str(directory.absolute() / "wandb")
    try:
        yield
    finally:
        del os.environ[name]


def _settings(timeout_s: float) -> wandb.Settings:
    """Settings that log nothing but the record: no console, code, git, packages or statistics of this process."""
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        init_timeout=timeout_s,
        finish_timeout=timeout_s,
        finish_timeout_raises=True,
    )


def run_id(record: Record) -> str:
    """Return the id of the W&B run, 16 hex digits. A specification has one for each board that it stands on."""
    return hashlib.sha256(f"{record.board}/{record.key}".encode()).hexdigest()[:16]


def _labels(record: Record, protocol: str | None) -> dict[str, Any]:
    """How W&B names and groups the run, as arguments of `wandb.init`."""
    spec = record.spec
    tags = [record.board, spec.scenario.name, spec.strategy.name, record.status, protocol or ""]
    return {
        "id": run_id(record),
        "name": f"{spec.strategy.name} · {spec.scenario.name} · s{spec.seed}"[:128],
        "group": f"{record.board}/{spec.scenario.name}/{spec.strategy.name}"[:128],
        "job_type": "run",
        "reinit": "create_new",
        "save_code": False,
        "tags": [tag[:64] for tag in dict.fromkeys(tags) if tag],
    }


def _fill(run: wandb.Run, record: Record) -> None:
    """Log a record: the rows of its history, its tables and its summary, and the record itself as an artifact."""
    import wandb

    run.define_metric("experience", hidden=True)
    for group in view.GROUPS:
        run.define_metric(f"{group}/*", step_metric="experience")
    for i, row in enumerate(view.history(record)):
        run.log(row, step=i)
    for name, (columns, rows) in view.tables(record).items():
        run.summary[name] = wandb.Table(columns=[*columns], data=rows)
    run.summary.update(view.summary(record))
    _carry(run, record)


def _carry(run: wandb.Run, record: Record) -> None:
    """Let a run carry its record, from which `pull` reads it back."""
    import wandb

    artifact = wandb.Artifact(f"record-{run_id(record)}", type=ARTIFACT_TYPE)
    with artifact.new_file(ARTIFACT_FILE, encoding="utf-8") as file:
        file.write(record.to_json())
    run.log_artifact(artifact)
