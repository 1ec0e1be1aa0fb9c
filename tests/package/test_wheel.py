"""What is built is what is in the tree, and it runs without the tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = {
    "lifelong": "lifelong",
    "strategies": "lifelong/strategies",
    "scenarios": "lifelong/scenarios",
    "leaderboards": "lifelong/leaderboards",
}
"""The folders of the tree that are installed, and where the wheel has them."""


def tree(root: Path) -> Iterator[tuple[Path, str]]:
    """Every file of the installed folders, with its place in the wheel; what tools leave behind is left out."""
    for folder, place in PLACES.items():
        for file in sorted((root / folder).rglob("*")):
            parts = file.relative_to(root / folder).parts
            if file.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts):
                yield file, "/".join((place, *parts))


def run(*command: str | Path, cwd: Path) -> str:
    """The standard output of a command that succeeds, away from the tree and from the caller's `PYTHONPATH`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree to build from: a build folder left in the tree itself would bring deleted files back."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for folder in PLACES:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source, cwd=source)
    (built,) = out.glob("lifelong-*-py3-none-any.whl")
    return built


def test_the_wheel_holds_the_tree_and_nothing_else(wheel: Path, source: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert held == {place: file.read_bytes() for file, place in tree(source)}


def test_what_is_built_can_be_published(wheel: Path, source: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, source, cwd=source)
    (archive,) = tmp_path.glob("lifelong-*.tar.gz")
    checked = run(sys.executable, "-m", "twine", "check", "--strict", wheel, archive, cwd=tmp_path)
    assert checked.count("PASSED") == 2


def test_every_package_is_listed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    found = {place.rpartition("/")[0].replace("/", ".") for file, place in tree(ROOT) if file.suffix == ".py"}
    assert settings["packages"] == sorted(found)


@pytest.fixture
def elsewhere(wheel: Path, tmp_path: Path) -> Path:
    """A virtual environment that has the wheel itself, and this environment's packages for the rest.

    A path that a `.pth` file adds stands behind the environment's own packages, and the `.pth` files that lie in it
    are not read: the editable install of the tree is not seen.
    """
    home = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=tmp_path)
    run(
        *(sys.executable, "-m", "pip", "--python", home / "bin/python", "install"),
        *("--quiet", "--no-index", "--no-deps", wheel),
        cwd=tmp_path,
    )
    (packages,) = home.glob("lib/python*/site-packages")
    borrowed = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "borrowed.pth").write_text("".join(f"{path}\n" for path in borrowed))
    return home


@pytest.mark.slow
def test_a_board_runs_from_the_wheel_alone(elsewhere: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    names = [place.replace("/", ".") for place in PLACES.values()]
    script = f"import importlib; print(*(importlib.import_module(name).__file__ for name in {names}), sep='\\n')"
    files = run(elsewhere / "bin/python", "-c", script, cwd=empty).splitlines()
    assert len(files) == len(names)
    assert all(Path(file).is_relative_to(elsewhere) for file in files), files

    run(elsewhere / "bin/lifelong", "run", "toy-v1", "--out", tmp_path / "out", cwd=empty)
    records = [json.loads(file.read_text()) for file in (tmp_path / "out/toy-v1").glob("*/*/*.json")]
    assert records
    assert {record["status"] for record in records} == {"ok"}
    assert {record["provenance"]["commit"] for record in records} == {None}, "a wheel has no checkout"
