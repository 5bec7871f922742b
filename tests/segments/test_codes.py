"""Hashes, UUIDs and long numbers are told from words, in names of things too."""

import base64
import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.segments.codes import speaks

WORDS = (
    "signup channel: app", "age group: 25-34", "town: São Paulo", "Windows10", "iPhone15ProMax",
    "PlayStation5ProBundle", "signupViaMobileAppBanner", "COVID19vaccine", "zip: 94110", "2024-01-15",
    "sku 85123A", "top 100 items", "B2B_SaaS",
    "Children's", "deadbeef", "喜剧", "会员123", "1 234 567", "",
)  # fmt: skip
CODES = (
    "cohort: 26d31edc-603b-6c9f-2eb0-1257fe20a691", "d41d8cd98f00b204e9800998ecf8427e", "id: 5f4dcc3b", "1700000000",
    "user 13800001234", "B00A2KD8NY", "会员号13800001234", "cohort: 26d31edc-603b-6c9f-2eb0-1257fe2…",
)  # fmt: skip


@pytest.mark.parametrize("text", WORDS)
def test_words_speak(text):
    assert speaks(text)


@pytest.mark.parametrize("text", CODES)
def test_codes_do_not(text):
    assert not speaks(text)


@given(st.binary(min_size=16, max_size=16))
def test_no_uuid_and_no_digest_speaks(data):
    assert not speaks(str(uuid.UUID(bytes=data, version=4))) or not set("0123456789") & set(data.hex())
    digest = hashlib.sha256(data).hexdigest()
    assert not speaks(f"cohort: {digest}")
    assert not speaks(digest[:12])


def test_nearly_no_base64_speaks():
    keys = [base64.b64encode(hashlib.md5(bytes([number])).digest()).decode() for number in range(200)]
    assert sum(map(speaks, keys)) < 20
