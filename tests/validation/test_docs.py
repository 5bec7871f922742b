"""Data Docs ask no other host for anything, and say offline what they say online."""

import re

import expectations
from schemas.config import ValidateConfig
from tasks.validation.docs import alone
from tasks.validation.run import validate
from tests.helpers.good_tables import AS_OF, good

ASKED = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*(?:src|href|srcset)\s*=\s*[\"']?(?:https?:)?//"
    r"|url\(\s*[\"']?(?:https?:)?//|@import|<script",
    re.IGNORECASE,
)


def test_no_page_asks_another_host(tmp_path):
    frames = good()
    tables = {name: [frames[name]] for name in ("events", "items")}
    report, _ = validate(tables, expectations.suites(), ValidateConfig(min_rows=10**6), AS_OF, None, tmp_path)
    pages = [*tmp_path.rglob("*.html"), *tmp_path.rglob("*.css")]
    assert len(pages) >= 5
    assert [page.name for page in pages if ASKED.search(page.read_text())] == []
    index = (tmp_path / "index.html").read_text()
    links = re.findall(r'href="([^"]+)"', index)
    assert {(tmp_path / link).resolve() for link in links} == {
        page for page in tmp_path.resolve().rglob("*.html") if page.name != "index.html"
    }
    assert f"failed: {report.errors[0].rule}" in index


def test_what_is_taken_out_and_what_stays():
    page = '<head><script src="//a/b.js"></script><LINK rel=x\nhref="HTTPS://a/b.css"></head><a href="https://a">A</a>'
    page += '<img alt="" src=\'http://a/b.png\'><img src="../b.png"><style>a {background: url("https://a/b") 0}</style>'
    told = alone(page)
    assert not ASKED.search(told)
    assert '<a href="https://a">A</a>' in told
    assert '<img src="../b.png">' in told
