"""The documentation site: a link that leads nowhere fails, and its reference says what the registry and records say."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lifelong.registry import boards, scenarios, strategies

ROOT = Path(__file__).parents[2]
Pages = Mapping[str, str]


@pytest.fixture(scope="module")
def pages() -> Pages:
    """The generated pages by place; other files are left out."""
    script = (
        "import json, sys; sys.path.insert(0, 'docs'); from generate.pages import files; "
        "json.dump({place: text.decode() for place, text in files().items() if place.endswith('.md')}, sys.stdout)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    written: Pages = json.loads(done.stdout)
    return written


def section(page: str, title: str) -> str:
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def build(source: Path, page: str) -> subprocess.CompletedProcess[str]:
    """Build a site of one page as `make docs` builds the whole one, without the generated pages."""
    (source / "index.md").write_text(f"# Page\n\n## A heading\n\n{page}\n")
    listed = subprocess.run(["make", "--dry-run", "docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = (line for line in listed.splitlines() if "sphinx-build" in line)
    _, *options, _, _ = shlex.split(line.partition("||")[0])
    options[options.index("-d") + 1] = str(source / "doctrees")
    own = ["-c", str(ROOT / "docs"), "-D", "extensions=myst_parser,sphinx.ext.autodoc", "-D", "html_static_path="]
    command = [sys.executable, "-m", "sphinx", *options, *own, str(source), str(source / "out")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)


def test_a_site_without_faults_is_built(tmp_path: Path) -> None:
    done = build(tmp_path, "[here](#a-heading) and [there](index.md)")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "index.html").exists()


def test_what_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    faults = {
        "absent-page.md": "[a page](absent-page.md)",
        "#absent-heading": "[a heading](#absent-heading)",
        "#absent-elsewhere": "[a heading of a page](index.md#absent-elsewhere)",
        "absent-picture.png": "![a picture](absent-picture.png)",
        "lifelong.AbsentClass": "{py:class}`lifelong.AbsentClass`",
        "absent_function": "```{eval-rst}\n.. autofunction:: lifelong.absent_function\n```",
        "absent-document": "```{toctree}\nabsent-document\n```",
    }
    done = build(tmp_path, "\n\n".join(faults.values()))
    assert done.returncode != 0
    for name in faults:
        assert name.removeprefix("#") in done.stderr, done.stderr


def test_every_entry_has_a_page_that_tells_all_of_it(pages: Pages) -> None:
    for kind, known in (("strategies", strategies.all()), ("scenarios", scenarios.all())):
        assert {place for place in pages if place.startswith(f"{kind}/")} == {
            f"{kind}/{name}.md" for name in [*known, "index"]
        }
        for name, entry in known.items():
            page = pages[f"{kind}/{name}.md"]
            assert entry.summary in page
            assert re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", page).count(entry.source) >= 1
            parameters = section(page, "Parameters")
            assert all(f"| `{parameter}` |" in parameters for parameter in entry.parameters), name
            assert f"[{name}]({name}.md)" in pages[f"{kind}/index.md"]
    for name in boards():
        assert f"[{name}]({name}.md)" in pages["boards/index.md"]


def test_a_strategys_page_says_what_it_needs_and_how_it_is_composed(pages: Pages) -> None:
    page = pages["strategies/dropin-replay.md"]
    assert "| Needs | class labels, task boundaries |" in page
    code = section(page, "How it is composed")
    assert "def dropin_replay(" in code
    assert '"""' not in code


def test_a_strategy_stands_where_the_published_ranking_has_it(pages: Pages) -> None:
    command = [sys.executable, "-m", "lifelong.cli", "board", "digits-v1", "--format", "json"]
    records = ROOT / "leaderboards" / "results" / "digits-v1.jsonl.gz"
    told = subprocess.run([*command, "--from", records], capture_output=True, text=True, check=True).stdout
    for table in json.loads(told)["tables"]:
        for row in table["rows"]:
            page = pages[f"strategies/{row['strategy'].partition(' (')[0]}.md"]
            (line,) = (
                line
                for line in section(page, "Where it stands").splitlines()
                if line.startswith("| [digits-v1]") and row["strategy"] in line.replace("\\", "").split(" | ")
                if table["scenario"] in line
            )
            rank = line.split(" | ")[3]
            assert rank.partition(" of ")[0] == str(row["rank"] or "-")
            mean = row["metrics"]["average_accuracy"]["mean"]
            assert mean is None or f"| {mean:.3f} " in line


def test_the_baselines_are_those_that_the_command_tells(pages: Pages) -> None:
    command = [sys.executable, "-m", "lifelong.cli", "baselines", "--format", "md"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout in pages["baselines.md"]


def test_every_workaround_is_told(pages: Pages) -> None:
    for file in (ROOT / "lifelong" / "workarounds").glob("*.py"):
        for name in re.findall(r"^class (Working\w+)", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
            assert f"`{name}`" in pages["workarounds.md"], name


def test_every_command_has_a_section(pages: Pages) -> None:
    from typer.main import get_command

    from lifelong.cli import app

    for name in get_command(app).commands:  # type: ignore[attr-defined]
        assert f"## `lifelong {name}`" in pages["commands.md"]
