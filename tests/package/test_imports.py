"""Who may import whom: plug-ins and engine know each other by name only, and rooms import in one direction."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = {"strategies": "lifelong.strategies", "scenarios": "lifelong.scenarios"}
MAPPED = (*PLUGINS.values(), "lifelong.leaderboards")

ROOMS = (
    "lifelong.errors",
    "lifelong.parameters",
    "lifelong.contracts",
    "lifelong.registry",
    "lifelong.seeds",
    "lifelong.structure",
    "lifelong.plasticity",
    "lifelong.models",
    "lifelong.measures",
    "lifelong.data",
    "lifelong.records",
    "lifelong.workarounds",
    "lifelong.boards",
    "lifelong.training",
    "lifelong.running",
    "lifelong.strategies",
    "lifelong.scenarios",
    "lifelong.reporting.statistics",
    "lifelong.reporting.text",
    "lifelong.reporting.charts",
    "lifelong.reporting.page",
    "lifelong.reporting.wandb",
    "lifelong.verification",
    "lifelong.checking",
    "lifelong.tuning",
    "lifelong.commands",
    "lifelong.results",
    "lifelong.cli",
)
"""Each imports from itself and from those above it."""


def imports(source: str, package: str) -> Iterator[tuple[str, bool]]:
    """The absolute name of everything that a source imports, and whether it is written relative to its package."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, False) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = resolve_name("." * level + (module or ""), package)
                yield from ((f"{base}.{alias.name}", level > 0) for alias in names)
            case ast.Call(func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[first, *_]):
                if isinstance(first, ast.Constant):
                    yield str(first.value), False


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def faults_of_a_plugin(source: str, package: str) -> list[str]:
    """The imports of a plug-in that are neither of a sibling and relative, nor of something else and absolute."""
    (folder,) = (mapped for mapped in MAPPED if within(package, mapped))
    return [
        name
        for name, relative in imports(source, package)
        if (not within(name, folder) if relative else within(name, *PLUGINS, "leaderboards", *MAPPED))
    ]


def faults_of_the_engine(source: str, package: str) -> list[str]:
    """The imports of the engine, or of a test, that name a plug-in."""
    return [name for name, _ in imports(source, package) if within(name, *PLUGINS, *PLUGINS.values())]


