"""What the first lines of a CSV file say: its columns, its delimiter, and where its rows begin."""

import codecs
import csv as standard
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.errors import DataError, UsageError
from tasks.sources._declared import check_declared
from tasks.sources._delimiters import BLANKS, cells, uncommented
from tasks.sources._places import Place, opened
from tasks.sources._tables_config import TableConfig

_SAMPLE = 2**16
_SEP = re.compile(r"sep=(.)\s*", re.IGNORECASE)
"""What spreadsheets write above the header for other spreadsheets."""
_OTHERS = {
    b"\x1f\x8b": "packed by gzip; end its name with .gz",
    b"PK\x03\x04": "a zip archive, or a spreadsheet; end an archive's name with .zip, and save a sheet as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet; save the sheet as CSV",
    b"BZh9": "packed by bzip2; unpack it",
    b"\xfd7zXZ": "packed by xz; unpack it",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it",
    b"PAR1\x15": "Parquet; set format: parquet",
    b"SQLite format 3": "a database; name it as url and give a query as sql",
    b"version https://git-lfs": "a pointer of Git LFS; get the file itself with `git lfs pull`",
    b"<!doctype": "a web page, such as of a sign-in; download the file itself",
    b"<html": "a web page, such as of a sign-in; download the file itself",
    b"<?xml": "XML; save it as CSV",
    b'{"': "JSON; set format: jsonl",
}
"""How files that are no CSV begin, in small letters where either will do -> what they are, and what to do."""
_SEARCHED = 100  # lines in which a header is looked for


@dataclass(frozen=True)
class Head:
    """How to read the rest.

    Attributes:
        names: Column names in order; an empty one where the header has none for a column.
        delimiter: What stands between two columns.
        skip: Lines before the first row.
    """

    names: list[str]
    delimiter: str
    skip: int


def head(place: Place, config: TableConfig, needed: Sequence[str] = ()) -> Head:
    """Reads the first lines of a file.

    Args:
        place: The file.
        config: Delimiter, encoding, lines before the header.
        needed: Names that the header should have; if only a later line has them, the error says which.

    Raises:
        DataError: the file is empty, in another encoding, or has another delimiter or lines before its header.
        UsageError: there is no such encoding.
    """
    with opened(place) as stream:
        sample = stream.read(_SAMPLE)
    if not sample.strip():
        raise DataError(f"{place.name} is empty; it has not even a header")
    for begin, what in _OTHERS.items():
        if begin in (sample[: len(begin)], sample[: len(begin)].lower()):
            raise DataError(f"{place.name} is no CSV but {what}")
    if config.header is not None:
        lines = sample.decode(config.encoding, "replace").lstrip("\ufeff").splitlines()
        beyond = (config.wide,) if config.ragged and config.wide else ()
        lines = uncommented(lines, config.comment)
        delimiter, skip = _begin(lines, config)
        if "skip_lines" not in config.model_fields_set:
            check_declared(config.header, [cells(line, delimiter) for line in lines[skip:_SEARCHED]], place.name)
        return Head([*config.header, *beyond], delimiter, skip)
    lines = uncommented(_decode(sample, place, config).lstrip("\ufeff").splitlines(), config.comment)
    delimiter, skip = _begin(lines, config)
    if len(lines) <= skip:
        raise DataError(
            f"{place.name} ends before its header; it has {len(lines)} lines, and skip_lines passes over {skip}"
        )
    names = _cells(lines[skip:], delimiter, config, place)
    if "\0" in lines[skip]:
        raise DataError(f"{place.name} is no text: its first line holds NUL characters")
    _check_first(names, lines[skip:], skip, delimiter, place, needed)
    return Head(names, delimiter, skip + 1)


def _begin(lines: list[str], config: TableConfig) -> tuple[str, int]:
    """The delimiter, and how many lines stand before the header."""
    skip = config.skip_lines
    said = _SEP.fullmatch(lines[skip]) if len(lines) > skip else None
    if said is None:
        return config.delimiter, skip
    return config.delimiter if "delimiter" in config.model_fields_set else said[1], skip + 1


def _cells(lines: list[str], delimiter: str, config: TableConfig, place: Place) -> list[str]:
    """Cells of the first of the lines."""
    if len(delimiter) > 1:
        return cells(lines[0], delimiter)
    form: dict[str, Any] = {"quotechar": config.quote} if config.quote else {"quoting": standard.QUOTE_NONE}
    try:
        return next(standard.reader((f"{line}\n" for line in lines), delimiter=delimiter, **form), [])
    except standard.Error as error:
        raise DataError(f"{place.name}: the header cannot be read: {error}") from None


def _check_first(
    names: list[str], lines: list[str], skip: int, delimiter: str, place: Place, needed: Sequence[str]
) -> None:
    """DataError where the first line is no header, or one with another delimiter."""
    if needed and not set(needed) <= set(names):
        for number, line in enumerate(lines[1:_SEARCHED], skip + 2):
            if set(needed) <= {cell.strip('"') for cell in cells(line, delimiter)}:
                raise DataError(
                    f"{place.name}: the header is line {number}, not line {skip + 1}; set skip_lines: {number - 1}"
                )
    if len(names) == 1:
        for other in (",", ";", "\t", "|"):
            if other != delimiter and other in names[0]:
                raise DataError(
                    f"{place.name}: the header is one column; it looks separated by {other!r}: set delimiter"
                )
        _check_blank(lines, delimiter, place, needed)


def _check_blank(lines: list[str], delimiter: str, place: Place, needed: Sequence[str]) -> None:
    """DataError where the first line is a comment, or has all its columns in one, with blanks between them."""
    if set(needed) <= {lines[0]}:
        return
    if lines[0].startswith(("#", "%")):
        raise DataError(f"{place.name}: the first line begins with {lines[0][0]}; if it is a comment, set comment")
    if delimiter != BLANKS and len(lines[0].split()) > 1 and set(needed) <= set(lines[0].split()):
        raise DataError(f"{place.name}: the header is one column; blanks part its words: set delimiter: {BLANKS}")


def _decode(sample: bytes, place: Place, config: TableConfig) -> str:
    """The sample as text, up to its last whole line.

    Raises:
        DataError: it is in another encoding.
    """
    try:
        decoder = codecs.getincrementaldecoder(config.encoding)
    except LookupError:
        raise UsageError(f"{place.name}: there is no encoding {config.encoding!r}") from None
    if sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) and "16" not in config.encoding:
        raise DataError(f"{place.name} is UTF-16; set encoding: utf-16")
    first = sample[: sample.find(b"\n") + 1 or None] if "16" not in config.encoding else sample
    try:
        decoder("strict").decode(first)
    except UnicodeError:
        raise DataError(f"{place.name}: the header is not {config.encoding}; set encoding, such as gb18030") from None
    lines = sample.splitlines()[:-1] if len(sample) == _SAMPLE else sample.splitlines()
    broken = sum(not _valid(line, config.encoding) for line in lines) if "16" not in config.encoding else 0
    if broken > max(1, len(lines) // 2):
        raise DataError(f"{place.name} is not {config.encoding}; set encoding, such as gb18030 or latin-1")
    return sample.decode(config.encoding, "replace")


def _valid(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeError:
        return False
    return True
