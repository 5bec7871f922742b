"""Item texts through the template."""

import polars as pl
import pytest

from schemas.config import TextsConfig
from schemas.errors import UsageError
from schemas.tables import CATEGORIES, DESCRIPTION, ITEM_ID, TEXT, TITLE
from tasks.texts.templates import item_texts

ITEMS = pl.DataFrame(
    {
        ITEM_ID: ["1", "2", "3", "4"],
        TITLE: ["Toy Story", None, "Ｈｅａｔ  ", ""],
        DESCRIPTION: ["Toys live.", "No title", None, None],
        CATEGORIES: [["Animation", None, "Comedy"], ["Drama"], [], None],
        "year": [1995, 1996, None, None],
    }
)


def texts(template, items=ITEMS):
    return dict(item_texts(items, TextsConfig(template=template)).select(ITEM_ID, TEXT).iter_rows())


def test_default_template_leaves_out_what_is_empty():
    assert texts("{title}. {categories}") == {"1": "Toy Story. Animation, Comedy", "2": "Drama", "3": "Heat"}


@pytest.mark.parametrize(("template", "expected"), [
    ("{title} ({year})", {"1": "Toy Story (1995)", "2": "(1996)", "3": "Heat"}),
    ("Title: {title}\nGenres: {categories}", {
        "1": "Title: Toy Story Genres: Animation, Comedy", "2": "Genres: Drama", "3": "Title: Heat"}),
    ("{title} | {description} | {year}", {
        "1": "Toy Story | Toys live. | 1995", "2": "No title | 1996", "3": "Heat"}),
    ("{item_id}", {"1": "1", "2": "2", "3": "3", "4": "4"}),
    ("《{title}》", {"1": "《Toy Story》", "3": "《Heat》"}),
])  # fmt: skip
def test_words_belong_to_their_column(template, expected):
    assert texts(template) == expected


def test_a_contract_column_that_the_source_lacks_counts_as_empty():
    assert texts("{title}. {description}", ITEMS.drop(DESCRIPTION)) == {"1": "Toy Story", "3": "Heat"}


@pytest.mark.parametrize(
    "template", ["{nothing}", "no column", "{title!r}", "{title:>9}", "{title.real}", "{}", "{title"]
)
def test_templates_that_cannot_work_are_refused(template):
    with pytest.raises(UsageError, match="template"):
        texts(template)


def test_no_items_give_no_texts():
    assert texts("{title}", ITEMS.clear()) == {}
