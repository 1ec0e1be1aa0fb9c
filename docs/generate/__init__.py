"""A Sphinx extension that writes the reference pages from the registry and the published records, before each build.

What it writes lies in `docs/generated`, which is not kept in git: nothing there is stated twice.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = "generated"

ELSEWHERE = (
    (r"leaderboards/results/([\w.-]+)", r"results/\1"),
    (r"leaderboards/([\w-]+)\.toml", r"boards/\1.md"),
    (r"tests/benchmarks/([\w.-]+)", r"measurements/\1"),
    (r"lifelong/workarounds", "workarounds.md"),
    (r"lifelong/records/(record\.schema\.json)", r"\1"),
    (r"strategies/regularization", "strategies/index.md"),
)
"""Where links that lead out of `docs`, which hold on GitHub, lead to in the site."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.connect("builder-inited", _write)
    app.connect("source-read", _turn_links)
    app.connect("autodoc-skip-member", _is_callback)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx) -> None:
    """Write the pages whose text is another than before, so that Sphinx builds only these again."""
    from generate.pages import files

    folder = Path(app.srcdir) / FOLDER
    wanted = {folder / place: content for place, content in files().items()}
    for file, content in wanted.items():
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    for file in folder.rglob("*"):
        if file.is_file() and file not in wanted:
            file.unlink()


def _turn_links(app: Sphinx, document: str, source: list[str]) -> None:
    """Turn links to the repository's other folders into links to the generated pages and files."""
    del app, document
    for place, page in ELSEWHERE:
        source[0] = re.sub(rf"\]\((?:\.\./)+{place}(?=[)#])", rf"](/{FOLDER}/{page}", source[0])


def _is_callback(app: Sphinx, kind: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what Avalanche calls in its plug-ins, and nobody else."""
    del app, kind, value, skip, options
    return True if re.match(r"(before|after)_\w+|supports_distributed$", name) else None
