"""Columns of numbers that carry a sign, such as $70 or 70%."""

from typing import TYPE_CHECKING

from schemas.errors import DataError
from tasks.sources._tables_config import TableConfig

if TYPE_CHECKING:
    import pyarrow as pa

_SIGN = r"^\s*(?:[$€£¥₹]\s*[+-]?\d[\d.,]*|[+-]?\d[\d.,]*\s*[%$€£¥₹])\s*$"


def unsigned(array: "pa.Array", sign: str) -> "pa.Array":
    """Texts without a sign at their beginning or end; those with another one stay, for the rule of numbers."""
    from pyarrow import compute

    bare = compute.utf8_trim_whitespace(array)
    cut = len(sign)
    for at_end in (True, False):
        found = compute.ends_with(bare, sign) if at_end else compute.starts_with(bare, sign)
        rest = compute.utf8_slice_codeunits(bare, 0, -cut) if at_end else compute.utf8_slice_codeunits(bare, cut)
        bare = compute.utf8_trim_whitespace(compute.if_else(found, rest, bare))
    return bare


def check_signs(array: "pa.Array", own: str, config: TableConfig, origin: str) -> None:
    """Refuses a further column of which nothing is declared and whose first rows are all numbers with a sign.

    As text, every amount would be a class of its own.

    Raises:
        DataError: it names the option.
    """
    from pyarrow import compute

    if own in config.units or own in config.numeric:
        return
    said = array.drop_null()
    if len(said) and compute.all(compute.match_substring_regex(said, _SIGN)).as_py():
        value = said[0].as_py().strip()
        sign = value[0] if not value[0].isdigit() and value[0] not in "+-" else value[-1]
        raise DataError(
            f"{origin}: {own!r} holds numbers with a sign, such as {value[:40]!r}; set units: {{{own}: '{sign}'}}, or "
            f"units: {{{own}: ''}} if it is text"
        )
