"""Data Docs that open anywhere: Great Expectations' pages without what they would ask of other hosts, and an index."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.reports import RuleResult

if TYPE_CHECKING:
    from great_expectations.data_context import EphemeralDataContext

_SITE = "fenqun"
_SCRIPT = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
_OUTSIDE = re.compile(r"<(?:link|img|source|iframe)\b[^>]*?(?:https?:)?//[^>]*>", re.IGNORECASE)
_URL = re.compile(r"url\(\s*['\"]?(?:https?:)?//[^)]*\)", re.IGNORECASE)
_STYLE = """<style>
body {font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff}
table {border-collapse: collapse; margin: .5rem 0}
td, th {border: 1px solid #ccc; padding: .25rem .6rem; text-align: left}
.modal, .d-none, .navbar-toggler, .btn-group-toggle {display: none} .collapse {display: block}
.text-success {color: #17722b} .text-danger {color: #a4161a}
@media (prefers-color-scheme: dark) {body {color: #ddd; background: #1b1b1b} a {color: #8ab4f8}}
</style>
"""
"""Instead of the style sheets of other hosts."""


def site(folder: Path) -> tuple[str, dict[str, Any]]:
    """Name and settings of the site in `folder`, for a context."""
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    return _SITE, {"class_name": "SiteBuilder", "site_index_builder": index, "store_backend": backend}


def docs(context: "EphemeralDataContext", folder: Path, results: Sequence[RuleResult]) -> Path:
    """Builds the Data Docs of everything the context ran; returns their first page.

    Args:
        context: With the site of this folder.
        folder: Where the pages are written.
        results: What the index tells of each table.
    """
    context.build_data_docs(site_names=[_SITE])
    folder = folder.resolve()
    for page in [*folder.rglob("*.html"), *folder.rglob("*.css")]:
        page.write_text(alone(page.read_text(encoding="utf-8")), encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_index(folder, results), encoding="utf-8")
    return index


def alone(text: str) -> str:
    """A page or style sheet that asks no other host for anything: scripts are gone, for all of them need one."""
    bare = _URL.sub("none", _OUTSIDE.sub("", _SCRIPT.sub("", text)))
    return re.sub(r"</head\s*>", lambda end: _STYLE + end[0], bare, count=1)


def _index(folder: Path, results: Sequence[RuleResult]) -> str:
    """The first page: every table with how many of its rules passed, and links to the pages."""
    lines = []
    for name in sorted({path.parent.name + "." + path.stem for path in (folder / "expectations").rglob("*.html")}):
        own = [one for one in results if one.table == name.partition(".")[2]]
        failed = ", ".join(one.rule for one in own if not one.passed)
        told = f"{sum(one.passed for one in own)} of {len(own)}" + (f"; failed: {failed}" if failed else "")
        lines.append(f"<tr><td>{escape(name)}</td><td>{escape(told)}</td><td>{_links(folder, name)}</td></tr>")
    head = "<tr><th>table</th><th>rules passed</th><th>pages</th></tr>"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Data Docs</title>\n{_STYLE}</head>\n'
        f"<body><h1>Data Docs</h1>\n<table>{head}\n" + "\n".join(lines) + "\n</table></body></html>\n"
    )


def _links(folder: Path, name: str) -> str:
    """Links to what was found in a table, and to the rules alone."""
    stage, _, table = name.partition(".")
    places = [("results", path) for path in sorted((folder / "validations" / stage / table).rglob("*.html"))]
    places.append(("rules", folder / "expectations" / stage / f"{table}.html"))
    return " · ".join(f'<a href="{escape(path.relative_to(folder).as_posix())}">{word}</a>' for word, path in places)
