"""Whether a text of the data says something to a reader, or is a code: a hash, a UUID, a long number.

A text is a code when one of its runs of Latin letters and digits is
- seven digits or more: a number of an account, a telephone or a moment, and no age, year or postcode;
- eight hexadecimal figures or more, with letters and digits among them: a hash, or a part of a UUID;
- eight signs or more with a digit that change between letters and digits, or from a small letter to a capital, at more
  than 3 of 10 places (2 of 10 in sixteen signs or more), as base64 and made-up keys do (`B00A2KD8NY`) and words do not
  (`iPhone15Pro`).
What people write in other scripts is never taken for a code.
"""

import re
from itertools import pairwise

_RUN = re.compile(r"[0-9A-Za-z]{7,}")
_NUMBER = re.compile(r"[0-9]{7,}")
_HEX = re.compile(r"(?=.*[0-9])(?=.*[A-Fa-f])[0-9A-Fa-f]{8,}")


def speaks(text: str) -> bool:
    """Whether a name may say it."""
    return not any(_code(run) for run in _RUN.findall(text))


def _code(run: str) -> bool:
    if _NUMBER.search(run) or _HEX.fullmatch(run):
        return True
    changes = sum(a.isdigit() != b.isdigit() or (a.islower() and b.isupper()) for a, b in pairwise(run))
    return len(run) >= 8 and any(map(str.isdigit, run)) and changes > len(run) * (0.3 if len(run) < 16 else 0.2)
