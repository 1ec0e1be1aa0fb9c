"""Finds strategies, scenarios and boards by name: built in, from a user's file, or from another distribution.

All are found in the same way. A name is looked up among the files of the built-in folder, and among the entry points of
the group (`lifelong.strategies`, `lifelong.scenarios`, `lifelong.boards`). `path/to/mine.py:name` reads a user's file.
The registry of networks, `lifelong.models.models`, is of the same kind.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Generic, TypeVar
from zlib import crc32

from lifelong.contracts import Entry, Scenario, Strategy, from_file
from lifelong.errors import UsageError, unknown

E = TypeVar("E", bound=Entry)


def _entries(module: ModuleType, kind: type[E]) -> Iterator[E]:
    """Yield the entries of a kind that a module defines, also those in tuples and lists at module level."""
    for value in list(vars(module).values()):
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, kind):
                yield item


@cache
def _load_file(file: Path) -> ModuleType:
    """Import a user's file under a name of its own.

    Raises:
        UsageError: if the file is absent or does not import.
    """
    if not file.is_file():
        raise UsageError(f"no file {str(file)!r}")
    name = f"lifelong_user_{file.stem}_{crc32(str(file).encode()):08x}"  # two folders may each have a mine.py
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with warnings.catch_warnings():
            # Avalanche warns of this when it is imported, whatever the file needs of it
            warnings.filterwarnings("ignore", message="no QP solver found")
            spec.loader.exec_module(module)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        line = _line_in(file, error)
        raise UsageError(f"{file}{line} does not import: {type(error).__name__}: {error}") from None
    return module


def _line_in(file: Path, error: BaseException) -> str:
    """Return `:line` of the deepest frame of a traceback that lies in the file; empty where there is none."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f":{error.lineno}"
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{lines[-1]}" if lines else ""


@dataclass(frozen=True)
class Registry(Generic[E]):
    """The strategies, the scenarios or the models, by name.

    Attributes:
        kind: the class of the entries.
        label: what one of them is called, such as `strategy`.
        group: the group of the entry points.
        package: the package of the built-in ones.
        wrap: makes an entry of a plain function in a user's file, or of a class; None if it cannot.
    """

    kind: type[E]
    label: str
    group: str
    package: str
    wrap: Callable[[Callable[..., Any]], E | None]

    @property
    def plural(self) -> str:
        """What several of them are called, such as `strategies`."""
        return self.group.rpartition(".")[2]

    def all(self) -> dict[str, E]:
        """Return every installed entry by name, built in or from an entry point.

        Raises:
            UsageError: if two entries share a name, or an entry point does not load.
        """
        return _installed(self)

    def get(self, reference: str) -> E:
        """Return the entry of that name, or of that `file.py:name`.

        Raises:
            UsageError: if there is none.
        """
        path, colon, name = reference.rpartition(":")
        if colon and path.endswith(".py"):
            return self._from_file(Path(path).expanduser().resolve(), name)
        if reference.endswith(".py"):
            raise UsageError(f"{reference!r}: say which {self.label} of the file, as {reference}:my_{self.label}")
        entries = self.all()
        if reference not in entries:
            raise unknown(self.label, reference, entries, see=f"lifelong list {self.plural}")
        return entries[reference]

    def _from_file(self, file: Path, name: str) -> E:
        module = _load_file(file)
        entries = {entry.name: entry for entry in _entries(module, self.kind)}
        value = getattr(module, name, None) or entries.get(name)
        wrapped = self.wrap(value) if callable(value) and not isinstance(value, Entry) else None
        entry = value if isinstance(value, self.kind) else wrapped
        if entry is None:
            raise unknown(f"{self.label} in {file.name}", name, entries)
        _ = entry.parameters  # refuses an untyped parameter now, not in a worker
        marked = from_file(entry, file)
        assert isinstance(marked, self.kind)
        return marked


@cache
def _installed(registry: Registry[E]) -> dict[str, E]:
    installed: dict[str, E] = {}
    origins: dict[str, str] = {}

    def add(entry: E, origin: str) -> None:
        if entry.name in installed and installed[entry.name] is not entry:
            raise UsageError(
                f"two {registry.plural} are called {entry.name!r}: one from {origins[entry.name]}, one from {origin}"
            )
        installed[entry.name] = entry
        origins[entry.name] = origin

    for module in built_in_modules(registry.package):
        for entry in _entries(module, registry.kind):
            add(entry, module.__name__)
    for point in entry_points(group=registry.group):
        origin = f"the entry point {point.name} = {point.value}"
        try:
            value = point.load()
        except Exception as error:
            raise UsageError(f"{origin} does not load: {type(error).__name__}: {error}") from None
        entries = list(_entries(value, registry.kind)) if isinstance(value, ModuleType) else [value]
        for entry in entries:
            if not isinstance(entry, registry.kind):
                raise UsageError(f"{origin} is not a {registry.label}: decorate it with @lifelong.{registry.label}")
            add(entry, origin)
    return dict(sorted(installed.items()))


def built_in_modules(package: str) -> Iterator[ModuleType]:
    """Import the modules of a built-in folder, except for helper modules, whose names begin with `_`."""
    root = importlib.import_module(package)
    for module in iter_modules(root.__path__):
        if not module.name.startswith("_"):
            yield importlib.import_module(f"{package}.{module.name}")


def _plain_strategy(function: Callable[..., Any]) -> Strategy | None:
    return None if isinstance(function, type) else Strategy(function, function.__name__)


def _plain_scenario(function: Callable[..., Any]) -> Scenario | None:
    if isinstance(function, type):
        return None
    raise UsageError(
        f"{function.__name__} is a plain function; a scenario must say its protocol: "
        '@lifelong.scenario(protocol="class")'
    )


strategies: Registry[Strategy] = Registry(
    Strategy, "strategy", "lifelong.strategies", "lifelong.strategies", _plain_strategy
)
scenarios: Registry[Scenario] = Registry(
    Scenario, "scenario", "lifelong.scenarios", "lifelong.scenarios", _plain_scenario
)


def boards() -> dict[str, Path]:
    """Return the TOML file of every installed board, by the board's name.

    An entry point of the group `lifelong.boards` names a file, or a package whose `*.toml` files are boards.

    Raises:
        UsageError: if an entry point does not load or names no file.
    """
    return dict(_installed_boards())


@cache
def _installed_boards() -> dict[str, Path]:
    """Look for the boards once, because a search through all installed distributions takes milliseconds."""
    folder = Path(str(files("lifelong.leaderboards")))
    boards = {file.stem: file for file in sorted(folder.glob("*.toml"))}
    for point in entry_points(group="lifelong.boards"):
        try:
            value = point.load()
        except Exception as error:
            raise UsageError(f"the board {point.name} = {point.value} does not load: {error}") from None
        if isinstance(value, ModuleType):
            boards |= {file.stem: file for root in value.__path__ for file in sorted(Path(root).glob("*.toml"))}
        else:
            boards[point.name] = Path(value)
    return dict(sorted(boards.items()))


def board_file(reference: str) -> Path:
    """Return the TOML file of a board that is given by name or by path.

    Raises:
        UsageError: if there is none.
    """
    if reference.endswith(".toml"):
        file = Path(reference).expanduser()
        if not file.is_file():
            raise UsageError(f"no board file {reference!r}")
        return file.resolve()
    known = boards()
    if reference not in known:
        raise unknown("board", reference, known, see="lifelong list boards")
    return known[reference]
