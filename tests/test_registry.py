"""From names to strategies, scenarios and boards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from lifelong import registry
from lifelong.contracts import strategy
from lifelong.errors import UsageError
from lifelong.registry import board_file, boards, scenarios, strategies


@pytest.fixture
def distribution(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Another distribution, with a module `theirs` and entry points to it; it offers what the module's `POINTS` say."""
    theirs = ModuleType("theirs")
    monkeypatch.setitem(sys.modules, "theirs", theirs)
    theirs.POINTS = {}

    def points(group: str) -> list[EntryPoint]:
        return [EntryPoint(name, value, group) for name, value in theirs.POINTS.get(group, {}).items()]

    monkeypatch.setattr(registry, "entry_points", points)
    registry._installed.cache_clear()
    registry._installed_boards.cache_clear()
    yield theirs
    registry._installed.cache_clear()
    registry._installed_boards.cache_clear()


def test_what_comes_along() -> None:
    assert {"naive", "joint", "replay", "ewc"} <= set(strategies.all())
    assert {"toy", "digits-class"} <= set(scenarios.all())
    assert {"toy-v1", "digits-v1"} <= set(boards())
    assert list(strategies.all()) == sorted(strategies.all())
    assert strategies.get("ewc") is strategies.all()["ewc"]


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from lifelong import strategy\n"
        "@strategy(name='a-name')\n"
        "def decorated(setup, share: float = 0.5): ...\n"
        "def plain(setup): ...\n"
        "MANY = [strategy(name=f'many-{i}')(lambda setup: setup) for i in range(2)]\n"
    )
    for name, found in {"decorated": "a-name", "a-name": "a-name", "plain": "plain", "many-1": "many-1"}.items():
        entry = strategies.get(f"{file}:{name}")
        assert (entry.name, entry.file) == (found, file)
    with pytest.raises(UsageError, match="did you mean 'many-1' or 'many-0'"):
        strategies.get(f"{file}:many-2")
    with pytest.raises(UsageError, match=r"no scenario in mine\.py 'a-name'"):
        scenarios.get(f"{file}:a-name")


def test_files_of_the_same_name_in_two_folders(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"def method(setup): return {folder!r}\n")
    assert [strategies.get(f"{tmp_path}/{folder}/mine.py:method")(None) for folder in "ab"] == ["a", "b"]


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(
        UsageError, match=r"no strategy 'replai'; did you mean 'replay' or .*\? \(see 'lifelong list strat"
    ):
        strategies.get("replai")
    with pytest.raises(UsageError, match="no board 'toy'; did you mean 'toy-v1'"):
        board_file("toy")


def test_another_distribution_adds_its_own(distribution: ModuleType, tmp_path: Path) -> None:
    distribution.one = strategy(name="one")(lambda setup: setup)
    distribution.more = [strategy(name="two")(lambda setup: setup)]
    (tmp_path / "their-board.toml").write_text("")
    distribution.board = tmp_path / "their-board.toml"
    distribution.POINTS = {"lifelong.strategies": {"all": "theirs"}, "lifelong.boards": {"theirs-v1": "theirs:board"}}
    assert {"one", "two", "naive"} <= set(strategies.all())
    assert strategies.get("two").name == "two"
    assert board_file("theirs-v1") == tmp_path / "their-board.toml"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("theirs:naive", "two strategies are called 'naive': one from lifelong.strategies.bounds, one from the entry"),
        ("theirs:absent", "the entry point x = theirs:absent does not load: AttributeError"),
        ("not_there:x", "the entry point x = not_there:x does not load: ModuleNotFoundError"),
        ("theirs:function", "theirs:function is not a strategy: decorate it with @lifelong.strategy"),
    ],
)
def test_another_distribution_that_cannot_be(distribution: ModuleType, value: str, told: str) -> None:
    distribution.naive = strategy(name="naive")(lambda setup: setup)
    distribution.function = lambda setup: setup
    distribution.POINTS = {"lifelong.strategies": {"x": value}}
    with pytest.raises(UsageError) as error:
        strategies.all()
    assert told in str(error.value)
