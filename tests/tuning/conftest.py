"""Boards with ranges, and the studies that they ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lifelong.boards.board import load_board
from lifelong.boards.plan import Wishes
from lifelong.boards.tuning import Tuning
from lifelong.records.store import Store
from lifelong.running.launch import Options
from lifelong.tuning.studies import studies_of
from lifelong.tuning.study import Study

BOARD = """
scenarios = ["toy"]
strategies = ["naive", "ewc", "replay"]
seeds = 2
[budget]
epochs = 1
[set.ewc]
ewc_lambda = 10.0
[closed.ewc]
ewc_lambda = [1, 1000]
mode = ["separate", "online"]
"""
Ask = Callable[..., list[Study]]


@pytest.fixture
def studies(tmp_path: Path) -> Ask:
    """The studies of a board, of ewc alone unless asked otherwise; `without` and `with_` change the board's text."""

    def asked(*names: str, without: str = "", with_: str = "", out: str = "tuning", **effort: object) -> list[Study]:
        assert without in BOARD
        (tmp_path / "b.toml").write_text(BOARD.replace(without, with_) if without else BOARD)
        board = load_board(str(tmp_path / "b.toml"))
        tuning = Tuning.model_validate({"trials": 6, "seeds": [100], **effort})
        wishes, options = Wishes(strategies=names or ("ewc",)), Options(device="cpu")
        return studies_of(board, wishes, tuning, Store(tmp_path / out, board.name), options)[0]

    return asked
