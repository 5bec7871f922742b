"""What a language model is tuned on, and what came of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from schemas.reports import Difference, Report

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Examples:
    """Texts, and which of them belong together.

    Attributes:
        texts: Distinct, sorted.
        pairs: (m, 2) int64 places in `texts`; a pair that several users had stands several times.
    """

    texts: tuple[str, ...]
    pairs: "np.ndarray"


class Tuning(Report):
    """What came of tuning a language model on one slice of everyone's history."""

    objective: str
    method: str
    used: bool = Field(description="whether texts are read by the tuned model; no: by the frozen one")
    why: str = Field(description="in words, with the figures")
    texts: int = Field(description="texts that it learned from")
    pairs: int = Field(description="pairs that it learned from")
    steps: int = Field(0, description="batches until it ended")
    best: int = Field(0, description="batches after which the texts watched were found best; 0: before any")
    watched: tuple[float, ...] = Field(
        (), description="recall on the texts watched, before the first batch and at each look"
    )
    judged: Difference | None = Field(
        None, description="recall of the partners of texts that were neither trained on nor watched: tuned minus frozen"
    )
