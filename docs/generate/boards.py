"""A page for each board, and one for the results that are published with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from generate import standing
from generate.writing import fill
from lifelong.boards.board import load_board
from lifelong.commands.records import published_with
from lifelong.records.metrics import RUN_METRICS
from lifelong.registry import board_file, boards
from lifelong.reporting.text.details import board_as_data


def board_pages() -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each board's page, and of their index."""
    published = standing.published_boards()
    for name in boards():
        yield (
            f"boards/{name}.md",
            fill(
                "board.md",
                **board_as_data(name),
                outcomes=standing.targets(name) if name in published else [],
                published=_prose(name) is not None,
                titles={metric.name: metric.title for metric in RUN_METRICS.values()},
                toml=board_file(name).read_text(encoding="utf-8"),
            ),
        )
    known = {name: load_board(name) for name in boards()}
    yield "boards/index.md", fill("boards.md", boards=known, published=[name for name in known if _prose(name)])


def result_pages() -> Iterator[tuple[str, str]]:
    """Yield the place and the text of the results of each board that tells them in words."""
    for name in boards():
        if prose := _prose(name):
            yield f"results/{name}.md", prose.read_text(encoding="utf-8")


def result_files() -> Iterator[tuple[str, bytes]]:
    """Yield the files that the pages of results lead to: the records, the interactive page and its picture."""
    for name in boards():
        if prose := _prose(name):
            for file in sorted(prose.parent.glob(f"{name}.*")):
                if file != prose:
                    yield f"results/{file.name}", file.read_bytes()


def _prose(board: str) -> Path | None:
    """The page in words that lies beside a board's published records."""
    records = published_with(board)
    prose = records.with_name(f"{board}.md") if records else None
    return prose if prose and prose.is_file() else None
