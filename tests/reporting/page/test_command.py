"""`lifelong page`: what it writes, and what it refuses."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifelong.cli import main

Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(site: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """`lifelong page ARGUMENTS` beside the board and its records: the exit code, and what is said."""
    monkeypatch.chdir(site.folder)

    def asked(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lifelong", "page", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        assert out == ""
        return int(left.value.code or 0), err

    return asked


def test_the_file_is_called_after_the_board_unless_it_is_named(ask: Ask, site: Any) -> None:
    code, said = ask("ours.toml")
    assert (code, "wrote ours.html" in said) == (0, True)
    assert (site.folder / "ours.html").read_bytes() == site.file.read_bytes(), "the same records give the same page"
    (site.folder / "ours.html").unlink()


def test_it_shows_what_was_asked_for(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "some.html"
    wanted = ("--scenario", "toy", "--strategy", "replay", "--seeds", "0-1", "--metric", "forgetting")
    assert ask("ours.toml", *wanted, "-o", file)[0] == 0
    html = file.read_text()
    assert "6 runs · 3 strategies · 1 scenario · 2 seeds" in html
    assert '"metrics":{"forgetting"' in html


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nothing",), "no board 'nothing'"),
        (("ours.toml", "--metric", "accurracy"), "did you mean"),
        (("ours.toml", "--out", "elsewhere"), "there is nothing to show of ours.toml"),
        (("ours.toml", "-o", "results"), "cannot write results"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(ask: Ask, arguments: tuple[str, ...], told: str) -> None:
    code, said = ask(*arguments)
    assert code == 2
    assert told in said
    assert "Traceback" not in said
