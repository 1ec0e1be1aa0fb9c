"""Carry out the runs that a plan lacks, after checking that each can be built."""

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
    """How to run, in all that does not change the result.

    Attributes:
        workers: the number of processes; None for one on each core.
        timeout_s: the seconds after which a run is killed; None for never.
        checkpoint_s: how many seconds of work a kill may cost, besides the experience in training.
        data: the folder of data sets; None for the default one.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        wandb: whether runs are logged to W&B, and whether they are sent there at once.
        retry_failed: whether failed runs are carried out again.
        limit: the largest number of runs to carry out now; None for all.
        keep_networks: whether the network of each run is stored beside its record.
    """

    workers: int | None = None
    timeout_s: float | None = None
    checkpoint_s: float = 60.0
    data: Path | None = None
    device: str = "auto"
    wandb: Literal["offline", "online", "off"] = "offline"
    retry_failed: bool = False
    limit: int | None = None
    keep_networks: bool = False


def make_jobs(plan: Plan, store: Store, options: Options) -> list[Job]:
    """Return the runs that a plan lacks, those of the first seed first, so that an early stop leaves whole tables.

    Raises:
        UsageError: if the device or the output folder cannot be used.
        DataError: if a data set cannot be read or downloaded.
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
            scenario,
            strategy,
            store.out.resolve(),
            data,
            device,
            options.checkpoint_s,
            cell.tuned,
            model,
            options.keep_networks,
        )
        for cell in cells
        if cell.spec is not None
        for scenario, strategy, model in [cell.references]
    ]


def rescue(plan: Plan) -> list[str]:
    """Rename the files that are in a record's place and are no record; return one sentence on each."""
    sentences = []
    for path, why in plan.damaged.items():
        with suppress(FileNotFoundError):  # another process was faster
            sentences.append(f"{path} is no record ({why}); set aside as {set_aside(path).name}")
    return sentences


def run(jobs: Sequence[Job], options: Options, tell: Callable[[Advanced | Finished], None]) -> list[Record]:
    """Carry out jobs.

    Args:
        jobs: the jobs, in order.
        options: how many processes to use, and when to kill a run.
        tell: a function that is called with everything that happens.

    Returns:
        The jobs' records, in the order in which they finished.

    Raises:
        UsageError: if one of them cannot be built; nothing has been trained by then.
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
    """Return how many processes to use: as many as asked for, or one for each core; at most one for each job."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(asked or cores, jobs))


def _check_data(cells: Sequence[Cell], data: Path | None) -> None:
    """Check that each data set is there, or fetch it, once and before any run."""
    scenarios = {cell.scenario.name: cell.scenario for cell in cells}
    for scenario in scenarios.values():
        if scenario.check is not None:
            scenario.check(Context(data=data))


def resolve_device(device: str) -> str:
    """Return the full name of a device: `cpu` or `cuda:N`.

    Args:
        device: `cpu`, `cuda:N`, `cuda` for the first CUDA device, or `auto` for the first CUDA device where there is
            one, and else `cpu`.

    Raises:
        UsageError: if there is no such device.
    """
    if device == "cpu" or (device == "auto" and not _may_have_cuda()):
        return "cpu"
    # the fork server's children can use CUDA only if the devices are counted by the driver library, not the runtime
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
