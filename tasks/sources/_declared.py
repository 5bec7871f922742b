"""Whether a header that the config declares stands over lines that begin with a header of their own."""

import re
from collections.abc import Sequence

from schemas.errors import DataError

_WORDS = re.compile(
    r"(user|customer|client|member|account|visitor|buyer|reader|viewer|item|product|article|movie|track|song|book)(id|name)?"
    r"|(session|order|event|action)(id|name|type|time|date)?|uid|sku|asin|isbn|time(stamp)?|date(time)?|when|created(at)?"
    r"|rating|value|amount|price|quantity|qty|score|text|review|message|src|dst|source|target|weight|age|gender|sex|city"
    r"|country|title|description|categor(y|ies)|tags?|genres?|(用户|客户|会员|商品|物品|订单)(id|编号)?|时间戳?|日期|行为|事件"
    r"|评分|金额|数量|价格"
)
"""What columns are called, in small letters and without signs."""
_FEW = 3  # lines that show what rows look like


def check_declared(header: Sequence[str], lines: Sequence[Sequence[str]], place: str) -> None:
    """Refuses a first line that is a header under other names: it would become a user.

    A line is one where it has no figure, and half of its cells are names of columns, or all cells of the lines below
    have figures. The declared header itself, again, is set aside as a row.

    Args:
        header: Names that the config declares.
        lines: Cells of the first lines.
        place: The file.

    Raises:
        DataError: it says by which option the line is passed over, or kept.
    """
    first, *below = [[cell.strip().strip("\"'") for cell in line] for line in lines if any(line)] or [[]]
    if not first or any(map(_figure, first)) or [*first] == [*header][: len(first)]:
        return
    named = sum(_WORDS.fullmatch(re.sub(r"[\W_]", "", cell).lower()) is not None for cell in first)
    rows = [cell for line in below for cell in line if cell]
    apart = len(below) >= _FEW and all(map(_figure, rows))
    if 2 * named >= len(first) or apart:
        told = f"{place}: the first line ({', '.join(first)[:80]}) reads like a header, and the config declares one"
        raise DataError(f"{told}; set skip_lines: 1 to pass over it, or skip_lines: 0 if it is a row")


def _figure(cell: str) -> bool:
    return any(letter.isdigit() for letter in cell)
