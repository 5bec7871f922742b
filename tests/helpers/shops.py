"""A shop whose tables a test writes period by period, with a state folder and a model of its own."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.config import RetrainConfig, parse
from schemas.gates import GateInput
from schemas.recommended import Recommended
from schemas.runs import Candidate, Served, Summary

START = datetime(2025, 1, 1, tzinfo=UTC)
NAME = "shop"
SETTINGS: dict[str, Any] = {
    "segmentation": NAME, "seed": 1, "ingest": {"buckets": 2}, "represent": {"dimension": 8},
    "features": [{"kind": "collaborative", "dimensions": 8}], "calibration": {"folds": 2},
    "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [5]}}]},
    "evaluate": {"refits": 3, "bootstraps": 100, "random_draws": 2, "seeds": 3, "yardsticks": []}, "ledger": {"log_figures": False},
    "validation": {"row_change": [0.05, 20], "max_mean_shift": 1e6, "max_share_shift": 1.0},
    "gates": {"max_churn": 0.3, "row_change": [0.1, 10]},
}  # fmt: skip


class Shop:
    """Tables, and what retrains made of them.

    Attributes:
        place: Holds `data` and the state folder `home`.
        rng: What the test draws with.
    """

    def __init__(self, place: Path, seed: int, **settings: Any) -> None:
        self.place, self.rng, self.settings = place, np.random.default_rng(seed), {**SETTINGS, "seed": seed, **settings}
        self.tables: dict[str, pl.DataFrame] = {}

    @property
    def home(self) -> str:
        """The state folder."""
        return str(self.place / "home")

    def add(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        """More rows of a table; written at the next retrain."""
        frame = pl.DataFrame(list(rows))
        known = self.tables.get(table)
        self.tables[table] = frame if known is None else pl.concat([known, frame], how="diagonal_relaxed")

    def retrain(self, **changes: Any) -> Summary:
        """A retrain of everything that was written, with some settings changed."""
        from flows.retrain import retrain

        with self._settings(changes) as config:
            return retrain(config)

    def assign(self, only_touched: bool = False, **changes: Any) -> Served:
        """An assignment of everything that was written, with some settings changed."""
        from flows.assign import assign

        with self._settings(changes) as config:
            return assign(config, only_touched)

    def recommend(self, **changes: Any) -> Recommended:
        """Recommendations from everything that was written, with some settings changed."""
        from flows.recommend import recommend

        with self._settings(changes) as config:
            return recommend(config)

    @contextmanager
    def _settings(self, changes: dict[str, Any]) -> Iterator[RetrainConfig]:
        """Writes the tables; a config of them, and the state folder in the environment."""
        data = self.place / "data"
        data.mkdir(parents=True, exist_ok=True)
        source: dict[str, Any] = {"kind": "tables", "root": str(data)}
        for name, frame in self.tables.items():
            frame.write_csv(data / f"{name}.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
            source[name] = {"path": f"{name}.csv"}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FENQUN_HOME", self.home)
            yield parse({**self.settings, "source": source, **changes}, NAME)

    def published(self, table: str = "assignments") -> pl.DataFrame:
        """What readers have."""
        from tasks.stores import tables

        return tables.published(self.home, NAME, table)

    def told(self) -> dict[str, str | None]:
        """User -> the segment that readers have."""
        return dict(self.published().select("user_id", "segment_id").iter_rows())

    def live(self) -> str | None:
        """The version that is live."""
        from tasks.stores import pointer

        live = pointer.read(self.home, NAME).live
        return None if live is None else live.model_version


def failed(summary: Summary) -> set[str]:
    """Gates that refused."""
    return {gate.name for gate in summary.verdict.failures}


def judged(shop: Shop, targets: dict[str, Any], **changes: Any) -> tuple[Summary, GateInput]:
    """A retrain with something replaced, and what its gates were given."""
    from tasks.registry import gate_input

    seen: list[GateInput] = []
    gather = gate_input.gather

    def keep(*args: Any) -> GateInput:
        seen.append(gather(*args))
        return seen[-1]

    with patched({**targets, "tasks.registry.gate_input.gather": keep}):
        told = shop.retrain(**changes)
    return told, seen[-1]


def only_kept(*args: Any) -> list[Candidate]:
    """Of the candidates that start from the champion those that keep its representation."""
    from tasks.candidates.attempt import warm_candidates

    return [one for one in warm_candidates(*args) if one.start == "kept"]


def buys(
    rng: np.random.Generator, user: str, items: Iterable[str], start: datetime = START, days: float = 60
) -> Iterator[dict[str, Any]]:
    """One event for each item, at some moment of the days after `start`."""
    for item in items:
        when = start + timedelta(minutes=int(rng.integers(int(60 * 24 * days))))
        yield {"user_id": user, "item_id": item, "event": "buy", "timestamp": when}


def tasteful(
    rng: np.random.Generator, taste: int, letter: str, n: int = 20, tastes: int = 5, loyal: float = 0.95
) -> list[str]:
    """n items, nearly all of one taste: A0-3 is the fourth item of the first taste among the items A."""
    own = np.where(rng.random(n) < loyal, taste, rng.integers(tastes, size=n))
    return [f"{letter}{one}-{rng.integers(20)}" for one in own]


@contextmanager
def patched(targets: dict[str, Any]) -> Iterator[None]:
    """Names such as `tasks.models.basis.coverage` stand for something else while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in targets.items():
            patch.setattr(name, value)
        yield


@contextmanager
def gates_without(*names: str) -> Iterator[None]:
    """Some gates, by the names of their functions, are not asked while the block runs."""
    from tasks.segments import gates

    left = tuple(one for one in gates.GATES if one.__name__ not in names)
    assert len(left) == len(gates.GATES) - len(names)
    asked = gates.verdict.__kwdefaults__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates.verdict, "__kwdefaults__", {**asked, "gates": left})
        yield
