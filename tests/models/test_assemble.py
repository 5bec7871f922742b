"""A bundle made of the real plugins: fitted, saved, loaded, and the same to the last bit."""

from datetime import timedelta

import polars as pl
import pytest

from schemas.artifacts import State
from schemas.errors import DataError, UsageError
from tasks.models import assemble
from tasks.segments import bundle
from tasks.segments.bundle import Bundle, Plugin
from tests.helpers.fitted_bundles import AS_OF, K


def test_training_reload_batch_and_one_user_agree_to_the_bit(fitted, tmp_path):
    made, bucket, X = fitted
    bundle.save(made, tmp_path / "b")
    again = assemble.segmenter(bundle.load(tmp_path / "b"), device="cpu")
    fresh = assemble.segmenter(made, device="cpu")
    users, vectors = again.vectors(bucket, AS_OF)
    assert vectors.tobytes() == X.tobytes()
    whole = fresh.assign(bucket, AS_OF, "1")
    assert whole.equals(again.assign(bucket, AS_OF, "1"))
    for user in users[::7]:
        own = {n: f if n == "items" else f.filter(pl.col("user_id") == user) for n, f in bucket.items()}
        assert again.assign(own, AS_OF, "1").equals(whole.filter(pl.col("user_id") == user))


def test_the_planted_kinds_are_the_segments_with_reasons(fitted):
    made, bucket, _ = fitted
    out = assemble.segmenter(made, device="cpu").assign(bucket, AS_OF, "1")
    kinds = [int(user[2:]) % K for user in out["user_id"]]
    table = (
        pl.DataFrame({"kind": kinds, "segment": out["segment_id"]})
        .group_by("kind")
        .agg(pl.col("segment").mode().first())
    )
    assert table["segment"].n_unique() == K
    assert out["reasons"].list.len().mean() > 1
    assert any(reason.startswith("affinity to ") for reasons in out["reasons"] for reason in reasons)


def test_what_a_user_lacks_is_unknown_not_an_error(fitted):
    made, bucket, _ = fitted
    ours = assemble.segmenter(made, device="cpu")
    only_text = ours.assign({"texts": bucket["texts"][:3]}, AS_OF, "1")
    assert only_text.height == 3
    only_events = ours.assign({"events": bucket["events"][:5], "items": bucket["items"]}, AS_OF, "1")
    assert only_events.height == bucket["events"][:5]["user_id"].n_unique()
    assert ours.assign({}, AS_OF, "1").height == 0


def test_the_future_changes_nothing(fitted):
    made, bucket, _ = fitted
    ours = assemble.segmenter(made, device="cpu")
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
        assemble.segmenter(other, device="cpu").assign(bucket, AS_OF, "1")
    ghost = made.manifest.model_copy(update={"clusterer": Plugin(kind="ghost", config={})})
    with pytest.raises(UsageError, match="no clusterers plugin"):
        assemble.segmenter(Bundle(ghost, made.states))
    odd = made.manifest.model_copy(update={"clusterer": Plugin(kind="kmeans", config={"knn": 3})})
    with pytest.raises(UsageError, match="another version"):
        assemble.segmenter(Bundle(odd, made.states))


def test_a_family_that_answers_in_another_order_is_refused(fitted):
    made, bucket, _ = fitted
    family = made.manifest.families[0]
    turned = family.model_copy(update={"columns": tuple(reversed(family.columns))})
    block = assemble.family_block(turned, made.states[bundle.family_state(family.family)])
    with pytest.raises(DataError, match="another order"):
        block.build(bucket, AS_OF)


@pytest.mark.parametrize("name", ["clusterer", "representation", "calibration", "reasons"])
@pytest.mark.parametrize("meta", [{}, {"columns": 3, "blocks": 3, "format": 1, "space": 3}])
def test_states_that_no_plugin_understands_are_a_clear_refusal(fitted, name, meta):
    made, _, _ = fitted
    with pytest.raises(DataError):
        assemble.segmenter(Bundle(made.manifest, {**made.states, name: State({}, meta)}))
