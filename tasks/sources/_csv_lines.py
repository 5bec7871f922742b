"""The rows of a CSV file as its lines tell them: a count that does not rest on what a parser makes of the quotes.

A quote that nobody closes makes one row of all the rows down to the next such quote. To a parser that row is as good as
any other; only its lines tell, each of which is a row of its own where quotes mean nothing.
"""

import re
from typing import Any

_STRAY = 0.9  # share of a row's lines that are whole rows by themselves, from which on its quotes are strays
_LINE_END = re.compile(rb"[\r\n]")


class Lines:
    """A stream that looks at the rows passing by.

    Attributes:
        rows: Rows so far, broken ones included; lines that hold nothing are none.
        swallowed: Number of a row, from 1 -> how many rows a stray quote made it of.
        opened: Number of the row that a quote opens and nothing closes, where it runs over lines.
    """

    closed = False

    def __init__(self, stream: Any, quote: str, delimiter: str, columns: int, skip: int) -> None:
        self._stream, self._skip = stream, skip
        self._quote, self._delimiter, self._columns = quote.encode(), delimiter.encode(), columns
        q, d = re.escape(self._quote or b"\0"), re.escape(self._delimiter)
        self._opener = re.compile(rb"(?:\A|(?<=[\r\n])|(?<=%b))%b" % (d, q))  # within a cell a quote is a letter
        self._closer = re.compile(
            rb"[^%b]*(?:%b%b[^%b]*)*%b(?!%b)" % (q, q, q, q, q, q)
        )  # and two in a row stand for one
        self._rest, self._begun = b"", False
        self.rows = 0
        self.swallowed: dict[int, int] = {}
        self.opened: int | None = None

    def read(self, size: int = -1) -> bytes:
        """Some bytes, unchanged; none at the end."""
        block: bytes = self._stream.read(size)
        text = self._headless(self._rest + block)
        self._rest = text if self._skip or not text else self._look(text if block else text + b"\n", last=not block)
        return block

    def close(self) -> None:
        """Whoever opened the stream closes it."""

    def _headless(self, text: bytes) -> bytes:
        """The text without a byte order mark and without the lines before the first row."""
        if not self._begun:
            text, self._begun = text.removeprefix(b"\xef\xbb\xbf"), True
        while self._skip and (end := re.search(rb"\r\n?|\n", text)):
            text, self._skip = text[end.end() :], self._skip - 1
        return text

    def _look(self, text: bytes, last: bool) -> bytes:
        """Counts the whole rows of a text that begins with one; what comes after them."""
        import numpy as np

        letters = np.frombuffer(text, np.uint8)
        ends = np.flatnonzero((letters == 10) | (letters == 13))
        begins, within = np.append(0, ends + 1), np.zeros(len(ends), bool)
        odd, line, several, broken = self._odd(text, letters, ends), 0, [], False
        while (at := np.searchsorted(odd, line)) < len(odd):
            first = int(odd[at])
            if broken := (stop := self._row_end(text, int(begins[first]))) is None:
                ends, within, begins = ends[:first], within[:first], begins[: first + 1]
                break
            final = int(np.searchsorted(ends, stop))
            within[first:final] = True
            several += [(first, final)] if final > first else []
            line = final + 1
        numbers = self.rows + np.cumsum((np.diff(np.append(-1, ends)) > 1) & ~within)
        for first, final in several:
            self._judge(text[int(begins[first]) : int(ends[final])], int(numbers[final]))
        self.rows = int(numbers[-1]) if len(numbers) else self.rows
        if broken and last:  # the last row: cut short, or one that took in all the rows below
            self.rows += 1
            self.opened = self.rows if _LINE_END.search(text[:-1], int(begins[-1])) else None
        return text[int(begins[-1]) :]

    def _odd(self, text: bytes, letters: Any, ends: Any) -> Any:
        """The lines with an odd number of quotes: all others close what they open."""
        import numpy as np

        if not self._quote or self._quote not in text:
            return np.empty(0, np.int64)
        even = np.cumsum(letters == self._quote[0], dtype=np.uint8)[ends] % 2
        return np.flatnonzero(np.diff(even, prepend=np.uint8(0)))

    def _row_end(self, text: bytes, at: int) -> int | None:
        """Where the row that begins there ends; None where a quote is left open."""
        while (end := _LINE_END.search(text, at)) is not None:
            opener = self._opener.search(text, at, end.start())
            if opener is None:
                return end.start()
            if (closer := self._closer.match(text, opener.end())) is None:
                return None
            at = closer.end()
        return None

    def _judge(self, row: bytes, number: int) -> None:
        """Whether a row of several lines is several rows: nearly every line has as many cells as the header."""
        lines = row.splitlines()
        alike = sum(line.count(self._delimiter) == self._columns - 1 for line in lines)
        if self._columns > 1 and alike >= _STRAY * len(lines):
            self.swallowed[number] = len(lines)
