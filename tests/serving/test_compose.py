"""A bundle made of the real plugins: fitted, saved, loaded, and the same to the last bit."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from schemas import tables
from schemas.artifacts import State
from schemas.config import CalibrationConfig, RepresentConfig, TextsConfig
from schemas.errors import DataError, UsageError
from tasks.segments import _reasons, bundle, calibration
from tasks.segments.bundle import Bundle, Encoder, Family, Manifest, Plugin, Segment
from tasks.segments.segmenter import reason_columns, stacked
from tasks.serving import compose, thin
from tasks.serving.plugins import plugin

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


@pytest.fixture(scope="module")
def fitted():
    """Bundle and the training assignment, from the same code as any other assignment."""
    bucket, rng = raw(), np.random.default_rng(0)
    families, states, made = [], {}, []
    for kind in FAMILIES:
        module = plugin("features", kind)
        config = module.Config()
        state = module.finish(module.partial(bucket, config, AS_OF), rng)
        entry = Family(family=kind, config=config.model_dump(mode="json"), columns=tuple(state.meta["columns"]))
        families.append(entry)
        states[bundle.family_state(kind)] = state
        made.append(compose.family_block(entry, state))
    encoding = plugin("encoders", "hashing").Config(dimension=16)
    encoder, lookup = hashed(encoding)
    from tasks.texts import pooling

    texts = TextsConfig(fallback="zero")
    states["texts"] = pooling.finish(pooling.partial(bucket, texts, AS_OF), rng)
    made.append(compose.text_block(states["texts"], texts, lookup, encoder.dim))
    blocks = {block.name: block.build(bucket, AS_OF).values for block in made}
    return assemble(bucket, blocks, made, families, states, encoding, encoder, texts)


def assemble(bucket, blocks, made, families, states, encoding, encoder, texts):
    from tasks.representation import fit as fit_representation

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
    marks = calibration.fit(X, found.labels, found.distance, k=K, space=space, config=settings, second=found.second)
    why = _reasons.fit([(stacked(blocks, made), found.labels)], reason_columns(made), K)
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


def test_training_reload_batch_and_one_user_agree_to_the_bit(fitted, tmp_path):
    made, bucket, X = fitted
    bundle.save(made, tmp_path / "b")
    again = compose.segmenter(bundle.load(tmp_path / "b"), device="cpu")
    fresh = compose.segmenter(made, device="cpu")
    users, vectors = again.vectors(bucket, AS_OF)
    assert vectors.tobytes() == X.tobytes()
    whole = fresh.assign(bucket, AS_OF, "1")
    assert whole.equals(again.assign(bucket, AS_OF, "1"))
    for user in users[::7]:
        own = {n: f if n == "items" else f.filter(pl.col("user_id") == user) for n, f in bucket.items()}
        assert again.assign(own, AS_OF, "1").equals(whole.filter(pl.col("user_id") == user))


def test_the_planted_kinds_are_the_segments_with_reasons(fitted):
    made, bucket, _ = fitted
    out = compose.segmenter(made, device="cpu").assign(bucket, AS_OF, "1")
    kinds = [int(user[2:]) % K for user in out["user_id"]]
    table = (
        pl.DataFrame({"kind": kinds, "segment": out["segment_id"]})
        .group_by("kind")
        .agg(pl.col("segment").mode().first())
    )
    assert table["segment"].n_unique() == K
    assert out["reasons"].list.len().mean() > 1
    assert any(reason.startswith("interest.") for reasons in out["reasons"] for reason in reasons)


def test_what_a_user_lacks_is_unknown_not_an_error(fitted):
    made, bucket, _ = fitted
    ours = compose.segmenter(made, device="cpu")
    only_text = ours.assign({"texts": bucket["texts"][:3]}, AS_OF, "1")
    assert only_text.height == 3
    only_events = ours.assign({"events": bucket["events"][:5], "items": bucket["items"]}, AS_OF, "1")
    assert only_events.height == bucket["events"][:5]["user_id"].n_unique()
    assert ours.assign({}, AS_OF, "1").height == 0


def test_the_future_changes_nothing(fitted):
    made, bucket, _ = fitted
    ours = compose.segmenter(made, device="cpu")
    later = bucket["events"].with_columns(
        pl.lit(AS_OF + timedelta(seconds=1)).cast(bucket["events"]["timestamp"].dtype).alias("timestamp")
    )
    assert ours.assign({**bucket, "events": pl.concat([bucket["events"], later])}, AS_OF, "1").equals(
        ours.assign(bucket, AS_OF, "1")
    )


def test_another_encoder_or_plugin_than_the_bundles_is_refused(fitted):
    made, bucket, _ = fitted
    entry = made.manifest.encoder.model_copy(update={"fingerprint": "0" * 64})
    other = Bundle(made.manifest.model_copy(update={"encoder": entry}), made.states)
    with pytest.raises(DataError, match="fingerprints differ"):
        compose.segmenter(other, device="cpu").assign(bucket, AS_OF, "1")
    ghost = made.manifest.model_copy(update={"clusterer": Plugin(kind="ghost", config={})})
    with pytest.raises(UsageError, match="no clusterers plugin"):
        compose.segmenter(Bundle(ghost, made.states))
    odd = made.manifest.model_copy(update={"clusterer": Plugin(kind="kmeans", config={"knn": 3})})
    with pytest.raises(UsageError, match="another version"):
        compose.segmenter(Bundle(odd, made.states))


def test_a_family_that_answers_in_another_order_is_refused(fitted):
    made, bucket, _ = fitted
    family = made.manifest.families[0]
    turned = family.model_copy(update={"columns": tuple(reversed(family.columns))})
    block = compose.family_block(turned, made.states[bundle.family_state(family.family)])
    with pytest.raises(DataError, match="another order"):
        block.build(bucket, AS_OF)


def test_thin_users_get_the_rung_that_was_measured_best(fitted, tmp_path):
    made, bucket, _ = fitted
    ladder = thin.ladder_state(made, bucket, AS_OF, 0, device="cpu")
    grown = bundle.Bundle(made.manifest, {**made.states, bundle.LADDER: ladder})
    bundle.save(grown, tmp_path / "b")
    ours = compose.segmenter(bundle.load(tmp_path / "b"), device="cpu")
    table = dict(zip(ours.ladder.rungs, ours.ladder.accuracy, strict=True))
    assert list(table) == ["full", "texts", "prior"]
    assert table["full"][-1] > table["full"][1]
    assert table["texts"][0] > table["prior"][0]  # what was written tells the kind of three users in four
    plain = compose.segmenter(made, device="cpu").assign(bucket, AS_OF, "1")
    rich = [user for user, n in bucket["events"].group_by("user_id").len().rows() if n > 10]
    known = pl.col("user_id").is_in(rich)
    assert ours.assign(bucket, AS_OF, "1").filter(known).equals(plain.filter(known))
    silent = ours.assign({"texts": bucket["texts"]}, AS_OF, "1")
    assert all(reasons[0].startswith("0 events: ") for reasons in silent["reasons"])
    assert silent["confidence"].n_unique() == 1
    truth = silent.select("user_id", "segment_id").join(plain.select("user_id", full="segment_id"), on="user_id")
    assert (truth["segment_id"] == truth["full"]).mean() > 0.8


def test_cutting_keeps_the_first_events_by_time_then_row():
    bucket = raw(4)
    left = thin.cut(bucket, 2)["events"]
    assert left.group_by("user_id").len()["len"].to_list() == [2] * 4
    for user in left["user_id"].unique():
        first = bucket["events"].filter(pl.col("user_id") == user).sort("timestamp", "sequence")[:2]
        assert left.filter(pl.col("user_id") == user).equals(first)
    assert thin.cut(bucket, 0)["events"].height == 0
    assert thin.cut(bucket, 0)["texts"].height == bucket["texts"]["user_id"].n_unique()


@pytest.mark.parametrize("name", ["clusterer", "representation", "calibration", "reasons"])
@pytest.mark.parametrize("meta", [{}, {"columns": 3, "blocks": 3, "format": 1, "space": 3}])
def test_states_that_no_plugin_understands_are_a_clear_refusal(fitted, name, meta):
    made, _, _ = fitted
    with pytest.raises(DataError):
        compose.segmenter(Bundle(made.manifest, {**made.states, name: State({}, meta)}))
