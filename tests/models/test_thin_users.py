"""What a user with few events gets is the rung that was right most often at that many events."""

from dataclasses import replace

import numpy as np
import polars as pl

from tasks.models import assemble, thin_users
from tasks.numerics.history import population
from tasks.segments import bundle
from tasks.segments.segmenter import Block, Rows
from tests.helpers.fitted_bundles import AS_OF


def test_thin_users_get_the_rung_that_was_measured_best(fitted, tmp_path):
    made, bucket, _ = fitted
    ladder = thin_users.ladder_state(made, bucket, AS_OF, 0, device="cpu")
    grown = bundle.Bundle(made.manifest, {**made.states, bundle.LADDER: ladder})
    bundle.save(grown, tmp_path / "b")
    ours = assemble.segmenter(bundle.load(tmp_path / "b"), device="cpu")
    table = dict(zip(ours.ladder.rungs, ours.ladder.accuracy, strict=True))
    assert list(table) == ["full", "nearest", "texts", "prior"]
    assert table["full"][-1] > table["full"][1]
    assert table["texts"][0] > table["prior"][0]  # what was written tells the kind of three users in four
    plain = assemble.segmenter(made, device="cpu").assign(bucket, AS_OF, "1")
    rich = [user for user, n in bucket["events"].group_by("user_id").len().rows() if n > 10]
    known = pl.col("user_id").is_in(rich)
    assert ours.assign(bucket, AS_OF, "1").filter(known).equals(plain.filter(known))
    silent = ours.assign({"texts": bucket["texts"]}, AS_OF, "1")
    assert all(reasons[0].startswith("0 events: ") for reasons in silent["reasons"])
    assert silent["confidence"].n_unique() == 1
    truth = silent.select("user_id", "segment_id").join(plain.select("user_id", full="segment_id"), on="user_id")
    assert (truth["segment_id"] == truth["full"]).mean() > 0.8


def test_a_family_of_which_every_column_was_left_out_is_no_rung(fitted):
    made, bucket, _ = fitted

    def nothing(bucket, as_of):
        users = population(bucket, as_of)
        return Rows(users, np.empty((len(users), 0), np.float32))

    ready = assemble.segmenter(made, device="cpu")
    silent = Block("attributes", (), 0, (), nothing)
    ladder = thin_users.measure(replace(ready, blocks=(*ready.blocks, silent)), bucket, AS_OF, 0)
    assert ladder.rungs == ("full", "nearest", "texts", "prior")
