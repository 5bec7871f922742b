"""One form for texts that mean the same."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.texts.normalise import normalise, normalise_all


@pytest.mark.parametrize(("text", "expected"), [
    ("  plain   text ", "plain text"),
    ("plain", "plain"),
    ("ＦＵＬＬ　ｗｉｄｔｈ１２３！", "FULL width123!"),
    ("ｶﾞ", "ガ"),
    ("①②", "12"),
    ("这部电影　很好看。", "这部电影 很好看。"),
    ("line\nbreak\tand\r\nmore", "line break and more"),
    ("nul\x00 and bell\x07", "nul and bell"),
    ("zero\u200bwidth\ufeff", "zerowidth"),
    ("👩\u200d🚀", "👩\u200d🚀"),
    ("lone \ud800 surrogate", "lone surrogate"),
    ("\x00\u200b \n", ""),
    ("", ""),
])  # fmt: skip
def test_examples(text, expected):
    assert normalise(text) == expected


@given(st.text(st.characters(codec=None)))
def test_normal_texts_stay_as_they_are(text):
    once = normalise(text)
    assert normalise(once) == once
    assert once == once.strip()
    assert "  " not in once
    once.encode()


@given(st.text())
def test_canonically_equal_texts_become_one(text):
    assert normalise(unicodedata.normalize("NFD", text)) == normalise(unicodedata.normalize("NFC", text))


@given(st.lists(st.text(max_size=5)))
def test_all_are_mapped(texts):
    assert normalise_all(texts) == {text: normalise(text) for text in texts}
