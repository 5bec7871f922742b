"""The encoder that reads the texts of a slice: as its folder has it, or tuned on what the slice may see.

Pairs and texts are drawn of the slice's own tables, so nothing later changes a weight. Tuned weights are an artifact,
by a fingerprint of the frozen encoder, the section `tune`, the pairs and texts themselves, seed and code. Their sum is
part of the tuned encoder's fingerprint: its vectors never stand among the frozen one's.
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext, State
from schemas.config import Section, TextsConfig, kind_of
from schemas.errors import UsageError
from schemas.execution import ExecutionConfig
from schemas.tables import EVENTS, ITEMS, TEXT, TEXTS, Bucket
from schemas.tuning import Examples, Tuning
from tasks.disk.artifacts import fingerprint, load_state, produce, save_state
from tasks.encoders import tuned_fingerprint, weights_sum
from tasks.execution.scheduler import Progress
from tasks.plugins.contracts import offers
from tasks.plugins.find import module_of
from tasks.segments.bundle import Encoder
from tasks.stores.buckets import Refs, reduce_buckets
from tasks.texts.pairs import LEFT, RIGHT, Drawing, Drawn, draw, merge
from tasks.vectors.encoder import LazyEncoder, known, recorded

_CAME = "came"


class Reader(NamedTuple):
    """Who reads the texts of a slice.

    Attributes:
        encoder: Frozen or tuned.
        tuned: Its tuned weights; None: frozen.
        tuning: What came of tuning; None: the config asks for none.
    """

    encoder: LazyEncoder
    tuned: ArtifactRef | None = None
    tuning: Tuning | None = None


def reader(
    tables: Refs,
    texts: tuple[TextsConfig, State],
    config: Section,
    run: RunContext,
    execution: ExecutionConfig,
    progress: Progress | None = None,
) -> Reader:
    """The encoder of a config, tuned on these tables where the config says so.

    Args:
        tables: Input tables of the slice.
        texts: Which texts speak for a user, and their fitted weights.
        config: A `Config` of `tasks/encoders`.
        run: Gives as_of, seed, code version and the state folder.
        execution: Where the work runs.
        progress: Hears (batches done, batches at most) of tuning.

    Raises:
        DataError, UsageError: as `known`; or the model cannot be tuned as the config asks.
    """
    how = getattr(config, "tune", None)
    if how is None:
        return Reader(known(config, execution.device, run.home))
    module = module_of("encoders", config)
    if not offers("encoders", module, "tune"):
        raise UsageError(f"encoder {kind_of(config)} cannot be tuned: leave its `tune` out")
    frozen = known(config.model_copy(update={"tune": None}), execution.device, run.home)
    examples = examples_of(tables, texts, how, run, execution)
    content = fingerprint(examples.texts, examples.pairs.tolist())
    digest = fingerprint("tuned", frozen.facts["fingerprint"], how, content, run.seed, run.code_version)

    def write(place: Path) -> dict[str, Any]:
        arrays, came = module.tune(config, examples, run.seed, execution.device, progress)
        save_state(place, State(arrays, {}))
        return {"meta": {_CAME: came.model_dump(mode="json")}}

    made = produce(run.home, "tuned", digest, write)
    return _reader(frozen, made, how, execution.device)


def _reader(frozen: LazyEncoder, made: ArtifactRef, how: Section, device: str) -> Reader:
    """The tuned encoder, or the frozen one where that is as good; both remember how they were to be tuned."""
    came, weights = Tuning(**made.meta[_CAME]), load_state(made)
    facts = frozen.facts | {"config": frozen.facts["config"] | {"tune": how.model_dump(mode="json")}}
    if not came.used:
        return Reader(recorded(Encoder(**facts), device), None, came)
    sha256 = weights_sum(weights.arrays)
    facts |= {"fingerprint": tuned_fingerprint(facts["fingerprint"], sha256), "tuned_sha256": sha256}
    return Reader(recorded(Encoder(**facts), device, weights), made, came)


def examples_of(
    tables: Refs, texts: tuple[TextsConfig, State], how: Any, run: RunContext, execution: ExecutionConfig
) -> Examples:
    """What a slice has to learn from.

    Args:
        tables: Input tables of the slice.
        texts: Which texts speak for a user, and their fitted weights.
        how: The encoder's section `tune`.
        run: Gives as_of and seed.
        execution: Where the work runs.

    Raises:
        UsageError: the objective asks for tables that are not there.
    """
    config, state = texts
    wrote = TEXTS.name in tables and tables[TEXTS.name].rows > 0 and config.written_weight > 0
    took = {EVENTS.name, ITEMS.name} <= tables.keys() and config.consumed_weight > 0
    if not took and (how.objective == "co_consumption" or not wrote):
        raise UsageError("encoder.tune: there are no events and items to pair texts by; tune on written texts (simcse)")
    drawing = Drawing(
        rows="written" if wrote and how.objective != "co_consumption" else "consumed",
        days=how.window_days,
        draws=how.draws,
        pairs=how.max_pairs,
        texts=how.max_texts,
        seed=run.seed,
    )

    def one(bucket: Bucket) -> Drawn:
        return draw(bucket, state, config, run.as_of, drawing)

    drawn = reduce_buckets(tables, one, partial(merge, how=drawing), execution)
    return placed(drawn)


def placed(drawn: Drawn) -> Examples:
    """Pairs as places in the texts, sorted."""
    left, right = drawn.pairs[LEFT].to_list(), drawn.pairs[RIGHT].to_list()
    every = sorted({*drawn.texts[TEXT].to_list(), *left, *right})
    place = {text: at for at, text in enumerate(every)}
    pairs = np.array([[place[text] for text in side] for side in (left, right)], dtype=np.int64).T
    return Examples(tuple(every), pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])
