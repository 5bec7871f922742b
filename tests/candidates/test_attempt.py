"""Candidates that are fitted, and those that start from the champion."""

import numpy as np
import polars as pl

from schemas.artifacts import Fitted
from schemas.runs import Recipe, Slice, Slices, Vectors
from tasks.candidates.attempt import warm_candidates
from tasks.candidates.candidate import CURVES, EXTRAS
from tasks.disk.artifacts import load_state
from tasks.models.today import revisit
from tasks.stores.buckets import read_table
from tests.helpers import versions
from tests.helpers.contests import contest
from tests.helpers.days import a_day
from tests.helpers.versions import AS_OF, NAME, make_live, tables_of


def test_a_champion_that_knows_nobody_of_today_warms_no_candidate(shop):
    home, _, bucket, _ = shop
    make_live(shop, 0)
    day = a_day(home, tables_of(home, bucket), AS_OF, name=NAME)
    standing = revisit(day, None)
    here = standing.placed["all"]
    fresh = Fitted(state=here.vectors, output=here.vectors)
    made = Vectors(recipe=Recipe(features={}, represent={}), slice=Slice(share=1, as_of=AS_OF, tables={}), features={},
                   represented=fresh)  # fmt: skip
    slices = Slices(all=made, choosing=made, proving=made)
    tried = [(one.start, one.grown) for one in warm_candidates(day, slices, standing)]
    assert tried == [(start, grown) for start in ("kept", "rebased") for grown in (False, True)]
    lost = read_table(here.assignments).with_columns(pl.lit(None, pl.String).alias("segment_id"))
    nowhere = versions.table(home, "lost", lost)
    placed = {"all": here.model_copy(update={"assignments": nowhere})}
    nobody = standing.model_copy(update={"placed": placed, "published": nowhere})
    assert warm_candidates(day, slices, nobody) == []


def test_the_curves_are_the_fits_own(tmp_path):
    found = contest(tmp_path)
    ward, dbscan, kmeans = (load_state(found.attempts[number].fitted).arrays for number in (0, 1, 2))
    assert ward[f"{EXTRAS}linkage"].shape == (119, 4)
    curve = dbscan[f"{EXTRAS}k_distances"]
    assert (np.diff(curve) >= 0).all()
    assert curve[0] <= dbscan[f"{EXTRAS}eps"] <= curve[-1]
    assert not {f"{EXTRAS}{name}" for name in CURVES} & kmeans.keys()
