"""Trains an encoder of behaviour on streamed histories, and encodes every user with it.

One that starts from the live model's has its vectors turned into the live model's space, by the orthogonal map that
fits the users whose behaviour did not change.
"""

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import Fitted, RunContext, State
from schemas.config import Section, TextsConfig, kind_of
from schemas.execution import ExecutionConfig
from schemas.runs import Embedded
from schemas.sequences import Sequences
from schemas.tables import ITEMS, Bucket
from tasks.disk.artifacts import fingerprint
from tasks.encoders import place
from tasks.execution.scheduler import Progress
from tasks.plugins.find import module_of
from tasks.segments.bundle import Bundle, family_state
from tasks.sequences.encoder import COLUMNS, ENCODER, Reader, arrays_of
from tasks.sequences.stream import Resumed, Stream
from tasks.sequences.turn import procrustes
from tasks.sequences.vocabulary import Known, Speaks, described, vocabulary
from tasks.stores.buckets import Refs, read_table
from tasks.stores.pointer import Live
from tasks.texts.templates import item_texts
from tasks.vectors.encoder import cache_of, encode, reader_of
from tasks.vectors.features import ISOMETRIC
from tasks.vectors.learner import Learner, keep_state

if TYPE_CHECKING:
    import polars as pl

_FROM = "learned from"
_ANCHORS = 4  # users per dimension that a turn is fitted on at least


def fit_behaviour(
    tables: Refs,
    config: Section,
    texts: Embedded | None,
    run: RunContext,
    execution: ExecutionConfig,
    live: tuple[State, datetime] | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Trains an encoder on a slice of everyone's history and encodes every user of it.

    Args:
        tables: Input tables by name.
        config: A `Config` of `tasks/behaviour_encoders`.
        texts: The text block, whose encoder also reads what items are called; None: items have no texts.
        run: Gives as_of, seed, code version and the state folder.
        execution: Where the work runs.
        live: What the live model's encoder of the kind learned, and until when it had seen; None: starts anew.
        progress: Hears (done, of).
    """
    kind, speaks = kind_of(config), _speaks(texts, run.home)
    told = None if texts is None else texts.encoder["fingerprint"]
    before = live if live is not None and config.warm else None  # type: ignore[attr-defined]
    learner = Learner(module_of("behaviour_encoders", config), kind, config, tables, run, execution)
    start = None if before is None else (fingerprint(_told_apart(before[0])), before[1])
    digest = fingerprint("behaviour", learner.keys("fit", told, clockless=True), run.seed, start)

    def learn() -> State:
        if before is not None and before[0].meta.get(_FROM) == _lesson(learner, Known.of(before[0]), told):
            return before[0]  # nothing is new: nothing is learned
        catalogue = read_table(tables[ITEMS.name]) if ITEMS.name in tables else None
        if texts is not None and speaks is not None and catalogue is not None:
            _fill(catalogue, texts, speaks, run, execution)
        kept = Resumed(run.home, digest, progress)
        made = _learned(learner, (catalogue, speaks), before, kept)
        made.meta[_FROM] = _lesson(learner, Known.of(made), told)
        kept.done()
        return made

    state = keep_state(run, f"state-{kind}", digest, learn)

    def read(bucket: Bucket, fitted: State) -> "pl.DataFrame":
        return Reader(fitted, config, speaks).read(bucket, run.as_of)

    return Fitted(state=state, output=learner.apply(f"behaviour-{kind}", state, read, (told,), None))


def live_encoder(champion: tuple[Live, Bundle] | None, as_of: datetime, kind: str) -> tuple[State, datetime] | None:
    """What the live model's encoder of a kind learned, and until when it had seen.

    None where there is none, or where it may have seen what comes after the moment.
    """
    if champion is None or champion[0].as_of > as_of:
        return None
    state = champion[1].states.get(family_state(kind))
    return None if state is None else (state, champion[0].as_of)


def _lesson(learner: Learner, known: Known, told: str | None) -> str:
    """A fingerprint of all that a training sees: histories in the codes of a vocabulary, and how it reads them."""
    run, seen = learner.run, sha256()
    for one in Stream(learner.tables, known, run.as_of):
        for part in (one.starts, one.items, one.kinds, one.times):
            seen.update(part.tobytes())
    return fingerprint(seen.hexdigest(), learner.config, told, run.seed, run.code_version)


def _learned(
    learner: Learner,
    told: "tuple[pl.DataFrame | None, Speaks | None]",
    before: tuple[State, datetime] | None,
    progress: Progress,
) -> State:
    """Trains, turns into the live model's space where there is one, and packs; `told`: the catalogue and its texts."""
    config, run, tables = learner.config, learner.run, learner.tables
    known, rows = vocabulary(learner, told[0], None if before is None else Known.of(before[0]))
    things = described(rows, known, told[1])
    stream = Stream(tables, known, run.as_of)
    init = None if before is None else arrays_of(before[0])
    rng, device = np.random.default_rng(run.seed), place(learner.execution.device)
    module = module_of("behaviour_encoders", config)
    encoder = module.fit(stream, things, config, rng, device, init=init, progress=progress)
    score, epochs = encoder.score, len(encoder.losses)
    anchors = 0
    warm = encoder.warm
    if before is not None and warm:
        encoder, anchors = _turned(encoder, before, stream, module.from_arrays(init, config))
    columns = [f"{kind_of(config)}_{j:02d}" for j in range(config.dimension)]  # type: ignore[attr-defined]
    facts = {"validation": None if np.isnan(score) else score, "epochs": epochs, "anchors": anchors, "warm": warm}
    arrays = {f"{ENCODER}{name}": value for name, value in encoder.arrays().items()}
    return State({**arrays, **known.arrays()}, {COLUMNS: columns, ISOMETRIC: True, **facts})


def _turned(encoder: Any, before: tuple[State, datetime], stream: Stream, old: Any) -> tuple[Any, int]:
    """The encoder in the live model's space, and how many users say how; too few: as it is."""
    then, now = [], []
    items = len(Known.of(before[0]).items)
    for one in stream.unchanged(before[1]):
        was = Sequences(one.starts, np.where(one.items < items, one.items, -1), one.kinds, one.times)
        then.append(old.encode(was).astype(np.float64))
        now.append(encoder.encode(one).astype(np.float64))
    left, right = np.concatenate(now), np.concatenate(then)
    there = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
    left, right = left[there], right[there]
    if len(left) < _ANCHORS * left.shape[1]:
        return encoder, 0
    turn, shift = procrustes(left, right)
    return encoder.turned(turn, shift), len(left)


def _speaks(texts: Embedded | None, home: str) -> Speaks | None:
    """The texts of items, where users speak by them too."""
    if texts is None:
        return None
    config = TextsConfig(**texts.config)
    if not config.consumed_weight:
        return None
    return Speaks(config, cache_of(reader_of(texts), home).get, texts.encoder["dimension"])


def _fill(
    catalogue: "pl.DataFrame", texts: Embedded, speaks: Speaks, run: RunContext, execution: ExecutionConfig
) -> None:
    """Encodes what items are called that the cache lacks."""
    told = item_texts(catalogue, speaks.config)
    encode(told[told.columns[-1]].to_list(), reader_of(texts, execution.device), run.home, execution)


def _told_apart(state: State) -> list[str]:
    """What tells a state from others."""
    return [f"{name} {sha256(state.arrays[name].tobytes()).hexdigest()}" for name in sorted(state.arrays)]
