"""How to cite the suite: `CITATION.cff` has what its format demands, and says what `pyproject.toml` says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DEMANDED = {"authors", "cff-version", "message", "title"}
"""The keys without which a file is no citation (Citation File Format 1.2.0)."""


def test_the_citation_says_what_the_package_says() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation.keys() >= DEMANDED
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert citation["authors"] == project["authors"]
    assert citation["title"] == f"lifelong: {project['description'][0].lower()}{project['description'][1:].rstrip('.')}"
