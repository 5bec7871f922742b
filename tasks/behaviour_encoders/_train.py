"""Training: over streamed buckets, seeded epoch by epoch, ended where held-out events are told no better."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from schemas.errors import DataError
from schemas.sequences import Sequences
from tasks.behaviour_encoders._batches import gap_codes, padded, shuffled, windows
from tasks.behaviour_encoders._net import noise
from tasks.behaviour_encoders._objectives import Model, Objective

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int], None]
"""Hears (events read, events to read at most)."""
_BEST, _FACTS = "best.", "facts"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what Adam remembers of a parameter


@runtime_checkable
class Keep(Protocol):
    """What hears of progress and also keeps what a training that was killed goes on from."""

    def load(self) -> "dict[str, np.ndarray] | None":
        """What was kept last; None: nothing."""
        ...

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keeps arrays in place of those before."""
        ...


@dataclass
class Course:
    """How far a training is.

    Attributes:
        epoch: Epochs that were run.
        steps: Steps that were taken.
        score: The best validation so far.
        since: Epochs since then.
        losses: Mean loss of each epoch.
        best: Parameters of that validation.
    """

    epoch: int = 0
    steps: int = 0
    score: float = -np.inf
    since: int = 0
    losses: list[float] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)


def train(
    model: Model,
    buckets: Iterable[Sequences],
    objective: Objective,
    seed: int,
    progress: Progress | None = None,
) -> Course:
    """Trains in place, and leaves the parameters of the best validation.

    Each epoch draws from (seed, epoch), so what was killed goes on as if it had not been.

    Raises:
        DataError: the loss is no finite number any more.
    """
    import torch

    parameters = {**dict(model.net.named_parameters()), **model.items.parameters()}
    config, keep = model.config, progress if isinstance(progress, Keep) else None
    adam = torch.optim.AdamW(parameters.values(), lr=config.learning_rate, weight_decay=config.weight_decay)
    course = _taken_up(parameters, adam, keep)
    held = Held(buckets, config, seed)
    while course.epoch < config.epochs and course.since < config.patience:
        told = _told(progress, course.epoch, config.epochs, held.events)
        course.losses.append(_epoch(model, held, objective, adam, (seed, course), told))
        course.epoch += 1
        score = held.score(model, objective)
        course.since += 1
        if not score <= course.score:  # no validation at all counts as better
            course.score, course.since = score, 0
            course.best = {name: value.detach().clone() for name, value in parameters.items()}
        if keep is not None:
            keep.save(_kept(parameters, adam, course))
    with torch.no_grad():
        for name, value in course.best.items():
            parameters[name].copy_(value)
    return course


class Held:
    """Histories without the newest event of those users who validate."""

    def __init__(self, buckets: Iterable[Sequences], config: Any, seed: int) -> None:
        self._buckets, self._config, self._seed = buckets, config, seed
        sizes = [(int((one.lengths > 2).sum()), len(one.items)) for one in buckets]
        self.events = sum(events for _, events in sizes)
        self._share = min(1.0, config.validation_users / max(sum(users for users, _ in sizes), 1))

    def bucket_of(self, number: int, one: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """(n,) where each history ends for training, and which users validate; short ones never do."""
        rng = np.random.default_rng((self._seed, 1, number))
        chosen = (rng.random(len(one)) < self._share) & (one.lengths > 2)
        return one.starts[1:] - chosen, np.flatnonzero(chosen)

    def __iter__(self) -> Any:
        """Yields (bucket's number, sequences, ends)."""
        for number, one in enumerate(self._buckets):
            yield number, one, self.bucket_of(number, one)[0]

    def score(self, model: Model, objective: Objective) -> float:
        """Mean score of the events that were kept out; NaN where there are none."""
        import torch

        found = [np.empty(0)]
        length = self._config.max_length + 1
        with torch.no_grad():
            for number, one in enumerate(self._buckets):
                users, gaps = self.bucket_of(number, one)[1], gap_codes(one)
                order = users[np.argsort(one.lengths[users], kind="stable")]
                for at in range(0, len(order), 256):
                    some = order[at : at + 256]
                    ends = one.starts[some + 1]
                    begins = np.maximum(one.starts[some], ends - length)
                    found.append(objective.score(model, padded(one, gaps, begins, ends)))
        whole = np.concatenate(found)
        return float(np.nanmean(whole)) if np.isfinite(whole).any() else float("nan")


def _epoch(
    model: Model, held: Held, objective: Objective, adam: Any, place: tuple[int, Course], told: Progress | None
) -> float:
    """One reading of everything; the mean loss."""
    import torch

    (seed, course), config = place, model.config
    device = next(model.net.parameters()).device
    generator = torch.Generator(device).manual_seed(int(np.random.default_rng((seed, 2, course.epoch)).integers(2**62)))
    drop, total, steps, done = noise(generator), 0.0, 0, 0
    for number, one, ends in held:
        rng, gaps = np.random.default_rng((seed, 3, course.epoch, number)), gap_codes(one)
        begin, end = windows(one.starts[:-1], ends, config.max_length + 1)
        for some in shuffled(begin, end, config.batch_size, rng):
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = objective.loss(model, padded(one, gaps, begin[some], end[some]), rng, drop)
            if loss is None:
                continue
            total, steps = total + _step(loss, adam, config.clip, course), steps + 1
            done += int((end - begin)[some].sum())
            if told is not None:
                told(done, held.events)
    return total / steps if steps else 0.0


def _step(loss: Any, adam: Any, clip: float, course: Course) -> float:
    import torch

    value = float(loss.detach())
    if not np.isfinite(value):
        raise DataError(
            f"behaviour encoder: the loss became {value} in epoch {course.epoch + 1}, step {course.steps + 1}; lower "
            "learning_rate or clip"
        )
    adam.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([one for group in adam.param_groups for one in group["params"]], clip)
    adam.step()
    course.steps += 1
    return value


def _told(progress: Progress | None, epoch: int, epochs: int, events: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _: progress(epoch * events + min(done, events), epochs * events)


def _kept(parameters: "Mapping[str, torch.Tensor]", adam: Any, course: Course) -> dict[str, np.ndarray]:
    """Everything that the next epoch depends on."""
    made = {name: value.detach() for name, value in parameters.items()}
    made |= {f"{_BEST}{name}": value for name, value in course.best.items()}
    for name, value in parameters.items():
        made |= {f"{part}.{name}": state for part, state in adam.state.get(value, {}).items() if part in _MOMENTS}
    arrays = {name: value.cpu().numpy().copy() for name, value in made.items()}
    facts = [course.epoch, course.steps, course.score, course.since, *course.losses]
    return {**arrays, _FACTS: np.asarray(facts, np.float64)}


def _taken_up(parameters: "Mapping[str, torch.Tensor]", adam: Any, keep: Keep | None) -> Course:
    """Where a training that was killed had come to; its beginning where nothing was kept."""
    import torch

    arrays = None if keep is None else keep.load()
    if arrays is None:
        return Course()
    epoch, steps, score, since, *losses = arrays[_FACTS].tolist()
    course = Course(int(epoch), int(steps), score, int(since), losses)
    kept = {name: torch.from_numpy(value) for name, value in arrays.items()}
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(kept[name])
            if f"{_BEST}{name}" in kept:
                course.best[name] = kept[f"{_BEST}{name}"].to(value.device)
            if f"{_MOMENTS[0]}.{name}" in kept:
                step, *moments = (kept[f"{part}.{name}"] for part in _MOMENTS)
                adam.state[value] = dict(zip(_MOMENTS, (step, *(one.to(value.device) for one in moments)), strict=True))
    return course
