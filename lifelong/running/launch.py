"""Carry out what a plan misses: checked beforehand, shown while it runs, logged to W&B, and stopped without loss."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lifelong.boards.plan import Cell, Plan
from lifelong.contracts import Context
from lifelong.errors import UsageError
from lifelong.records.record import Record
from lifelong.records.store import Store, set_aside
from lifelong.running.scheduler import Advanced, Finished, refuse_what_cannot_be_built, run_all
from lifelong.training.job import Job


@dataclass(frozen=True)
class Options:
    """How to run, as far as it does not change the result."""

    workers: int | None = None
    timeout_s: float | None = None
    checkpoint_s: float = 60.0
    data: Path | None = None
    device: str = "auto"
    wandb: Literal["offline", "online", "off"] = "offline"
    retry_failed: bool = False
    limit: int | None = None


def make_jobs(plan: Plan, store: Store, options: Options) -> list[Job]:
    """The runs that a plan misses, first seeds first, so that an early stop leaves whole tables.

    Raises:
        UsageError: if the device, the data or the output folder cannot be used; nothing has been run by then.
    """
    cells = sorted(plan.to_run(options.retry_failed), key=lambda cell: cell.seed)[: options.limit]
    if not cells:
        return []
    device = resolve_device(options.device)
    _check_data(cells, options.data)
    store.check_writable()
    data = options.data.expanduser().resolve() if options.data is not None else None
    return [
        Job(
            cell.spec,
            plan.board.name,
            *cell.references,
            store.out.resolve(),
            data,
            device,
            options.checkpoint_s,
            cell.tuned,
        )
        for cell in cells
        if cell.spec is not None
    ]


def rescue(plan: Plan) -> list[str]:
    """Set aside the files that are in a record's place and are none; what was done, one sentence each."""
    said = []
    for path, why in plan.damaged.items():
        with suppress(FileNotFoundError):  # another process was faster
            said.append(f"{path} is no record ({why}); set aside as {set_aside(path).name}")
    return said


def run(jobs: Sequence[Job], options: Options, tell: Callable[[Advanced | Finished], None]) -> list[Record]:
    """Carry out jobs, telling what happens; their records.

    Raises:
        UsageError: if one of them cannot even be built; nothing has been trained by then.
    """
    refuse_what_cannot_be_built(jobs, options.timeout_s)
    records = []
    with closing(run_all(jobs, worker_count(options.workers, len(jobs)), options.timeout_s)) as events:
        for event in events:
            if isinstance(event, Finished):
                records.append(event.record)
            tell(event)
    return records


def worker_count(asked: int | None, jobs: int) -> int:
    """As many processes as asked for, else one for each core; never more than there are jobs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(asked or cores, jobs))


def _check_data(cells: Sequence[Cell], data: Path | None) -> None:
    """See that each data set is there, or fetch it, once and before any run."""
    scenarios = {cell.scenario.name: cell.scenario for cell in cells}
    for scenario in scenarios.values():
        if scenario.check is not None:
            scenario.check(Context(data=data))


def resolve_device(device: str) -> str:
    """`cpu` or `cuda:N`; `auto` takes the first CUDA device where there is one.

    Raises:
        UsageError: if there is no such device.
    """
    if device == "cpu" or (device == "auto" and not _may_have_cuda()):
        return "cpu"
    # whether the fork server's children may still use CUDA depends on asking the driver library, not the runtime
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    count = torch.cuda.device_count()
    known = ["auto", "cpu", *(f"cuda:{index}" for index in range(count))]
    if device == "auto":
        return "cuda:0" if count else "cpu"
    resolved = "cuda:0" if device == "cuda" and count else device
    if resolved not in known:
        raise UsageError(f"no device {device!r} here; there is {', '.join(known)}")
    return resolved


def _may_have_cuda() -> bool:
    return Path("/dev/nvidiactl").exists() or Path("/proc/driver/nvidia").exists() or os.name == "nt"
