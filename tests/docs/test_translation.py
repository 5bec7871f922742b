"""README.zh.md says what README.md says: block by block, heading by heading, number by number."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
BLOCK = re.compile(r"^```\w*\n.*?^```$", re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    return BLOCK.sub("", text)


def sections(text: str) -> list[str]:
    """What stands before each heading of the second level, and after the last."""
    return re.split(r"^## ", prose(text), flags=re.MULTILINE)


def links(text: str) -> list[str]:
    """Relative links, pictures among them, in order; those to the other README apart."""
    found = re.findall(r"\]\(([^)#][^)]*)\)", prose(text))
    return [link for link in found if "://" not in link and link not in ("README.md", "README.zh.md")]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def tables(text: str) -> list[list[str]]:
    """The numbers of every row of a table, sorted: another language may say them in another order."""
    rows = [line for line in prose(text).splitlines() if line.startswith("|")]
    return [sorted(re.findall(r"[−+]?\d+(?:,\d{3})*(?:\.\d+)?", row)) for row in rows]


def test_code_is_the_same_byte_for_byte_and_in_order():
    assert len(BLOCK.findall(ENGLISH)) > 10
    assert BLOCK.findall(CHINESE) == BLOCK.findall(ENGLISH)


def test_headings_are_as_many_and_as_deep():
    depths = [[len(marks) for marks in re.findall(r"^(#+) ", prose(text), re.MULTILINE)] for text in (ENGLISH, CHINESE)]
    assert depths[0] == depths[1]


def test_links_lead_to_the_same_places_and_anchors_to_headings():
    assert links(CHINESE) == links(ENGLISH)
    for text in (ENGLISH, CHINESE):
        anchors = set(re.findall(r"\]\(#([^)]+)\)", prose(text)))
        assert anchors <= {slug(heading) for heading in re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)}


def test_each_leads_to_the_other_from_its_top():
    assert "](README.zh.md)" in "\n".join(ENGLISH.splitlines()[:4])
    assert "](README.md)" in "\n".join(CHINESE.splitlines()[:4])


def test_tables_have_the_same_rows_and_numbers():
    assert tables(CHINESE) == tables(ENGLISH)


@pytest.mark.parametrize("number", range(len(sections(ENGLISH))))
def test_a_section_names_the_same_things_and_as_many_points(number: int):
    """Inline code, figures and points of lists: what one language has and the other lacks is told by the difference."""
    english, chinese = sections(ENGLISH)[number], sections(CHINESE)[number]
    for pattern in (r"`([^`]+)`", r"\d+(?:\.\d+)?", r"(?m)^(?:-|\d\.) "):
        there, here = Counter(re.findall(pattern, english)), Counter(re.findall(pattern, chinese))
        assert there - here == Counter(), "not in README.zh.md"
        assert here - there == Counter(), "in README.zh.md alone"


def test_it_is_chinese():
    """Of every paragraph, point and row of figures there is something to read."""
    silent = [line for line in prose(CHINESE).splitlines() if len(line) > 60 and not re.search("[\u4e00-\u9fff]", line)]
    assert [line for line in silent if not line.startswith("candidates, serving <-")] == []
