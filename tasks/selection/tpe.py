"""A tree-structured Parzen estimator over the search space (Bergstra et al. 2011), by optuna (the extra `search`).

It asks for candidates and is told what they measured, so that the caller decides where and how they run.
"""

from collections.abc import Callable, Sequence
from typing import Any

from schemas.errors import UsageError
from tasks.selection.space import Candidate, Item, concrete, coordinates, expand, size

BATCH = 4
"""Candidates asked for at once, so that they are fitted side by side; more would learn less from each other."""
Place = tuple[int, tuple[int, ...]]
_ATTEMPTS = 20  # questions about items that are used up, before any untried candidate is taken


class Search:
    """Ask and tell over the combinations of a space; each is tried once.

    Args:
        items: The search space, as for `expand`; it is expanded, so keep it below some ten thousand combinations.
        seed: Seed of the sampler: same seed and same answers, same questions.
        startup: Random candidates before the estimator takes over.

    Raises:
        UsageError: optuna is not installed, or the space is not legal.
    """

    def __init__(self, items: Sequence[Item], seed: int, startup: int = 8) -> None:
        try:
            import optuna
        except ImportError:
            raise UsageError("search: mode tpe needs optuna; install the extra `search`") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._items, waiting = items, {candidate.config: candidate for candidate in expand(items)}
        numbered = ((coordinates(items, number), concrete(items, number)) for number in range(size(items)))
        self._left: dict[Place, Candidate] = {
            place: waiting.pop(config) for place, config in numbered if config in waiting
        }
        self._asked: dict[str, tuple[Place, Any]] = {}
        self._values: dict[Place, float | None] = {}
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)

    def ask(self) -> Candidate | None:
        """The next candidate to try; None when all were.

        Where the estimator wants one that was tried, it is told the answer again (which makes it look elsewhere), and
        the nearest untried one stands in.
        """
        if not self._left:
            return None
        for _ in range(_ATTEMPTS):
            trial = self._study.ask()
            place = self._suggest(trial)
            if place in self._left:
                return self._take(place, trial)
            self._settle(trial, self._values.get(place))
            if any(other[0] == place[0] for other in self._left):
                break  # its item has untried ones
        return self._stand_in(min(self._left, key=lambda other: self._apart(place, other)))

    def tell(self, name: str, value: float | None) -> None:
        """What a candidate measured, higher is better; None: refused, which counts as worse than any value."""
        place, trial = self._asked.pop(name)
        self._values[place] = value
        self._settle(trial, value)

    def _take(self, place: Place, trial: Any) -> Candidate:
        candidate = self._left.pop(place)
        self._asked[candidate.name] = place, trial
        return candidate

    def _stand_in(self, place: Place) -> Candidate:
        """Make the study ask for this place."""
        self._study.enqueue_trial(self._parameters(place))
        trial = self._study.ask()
        self._suggest(trial)
        return self._take(place, trial)

    def _settle(self, trial: Any, value: float | None) -> None:
        from optuna.trial import TrialState

        if value is None:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, value)

    def _suggest(self, trial: Any) -> Place:
        """The place that a trial draws: an item, then a value of each of its parameters."""
        at = trial.suggest_categorical("item", list(range(len(self._items))))
        places = []
        for parameter, values in self._items[at].grid.items():
            label, count = f"{at}.{parameter}", len(values)
            if _ordered(values):  # a scale: near values are alike, which the estimator makes use of
                places.append(trial.suggest_int(label, 0, count - 1))
            else:
                places.append(trial.suggest_categorical(label, list(range(count))))
        return at, tuple(places)

    def _parameters(self, place: Place) -> dict[str, int]:
        at, places = place
        names = (f"{at}.{parameter}" for parameter in self._items[at].grid)
        return {"item": at, **dict(zip(names, places, strict=True))}

    def _apart(self, a: Place, b: Place) -> float:
        """Summed share of each scale between two places, 1 for another name; infinite for another item."""
        if a[0] != b[0]:
            return float("inf")
        grid = self._items[a[0]].grid.values()
        pairs = zip(grid, a[1], b[1], strict=True)
        return sum(abs(x - y) / len(values) if _ordered(values) else float(x != y) for values, x, y in pairs)


def search(
    items: Sequence[Item], seed: int, limit: int | None, measure: Callable[[list[Candidate]], list[float | None]]
) -> None:
    """Tries candidates, a few at a time, each batch chosen by what the ones before it measured.

    Args:
        items: The search space.
        seed: Of the sampler.
        limit: Candidates at most; None: all combinations.
        measure: Fits some candidates and tells what each measured, higher is better; None: refused.

    Raises:
        UsageError: optuna is not installed, or the space is not legal.
    """
    asker, left = Search(items, seed), size(items) if limit is None else limit
    while batch := [one for one in (asker.ask() for _ in range(min(BATCH, left))) if one is not None]:
        left -= len(batch)
        for one, value in zip(batch, measure(batch), strict=True):
            asker.tell(one.name, value)


def _ordered(values: Sequence[Any]) -> bool:
    """Whether the values are numbers in ascending order."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == len(values) and numbers == sorted(numbers)
