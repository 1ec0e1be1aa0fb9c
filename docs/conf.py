"""How Sphinx builds the documentation; `make docs` calls it."""

import sys
import warnings
from pathlib import Path

from lifelong import __version__

sys.path.insert(0, str(Path(__file__).parent))  # the extension `generate`

warnings.filterwarnings("ignore", message="no QP solver found")  # said by an import of Avalanche

project = "lifelong"
author = "The lifelong founders"
copyright = author  # noqa: A001 - Sphinx's name for it
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "generate"]
exclude_patterns = ["generate"]
templates_path: list[str] = []

html_theme = "furo"
html_title = "lifelong"
html_static_path = ["static"]
html_css_files = ["lifelong.css"]

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

# A name between single backticks is code, in docstrings as in Markdown.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 100

# The prompt is not part of a command.
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"

# A reference that leads nowhere fails the build. Other projects' types have no page here, and a page of another
# project would have to be downloaded; our own internal types stand in signatures alone.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!lifelong\.).*")]
