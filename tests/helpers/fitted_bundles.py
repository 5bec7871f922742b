"""A bundle that the real plugins fitted in a second on users of three planted kinds."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from schemas import tables
from schemas.artifacts import State
from schemas.config import CalibrationConfig, RepresentConfig, TextsConfig
from tasks.models import assemble
from tasks.plugins.find import plugin
from tasks.representation import fit as fit_representation
from tasks.segments import bundle, calibration
from tasks.segments import reasons as reasoning
from tasks.segments.bundle import Bundle, Encoder, Family, Manifest, Plugin, Segment
from tasks.segments.segmenter import reason_columns, stacked
from tasks.texts import pooling

AS_OF = datetime(2026, 1, 31, tzinfo=UTC)
FAMILIES = ("behaviour", "interest")
K = 3


def raw(n=60, seed=0):
    """Users of three kinds: what they consume, how often, and what they write."""
    rng = np.random.default_rng(seed)
    ids = [f"用户{i:03d}" for i in range(n)]
    rows, texts = [], []
    for i, user in enumerate(ids):
        kind = i % K
        for _ in range(int(3 + 6 * kind + rng.integers(0, 3))):
            when = AS_OF - timedelta(hours=float(rng.uniform(1, 400)))
            rows.append(
                (user, f"i{kind * 10 + rng.integers(0, 8)}", "view", when, float(rng.integers(1, 6)), len(rows))
            )
        if i % 4:
            texts.append(
                (user, AS_OF - timedelta(days=1), ["很好的电影", "slow delivery", "great price"][kind], "review")
            )
    items = pl.DataFrame(
        {"item_id": [f"i{j}" for j in range(30)], "title": [f"title {j}" for j in range(30)],
         "description": [None] * 30, "categories": [[f"genre{j // 10}"] for j in range(30)]},
        schema=tables.ITEMS.polars_schema(),
    )  # fmt: skip
    return {
        "events": pl.DataFrame(rows, schema=tables.EVENTS.polars_schema(), orient="row"),
        "texts": pl.DataFrame(texts, schema=tables.TEXTS.polars_schema(), orient="row"),
        "items": items,
    }


def hashed(config):
    encoder = plugin("encoders", "hashing").load(config, "cpu")
    return encoder, lambda texts: encoder.encode(list(texts)).astype(np.float16).astype(np.float32)


def fitted():
    """The bundle, its users' tables and their training vectors, from the same code as any other assignment."""
    bucket, rng = raw(), np.random.default_rng(0)
    families, states, made = [], {}, []
    for kind in FAMILIES:
        module = plugin("features", kind)
        config = module.Config()
        state = module.finish(module.partial(bucket, config, AS_OF), rng)
        entry = Family(family=kind, config=config.model_dump(mode="json"), columns=tuple(state.meta["columns"]))
        families.append(entry)
        states[bundle.family_state(kind)] = state
        made.append(assemble.family_block(entry, state))
    encoding = plugin("encoders", "hashing").Config(dimension=16)
    encoder, lookup = hashed(encoding)
    texts = TextsConfig(fallback="zero")
    states["texts"] = pooling.finish(pooling.partial(bucket, texts, AS_OF), rng)
    made.append(assemble.text_block(states["texts"], texts, lookup, encoder.dim))
    blocks = {block.name: block.build(bucket, AS_OF).values for block in made}
    return bundled(bucket, blocks, made, families, states, encoding, encoder, texts)


def bundled(bucket, blocks, made, families, states, encoding, encoder, texts):
    represent = RepresentConfig(dimension=6)
    columns = {block.name: block.columns or tuple(map(str, range(block.width))) for block in made}
    representation = fit_representation(lambda: [blocks], columns, represent, np.random.default_rng(0))
    X = representation.transform(blocks)
    kmeans = plugin("clusterers", "kmeans")
    config = kmeans.Config(k=K)
    clusterer = kmeans.fit(X, config, np.random.default_rng(0))
    found = clusterer.assign(X)
    space = clusterer.space if hasattr(clusterer, "space") else "euclidean"
    settings = CalibrationConfig(folds=0)
    marks = calibration.fit(X, found, k=K, space=space, config=settings)
    why = reasoning.fit([(stacked(blocks, made), found.labels)], reason_columns(made), K)
    manifest = Manifest(
        segmentation="demo", space=space, dimension=X.shape[1], as_of=AS_OF, code_version="0" * 64,
        families=tuple(families), texts=texts.model_dump(mode="json"), represent=represent.model_dump(mode="json"),
        encoder=Encoder(kind="hashing", config=encoding.model_dump(mode="json"), fingerprint=encoder.fingerprint,
                        weights_sha256=None, dimension=encoder.dim),
        clusterer=Plugin(kind="kmeans", config=config.model_dump(mode="json")),
        calibration=settings.model_dump(mode="json"), next_number=K + 1,
        segments=tuple(Segment(id=f"s{i + 1:03d}", name=f"n{i}") for i in range(K)),
    )  # fmt: skip
    arrays = State(clusterer.arrays())
    states |= {"representation": representation.state(), "clusterer": arrays, "calibration": marks.to_state()}
    return Bundle(manifest, {**states, "reasons": why.to_state()}), bucket, X
