"""All generated pages: of strategies, scenarios, boards, results, baselines, commands and Avalanche's faults."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from generate.asking import ask
from generate.boards import board_pages, result_files, result_pages
from generate.commands import command_page
from generate.entries import model_page, scenario_pages, strategy_pages
from generate.faults import fault_page
from generate.writing import fill
from lifelong.records.metrics import ALIASES, RUN_METRICS

ROOT = Path(__file__).parents[2]


def files() -> dict[str, bytes]:
    """Return the content of each file, by its place in the folder of generated pages."""
    pages = chain(strategy_pages(), scenario_pages(), board_pages(), result_pages(), _single_pages())
    return {place: text.encode() for place, text in pages} | dict(result_files()) | dict(_copies())


def _single_pages() -> Iterator[tuple[str, str]]:
    yield "baselines.md", fill("baselines.md", table=ask("baselines", "--format", "md"))
    yield "commands.md", command_page()
    yield "models.md", model_page()
    yield "metrics.md", fill("metrics.md", metrics=RUN_METRICS.values(), aliases=ALIASES)
    yield "workarounds.md", fault_page()


def _copies() -> Iterator[tuple[str, bytes]]:
    """Yield what other folders hold for readers: the measurements of speed, and the schema of a record."""
    for file in sorted((ROOT / "tests" / "benchmarks").glob("*.*")):
        if file.suffix in (".md", ".png"):
            yield f"measurements/{file.name}", file.read_bytes()
    schema = ROOT / "lifelong" / "records" / "record.schema.json"
    yield schema.name, schema.read_bytes()
