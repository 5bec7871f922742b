"""What one pass over a table counted: the small frame that the expectations look at, and the memory of the last run."""

from pydantic import Field

from schemas.reports import Report

ROWS = "rows"
DUPLICATES = "key.duplicates"
DISTINCT, COPIED = "distinct", "copied"
"""Share of rows that repeat no other one, and of users whose whole history is another user's."""
COLUMNS, NO_STRANGE_COLUMNS, DTYPES = "columns", "no_strange_columns", "dtypes"
"""Rules about a table's schema, which are checked beside the suites."""


class Moments(Report):
    """Count, mean and sum of squared deviations of a column's finite values; sums over buckets by Chan's formula."""

    n: int
    mean: float
    m2: float

    @property
    def std(self) -> float:
        """Standard deviation of the population; 0 where there is no value."""
        return float((self.m2 / self.n) ** 0.5) if self.n else 0.0

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both together (Chan, Golub and LeVeque 1979)."""
        n = self.n + other.n
        if n == 0:
            return self
        delta = other.mean - self.mean
        return Moments(
            n=n, mean=self.mean + delta * other.n / n, m2=self.m2 + other.m2 + delta**2 * self.n * other.n / n
        )


class Facts(Report):
    """What is known of one table: counts and moments, never a row's values.

    `counts` holds how many rows break a condition, by `column.condition`; the suites and `tasks/validation` agree on
    these names, and a rule about a fact that nobody counted is reported as broken.
    """

    table: str
    rows: int = 0
    columns: dict[str, str] = Field(default_factory=dict, description="columns at hand and their dtypes")
    unfit: tuple[str, ...] = Field(default=(), description="columns of another dtype than the contract's")
    counts: dict[str, int] = Field(default_factory=dict, description="rows that break a condition")
    first: dict[str, str] = Field(
        default_factory=dict, description="locator of one row that breaks a condition, or columns"
    )
    moments: dict[str, Moments] = Field(default_factory=dict, description="of numeric columns, finite values only")
    shares: dict[str, dict[str, int]] = Field(default_factory=dict, description="rows per value of few-valued columns")
    histories: dict[str, int] = Field(
        default_factory=dict,
        description="hash of a user's history -> users who have it; a sample, counted and not kept",
    )
    numbers: dict[str, float] = Field(default_factory=dict, description="further figures about the table")
    tables: tuple[str, ...] = Field(default=(), description="tables that are validated together with this one")
    previous: "Facts | None" = Field(default=None, description="the same table in the previous accepted run")

    def values(self) -> dict[str, float]:
        """All figures by name: one row of the frame that the suite looks at."""
        return {ROWS: float(self.rows), **{name: float(count) for name, count in self.counts.items()}, **self.numbers}