def sources(folder: str, package: str) -> Iterator[tuple[Path, str]]:
    """The Python files of a folder, each with the package that it is a part of."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        yield file, ".".join((package, *file.relative_to(ROOT / folder).parent.parts))


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("from .base import floor", []),
        ("from . import base", []),
        ("from lifelong.models import mlp", []),
        ("import torch", []),
        ("from ..models import mlp", ["lifelong.models.mlp"]),
        ("from lifelong.strategies.base import floor", ["lifelong.strategies.base.floor"]),
        ("from lifelong import scenarios", ["lifelong.scenarios"]),
        ("from strategies.base import floor", ["strategies.base.floor"]),
        ("import scenarios.images", ["scenarios.images"]),
        ("import lifelong.leaderboards", ["lifelong.leaderboards"]),
    ],
)
def test_the_rule_for_plugins_tells_right_from_wrong(source: str, faults: list[str]) -> None:
    assert faults_of_a_plugin(source, "lifelong.strategies") == faults


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("from .gdumb import GDumb", []),
        ("from ..replay.recalling import Recalling", []),
        ("from ...models import mlp", ["lifelong.models.mlp"]),
    ],
)
def test_the_rule_for_plugins_holds_in_a_family_too(source: str, faults: list[str]) -> None:
    assert faults_of_a_plugin(source, "lifelong.strategies.meta") == faults


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("from lifelong.registry import strategies", []),
        ("from lifelong import strategy", []),
        ("import lifelong.leaderboards", []),
        ("from lifelong import strategies", ["lifelong.strategies"]),
        ("def f():\n    from ..scenarios.images import mnist", ["lifelong.scenarios.images.mnist"]),
        ("import lifelong.strategies.base as b", ["lifelong.strategies.base"]),
        ("importlib.import_module('lifelong.strategies.base')", ["lifelong.strategies.base"]),
        ("import_module(name)", []),
        ("import strategies", ["strategies"]),
    ],
)
def test_the_rule_for_the_engine_tells_right_from_wrong(source: str, faults: list[str]) -> None:
    assert faults_of_the_engine(source, "lifelong.running") == faults


@pytest.mark.parametrize("folder", PLUGINS)
def test_plugins_import_siblings_relative_and_the_engine_absolute(folder: str) -> None:
    files = list(sources(folder, PLUGINS[folder]))
    assert files
    faults = {file.name: faults_of_a_plugin(file.read_text(), package) for file, package in files}
    assert not {name: found for name, found in faults.items() if found}


@pytest.mark.parametrize("folder", ["lifelong", "tests"])
def test_the_engine_and_the_tests_reach_plugins_by_name_only(folder: str) -> None:
    files = list(sources(folder, folder))
    assert files
    faults = {str(file): faults_of_the_engine(file.read_text(), package) for file, package in files}
    assert not {name: found for name, found in faults.items() if found}


def test_the_structure_room_knows_torch_and_nothing_else() -> None:
    files = list(sources("lifelong/structure", "lifelong.structure"))
    assert files
    allowed = {"torch", *sys.stdlib_module_names}
    found = {name for file, package in files for name, _ in imports(file.read_text(), package)}
    assert {name for name in found if not within(name, "lifelong.structure", *allowed)} == set()


def room(module: str) -> str | None:
    return next((room for room in ROOMS if within(module, room)), None)


def upwards(source: str, package: str, own: str) -> set[tuple[str, str]]:
    """What a source of a room imports from the rooms that are built upon it, each with the room."""
    later = ROOMS[ROOMS.index(own) + 1 :]
    return {(own, name) for name, _ in imports(source, package) if within(name, *later)}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from lifelong.structure import Structure", set()),
        ("from lifelong.records.spec import Spec", set()),
        ("from lifelong.reporting import text", {"lifelong.reporting.text"}),
        ("def f():\n    import lifelong.cli", {"lifelong.cli"}),
        ("from ..commands.common import say", {"lifelong.commands.common.say"}),
    ],
)
def test_the_rule_for_rooms_tells_up_from_down(source: str, found: set[str]) -> None:
    assert upwards(source, "lifelong.running", "lifelong.running") == {("lifelong.running", name) for name in found}


def test_rooms_import_in_one_direction() -> None:
    found = set()
    for folder, package in {"lifelong": "lifelong", **PLUGINS}.items():
        for file, within_package in sources(folder, package):
            own = room(f"{within_package}.{file.stem}")
            if own is None:
                assert file.name == "__init__.py", f"{file} is in no room: give it its place in ROOMS"
                continue
            found |= upwards(file.read_text(), within_package, own)
    assert not found


def modules() -> dict[str, set[str]]:
    """Every module of the suite, with the modules of the suite that it imports, for its annotations too."""
    files = {
        f"{package}.{file.stem}".removesuffix(".__init__"): (file, package)
        for folder, root in {"lifelong": "lifelong", **PLUGINS}.items()
        for file, package in sources(folder, root)
    }
    return {
        name: {found for imported, _ in imports(file.read_text(), package) if (found := longest(imported, files))}
        for name, (file, package) in files.items()
        if name != "lifelong"  # the face shows what is deeper, and is imported for it by nothing in the suite
    }


def longest(imported: str, names: Collection[str]) -> str | None:
    """The module that an import reads: a whole name, or that of which a part is named."""
    while imported and imported not in names:
        imported = imported.rpartition(".")[0]
    return imported or None


def folders(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same for folders. A module that has folders beside it, some below it and some above, stands for itself."""
    shared = {name.rpartition(".")[0].rpartition(".")[0] for name in graph}

    def place(name: str) -> str:
        folder = name.rpartition(".")[0]
        return name if folder in shared else folder

    found: dict[str, set[str]] = {}
    for name, imported in graph.items():
        found.setdefault(place(name), set()).update(set(map(place, imported)) - {place(name)})
    return found


def test_a_circle_is_found() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"c"}, "c": {"a"}}).prepare()
    with pytest.raises(CycleError):
        TopologicalSorter(folders({"l.one.a": {"l.two.b"}, "l.two.c": {"l.one.d"}})).prepare()


def test_no_module_is_in_a_circle_of_imports() -> None:
    graph = modules()
    assert len(graph) > 200
    TopologicalSorter(graph).prepare()


def test_no_folder_is_in_a_circle_of_imports() -> None:
    TopologicalSorter(folders(modules())).prepare()
