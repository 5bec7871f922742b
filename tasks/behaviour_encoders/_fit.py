"""Fits an encoder of behaviour: where parameters start, and what a body needs to be a plugin."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import DataError
from schemas.interactions import Items
from schemas.sequences import Sequences
from tasks.behaviour_encoders._fitted import CATEGORIES, NET, SHIFT, TABLE, TEXTS, TURN, Body, FittedEncoder, content_of
from tasks.behaviour_encoders._net import Catalogue, network, started
from tasks.behaviour_encoders._objectives import OBJECTIVES, Model
from tasks.behaviour_encoders._train import Progress, train
from tasks.execution.alone import alone

if TYPE_CHECKING:
    import torch

    from tasks.behaviour_encoders._config import EncoderConfig

_KINDS = f"{NET}kinds.weight"
_GROWS = (TABLE, CATEGORIES, _KINDS)
Made = Callable[..., FittedEncoder]


def fit(
    sequences: Iterable[Sequences],
    items: Items,
    config: "EncoderConfig",
    rng: np.random.Generator,
    device: str,
    make: tuple[Body, str],
    more: tuple[Mapping[str, np.ndarray] | None, Progress | None],
) -> FittedEncoder:
    """Trains a body on streamed histories.

    Args:
        sequences: Buckets of users; read again for every epoch.
        items: What the codes stand for.
        config: The encoder's.
        rng: Where parameters start, and the order of everything.
        device: A torch device.
        make: The body, and the objective that it learns by.
        more: Arrays of an encoder to start from (its items are the first of these), left aside where they have other
            shapes; and what hears of progress, which may also keep what a killed training goes on from: see `Keep`.

    Raises:
        DataError: there is nothing to learn from, or the loss is no number any more.
    """
    import torch

    (body, objective), (init, progress) = make, more
    counts, kinds = _counted(sequences, len(items))
    kinds = max(kinds, len(init[_KINDS]) - 1 if init is not None and _KINDS in init else 0)
    start = started(lambda: network(body(config), kinds, config.dimension), rng)
    own = _embeddings(items, config, rng)
    warm = init is not None and _fits(start, own, init)
    if init is not None and warm:
        _warmed(start, own, init, items)
    place = torch.device(device)
    net = start.to(place)
    leaves = {name: torch.nn.Parameter(torch.from_numpy(value).to(place)) for name, value in own.items()}
    catalogue = Catalogue(leaves[TABLE], leaves[TEXTS], leaves[CATEGORIES], items)
    drawn = (counts + 1.0) ** config.negatives_power
    both_ways = objective == "masked"
    model = Model(net, catalogue, drawn / drawn.sum(), both_ways, config)
    seed = int(rng.integers(2**62))
    course = alone(lambda: train(model, sequences, OBJECTIVES[objective], seed, progress))
    made = FittedEncoder(_arrays(model, items), config, body, both_ways)
    made.warm, made.losses = warm, course.losses
    made.score = course.score if np.isfinite(course.score) else float("nan")
    return made


def read_by(body: Body, objective: str | None = None, trains: bool = True) -> tuple[Made, Made]:
    """`fit` and `from_arrays` of an encoder whose body reads histories.

    Args:
        body: From the config to a module: see `_net.network`.
        objective: What it learns by; None: as its config says.
        trains: Whether it learns at all.
    """

    def fit_body(
        sequences: Iterable[Sequences],
        items: Items,
        config: Any,
        rng: np.random.Generator,
        device: str = "cpu",
        *,
        init: Mapping[str, np.ndarray] | None = None,
        progress: Progress | None = None,
    ) -> FittedEncoder:
        """Trains on streamed histories; see `_fit.fit`."""
        make = (body, objective or config.objective)
        config = config if trains else config.model_copy(update={"epochs": 0})
        return fit(sequences, items, config, rng, device, make, (init, progress))

    def from_arrays(arrays: Mapping[str, np.ndarray], config: Any) -> FittedEncoder:
        """What `arrays()` of a fitted one gave, as a fitted one."""
        return FittedEncoder(arrays, config, body, (objective or config.objective) == "masked")

    return fit_body, from_arrays


def _counted(sequences: Iterable[Sequences], items: int) -> tuple[np.ndarray, int]:
    """(m,) how often each item stands in the histories, and how many kinds of events there are."""
    counts, kinds, events = np.zeros(items, np.int64), 0, 0
    for one in sequences:
        counts += np.bincount(one.items[one.items >= 0], minlength=items)
        kinds, events = max(kinds, int(one.kinds.max(initial=-1)) + 1), events + len(one.items)
    if not events or not items:
        raise DataError("behaviour encoder: no events of known items; switch it off (behaviour_encoders: [])")
    return counts, kinds


def _embeddings(items: Items, config: "EncoderConfig", rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Where the embeddings of items start."""
    d = config.dimension
    t = 0 if items.vectors is None else items.vectors.shape[1]
    c = 0 if items.categories is None else items.categories.shape[1]

    def drawn(rows: int, inputs: int) -> np.ndarray:
        return (rng.standard_normal((rows, d)) / max(inputs, 1) ** 0.5).astype(np.float32)

    return {TABLE: drawn(len(items), d), TEXTS: drawn(t, d), CATEGORIES: drawn(c, d)}


def _fits(net: "torch.nn.Module", own: Mapping[str, np.ndarray], init: Mapping[str, np.ndarray]) -> bool:
    """Whether what another encoder learned has its place in this one, which may know more items and events."""
    here = {f"{NET}{name}": tuple(value.shape) for name, value in net.named_parameters()}
    here |= {name: own[name].shape for name in (TABLE, TEXTS, CATEGORIES)}
    there = {name: value.shape for name, value in init.items() if name not in (TURN, SHIFT)}
    return here.keys() == there.keys() and all(
        here[name][1:] == shape[1:] and (shape == here[name] or (name in _GROWS and shape[0] < here[name][0]))
        for name, shape in there.items()
    )


def _warmed(net: "torch.nn.Module", own: dict[str, np.ndarray], init: Mapping[str, np.ndarray], items: Items) -> None:
    """Puts what another encoder learned in place of where this one starts.

    Items that the other did not know begin at what follows from their content, as it would have read them.
    """
    import torch

    for name, parameter in net.named_parameters():
        value = init[f"{NET}{name}"]
        with torch.no_grad():
            parameter[: len(value)] = torch.from_numpy(np.array(value))
    for name in (TEXTS, CATEGORIES):
        own[name][: len(init[name])] = init[name]
    known = len(init[TABLE])
    own[TABLE][known:] = 0
    own[TABLE][:known] = init[TABLE] - content_of(own, items)[:known]


def _arrays(model: Model, items: Items) -> dict[str, np.ndarray]:
    import torch

    with torch.no_grad():
        learned = {name: value.detach().cpu().numpy() for name, value in model.items.parameters().items()}
        own = {TEXTS: learned["texts"], CATEGORIES: learned["categories"]}
        table = learned["own"] + content_of({TABLE: learned["own"], **own}, items)
        net = {f"{NET}{name}": value.detach().cpu().numpy().copy() for name, value in model.net.named_parameters()}
    return {**net, TABLE: table.astype(np.float32), **own}
