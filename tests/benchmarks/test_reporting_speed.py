"""How long a board and a page take, and how much memory, against the number of records.

Records are those published with digits-v1, copied under other seeds and with other accuracies.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from lifelong.records.published import Published
from lifelong.records.record import Record
from lifelong.records.store import Store
from lifelong.registry import board_file

NUMBERS = [100, 500, 1000, 2000, 5000]
GOALS = {"board": 2.0, "page": 10.0}
PLOT = Path(__file__).parent / "reporting.png"

TIMED = """
import re, sys, time
from pathlib import Path
what, records, seeds, output = sys.argv[1:]
out, output = Path(records), Path(output)
import scipy.stats, rich.table, pydantic  # what is timed comes after the imports
import lifelong.cli
from lifelong.registry import scenarios, strategies
from lifelong.reporting.text import rankings
strategies.all(), scenarios.all()
if what == "board":
    from lifelong.boards.plan import Wishes
    from lifelong.commands.board import print_board
    from lifelong.commands.options import Form, Source
else:
    import altair, vl_convert
    from lifelong.commands.page import page
    from lifelong.reporting.page import write
started = time.perf_counter()
if what == "board":
    print_board("digits-v1", Wishes(seeds=seeds), Source(out), Form.json, (), output)
else:
    page("digits-v1", output=output, seeds=seeds, out=out)
seconds = time.perf_counter() - started
print(seconds, int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def _copies() -> Iterator[Record]:
    """The published records, again and again, each time with other seeds."""
    file = board_file("digits-v1").parent / "results" / "digits-v1.jsonl.gz"
    published = list(Published(file, "digits-v1").load()[0].values())
    seeds = len({record.spec.seed for record in published})
    for turn in count():
        for record in published:
            spec = record.spec.model_copy(update={"seed": record.spec.seed + turn * seeds})
            noise = random.Random(spec.key)
            accuracy = [
                [None if a is None else min(1.0, max(0.0, a + noise.gauss(0, 0.01))) for a in row]
                for row in record.accuracy or []
            ]
            yield record.model_copy(update={"spec": spec, "key": spec.key, "accuracy": accuracy})


def _measure(what: str, records: Path, seeds: int, output: Path) -> tuple[float, float]:
    """Seconds after the imports, and the largest resident set in MB."""
    command = [sys.executable, "-W", "ignore", "-c", TIMED, what, str(records), f"0-{seeds - 1}", str(output)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(told[0]), float(told[1])


@pytest.mark.timeout(1200)
def test_board_and_page(tmp_path: Path, show: Any) -> None:
    found: dict[str, list[tuple[float, float]]] = {what: [] for what in GOALS}
    sizes = []
    for number in NUMBERS:
        store = Store(tmp_path / str(number), "digits-v1")
        records = list(islice(_copies(), number))
        for record in records:
            store.write(record)
        seeds = 1 + max(record.spec.seed for record in records)
        for what, times in found.items():
            output = tmp_path / f"{what}-{number}"
            times.append(_measure(what, store.out, seeds, output))
        sizes.append(output.stat().st_size / 1e6)
    rows = [
        [f"{what}: {unit}", *(pair[k] for pair in times), f"{goal:.0f}"]
        for what, times in found.items()
        for k, (unit, goal) in enumerate((("s", GOALS[what]), ("MB of memory", 500)))
    ]
    show(
        "After the imports, by number of records", ["", *map(str, NUMBERS), "goal"], [*rows, ["page: MB", *sizes, "-"]]
    )
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, k, label in zip(axes, range(2), ("seconds after the imports", "largest resident set, MB"), strict=True):
        for what, times in found.items():
            axis.plot(NUMBERS, [pair[k] for pair in times], marker="o", label=f"lifelong {what}")
        axis.set(xlabel="records", ylabel=label, ylim=(0, None))
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(PLOT, dpi=120)
    plt.close(figure)
