"""How Sphinx builds these pages: Markdown by MyST, docstrings by autodoc, nothing from the network."""

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]

project = "fenqun"
author = "fenqun contributors"
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_heading_anchors = 4  # the anchors that forges give headings too
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"exclude-members": "model_config, kind"}
napoleon_numpy_docstring, napoleon_use_rtype = False, False
napoleon_use_ivar = True  # the members of named tuples are told once
html_theme = "furo"
html_title = f"fenqun {release}"
html_show_copyright = html_show_sphinx = html_copy_source = False


def _as_rest(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are Markdown in this repository: code in single backticks, and bars and stars that mean themselves.

    A model's fields are told by their descriptions.
    """
    if what == "class" and issubclass(obj, BaseModel):
        described = [f"    {key}: {field.description}" for key, field in obj.model_fields.items() if field.description]
        lines += ["", "Attributes:", *described, ""] if described else []
    lines[:] = [_plain(re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line)) for line in lines]


def _plain(line: str) -> str:
    """Escapes what reST would read as a reference or as emphasis, outside of code."""
    parts = re.split(r"(``[^`]+``)", line)
    return "".join(
        part if part.startswith("``") else re.sub(r"([|*])|(?<=\w)(_)(?!\w)", r"\\\1\2", part) for part in parts
    )


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", _as_rest, priority=400)  # before napoleon reads the sections
