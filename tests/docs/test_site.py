"""The site, built for real: no warning, and nothing that a browser would fetch from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FETCHED = {"script": "src", "link": "href", "img": "src", "source": "src", "iframe": "src", "object": "data"}


class Fetched(HTMLParser):
    """Addresses that a browser fetches by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        if tag in FETCHED and told.get("rel") not in ("canonical", "author"):
            self.found.append(told.get(FETCHED[tag]) or "")


def foreign(html: str) -> list[str]:
    """Addresses in a page that lead to another host."""
    parser = Fetched()
    parser.feed(html)
    return [address for address in parser.found if re.match(r"(\w+:)?//", address)]


def test_a_foreign_host_would_be_seen():
    assert foreign('<script src="https://cdn.example/x.js"></script>') == ["https://cdn.example/x.js"]
    assert foreign('<link rel="stylesheet" href="//fonts.example/x.css">') == ["//fonts.example/x.css"]
    assert foreign('<a href="https://example.org">prose</a><script src="_static/x.js"></script>') == []


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(ROOT / "docs"), str(tmp_path)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    pages = [*tmp_path.rglob("*.html")]
    assert {page.stem for page in pages} >= {"index", "configuration", "operations", "api", "glossary"}
    assert {str(page): found for page in pages if (found := foreign(page.read_text(encoding="utf-8")))} == {}
    styles = [*tmp_path.rglob("*.css")]
    assert [
        str(one) for one in styles if re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", one.read_text("utf-8"))
    ] == []
    assert "Segmenter" in (tmp_path / "api.html").read_text(encoding="utf-8")
    assert "champion" in (tmp_path / "glossary.html").read_text(encoding="utf-8")
