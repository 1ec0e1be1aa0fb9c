"""Whatever a strategy does to its process, its run ends as a record, and the others go on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MINE = """
import ctypes, os, time

from lifelong import strategy


@strategy()
def good(setup, share: float = 0.1):
    return setup.naive()

def raises(setup):
    raise KeyError("[bold]a \\x1b[31mkey\\nand more")

def no_text(setup):
    raise ValueError("half a pair: \\udcff")

def nothing(setup):
    return None

def segfault(setup):
    print("the last words")
    ctypes.string_at(0)

def aborts(setup):
    os.abort()

def leaves(setup):
    os._exit(0)

def memory(setup):
    raise MemoryError("too much")

def sleeps(setup):
    time.sleep(1000)

def sleeps_too(setup):
    time.sleep(1000)

class Heavy:
    def __reduce__(self):
        raise TypeError("not to be pickled")

def unpicklable(setup):
    strategy = setup.naive()
    strategy.heavy = Heavy()
    return strategy
"""
EXPECTED = {
    "raises": ("failed", "KeyError: '[bold]a \\x1b[31mkey\\nand more'"),
    "no_text": ("failed", "ValueError: half a pair: \\udcff"),
    "nothing": ("failed", "nothing returned NoneType, not an Avalanche SupervisedTemplate"),
    "segfault": ("failed", "killed by SIGSEGV"),
    "aborts": ("failed", "killed by SIGABRT"),
    "leaves": ("failed", "the process left with exit code 0 and no record"),
    "memory": ("out of memory", "MemoryError: too much"),
}
SLEEPING = dict.fromkeys(("sleeps", "sleeps_too"), ("timeout", "killed when its time was up"))
FINE = ["naive", "joint", "good", "unpicklable"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_ends_badly_is_a_row_and_the_rest_goes_on(ask: Any, command: Any) -> None:
    (command.folder / "mine.py").write_text(MINE, encoding="utf-8")
    expected = EXPECTED | SLEEPING
    chosen = [f"--strategy=mine.py:{name}" for name in (*EXPECTED, "good", "unpicklable")]
    sleeping = [f"--strategy=mine.py:{name}" for name in SLEEPING]
    common = ["toy-v1", *chosen, *sleeping, "--seeds", "0"]
    options = ["--checkpoint-every", "0s"]
    first = command("run", "toy-v1", *chosen, "--seeds", "0", *options)
    assert first.code == 1
    assert "Traceback" not in first.err

    # those that sleep have a command of their own, so that nothing else can be too slow for the time that they get
    second = ask("run", "toy-v1", *sleeping, "--seeds", "0", *options, "--timeout", "1s", "--workers", "1")
    assert second.code == 1
    assert "Traceback" not in second.err

    records = command.records()
    assert sorted(records) == sorted(f"{name} 0" for name in (*expected, *FINE))
    for name, (status, reason) in expected.items():
        record = records[f"{name} 0"]
        assert record.status == status
        assert reason in record.reason
        said = second.err if name in SLEEPING else first.err
        assert f"· {name} · seed 0: {status}: {record.reason}" in said
    assert "mine.py" in (records["raises 0"].error or "")  # the traceback
    assert "the last words" in (records["segfault 0"].error or "")
    assert "in segfault" in (records["segfault 0"].error or "")  # the stack of a crash
    assert records["unpicklable 0"].accuracy == records["good 0"].accuracy == records["naive 0"].accuracy
    log = next((command.folder / "results/toy-v1/.logs").glob(f"{records['unpicklable 0'].key[:16]}*"))
    assert "not to be pickled" in log.read_text()

    # done and failed cells stay as they are
    before = snapshot(command.folder / "results/toy-v1/toy")
    again = ask("run", *common, *options)
    assert again.code == 1
    assert "nothing to run: 4 of 13 cells done, 9 failed, 0 missing" in again.err
    assert snapshot(command.folder / "results/toy-v1/toy") == before

    # a failed record stays until it is replaced, even where the process leaves nothing
    more = ask("run", "toy-v1", *chosen, *sleeping, "--seeds", "0-1", *options, "--retry-failed", "--limit", "5")
    assert more.code == 1
    assert "5 to run" in more.err
    after = snapshot(command.folder / "results/toy-v1/toy")
    assert set(before) == set(after)
    changed = {path.parent.name for path in before if after[path] != before[path]}
    assert len(changed) == 5
    assert changed <= set(expected)

    status = ask("status", *common)
    assert status.code == 0
    assert "4 of 13 cells done, 9 failed, 0 missing" in status.out
    assert f"toy · memory · seed 0: out of memory: {records['memory 0'].reason}" in status.out
    table = json.loads(ask("board", *common, "--format", "json").out)["tables"][0]
    assert {row["strategy"]: row["failures"] for row in table["rows"]} == {
        **dict.fromkeys(FINE, 0),
        **dict.fromkeys(expected, 1),
    }


def snapshot(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*.json")}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_same_command_twice_at_once_in_odd_folders(command: Any) -> None:
    folder = command.folder / "a b/größe"
    folder.mkdir(parents=True)
    (folder / "my methods.py").write_text(MINE, encoding="utf-8")
    (folder / "mein brett.toml").write_text(
        'scenarios = ["toy"]\nstrategies = ["my methods.py:good", "replay"]\nseeds = [3, 1]\n[set.good]\nshare = 0.5\n',
        encoding="utf-8",
    )
    arguments = ["run", "a b/größe/mein brett.toml", "--out", "a b/out put", "--checkpoint-every", "0s"]
    both = [command.start(*arguments) for _ in range(2)]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    records = command.records("a b/out put")
    assert sorted(records) == sorted(
        f"{name} {seed}" for name in ("naive", "joint", "good", "replay") for seed in (1, 3)
    )
    assert all(record.ok for record in records.values())
    assert records["good 3"].spec.strategy.parameters == {"share": 0.5}
    left = [path for path in walk(command.folder / "a b/out put/mein_brett") if path.suffix not in (".json", ".txt")]
    assert left == []


def walk(folder: Path) -> Iterator[Path]:
    """All files, hidden ones too, but W&B's."""
    for root, folders, files in os.walk(folder):
        if "wandb" in folders:
            folders.remove("wandb")
        yield from (Path(root) / file for file in files)
