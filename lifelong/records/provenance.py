"""Where a record comes from: versions, the package's own commit, the machine."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lifelong
from lifelong.records.entries import Provenance, Tuned

_LIBRARIES = ("lifelong", "avalanche-lib", "torch", "torchvision", "numpy", "scikit-learn")


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that the results depend on."""
    versions = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "absent"
    return versions


@cache
def commit() -> str | None:
    """Return the commit of the package's own checkout, never that of the folder that the user happens to be in."""
    package = Path(lifelong.__file__).parent
    if not (package.parent / ".git").exists():
        return None
    try:
        git = ["git", "-C", str(package.parent)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
        dirty = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "*.py"], capture_output=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip() + ("-dirty" if dirty.returncode else "")


@cache
def cpu() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def provenance(
    device: str, threads: int = 1, data_sha256: str | None = None, resumed: int = 0, tuned: Tuned | None = None
) -> Provenance:
    """Return the provenance of a run that starts now on this machine.

    Args:
        device: where the network is.
        threads: how many threads torch uses.
        data_sha256: the hash of the scenario's data; None where there is none.
        resumed: how often the run went on from a checkpoint.
        tuned: the study that chose the strategy's parameters, if there is one.
    """
    return Provenance(
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        commit=commit(),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        cpu=cpu(),
        device=device,
        threads=threads,
        data_sha256=data_sha256,
        resumed=resumed,
        tuned=tuned,
    )


def peak_memory_mb() -> float:
    """Return the largest resident set of this process so far, in megabytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
