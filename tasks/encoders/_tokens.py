"""From texts to rows of token ids."""

import threading
import unicodedata
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Rows = list[list[int]]


@dataclass(frozen=True)
class Tokeniser:
    """Makes rows of token ids, special tokens included, of at most `max_tokens` each.

    Attributes:
        tokenizer: A transformers tokenizer.
        prefix: Put before each text.
        max_tokens: Tokens per row, special ones and `suffix` included.
        chunk: Whether a longer text makes several rows; otherwise it is cut.
        nfkc: Whether texts are brought into NFKC first.
        suffix: Ids put after each row (a decoder's end of text).
    """

    tokenizer: Any
    prefix: str
    max_tokens: int
    chunk: bool
    nfkc: bool
    suffix: tuple[int, ...] = ()
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self, texts: list[str]) -> tuple[Rows, np.ndarray]:
        """Rows of token ids, and the text (index) that each row belongs to."""
        prepared = [self.prefix + (unicodedata.normalize("NFKC", text) if self.nfkc else text) for text in texts]
        with self.lock:  # a Rust tokenizer refuses to change its truncation while another thread reads it
            return self._chunks(prepared) if self.chunk else self._cut(prepared)

    def _ids(self, texts: list[str], **options: Any) -> Rows:
        quiet = {"return_attention_mask": False, "return_token_type_ids": False, "padding": False, "verbose": False}
        return self.tokenizer(texts, **quiet, **options)["input_ids"]

    def _cut(self, texts: list[str]) -> tuple[Rows, np.ndarray]:
        rows = self._ids(texts, truncation=True, max_length=self.max_tokens - len(self.suffix))
        return [[*row, *self.suffix] or [self._filler()] for row in rows], np.arange(len(rows))

    def _chunks(self, texts: list[str]) -> tuple[Rows, np.ndarray]:
        before, after = self._special()
        room = max(self.max_tokens - len(before) - len(after), 1)
        rows: Rows = []
        owner: list[int] = []
        for text, ids in enumerate(self._ids(texts, add_special_tokens=False, truncation=False)):
            for start in range(0, max(len(ids), 1), room):
                rows.append([*before, *ids[start : start + room], *after] or [self._filler()])
                owner.append(text)
        return rows, np.array(owner, dtype=np.int64)

    def _special(self) -> tuple[list[int], list[int]]:
        """Ids that the tokenizer puts before and after every text, read off a short one."""
        bare = self._ids(["a"], add_special_tokens=False)[0]
        whole = self._ids(["a"])[0]
        at = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
        return whole[:at], [*whole[at + len(bare) :], *self.suffix]

    def _filler(self) -> int:
        """The one token of an empty text where the tokenizer adds none of its own."""
        tokenizer = self.tokenizer
        ids = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
        return next((int(token) for token in ids if token is not None), 0)
