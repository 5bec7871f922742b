"""Which families are used: what has no data is switched off with a word, and the truth is never read."""

import polars as pl

from schemas.execution import ExecutionConfig
from schemas.tables import EDGES, EVENTS, USERS
from tasks.disk.artifacts import load_state
from tasks.plugins.find import kinds, plugin
from tasks.vectors.families import usable
from tasks.vectors.features import fit_family
from tests.helpers.landed_tables import a_run, buckets, written

FAMILIES = kinds("features")
HERE = ExecutionConfig(workers=2)


def test_the_truth_never_becomes_a_feature(tmp_path):
    parts = buckets()
    known = [part[USERS.name].height for part in parts]
    told = [
        {**part, USERS.name: part[USERS.name].with_columns(truth_x=pl.lit("a"), group=pl.lit("b"))} for part in parts
    ]
    tables = written(tmp_path / "t", told)
    assert sum(known)
    configs = tuple(plugin("features", kind).Config() for kind in FAMILIES)
    on, off = usable(configs, tables, {"group"})
    attributes = next(one for one in on if one.kind == "attributes")
    assert off == {}
    assert attributes.ignore == ("group", "truth_x")
    assert usable(on, tables, {"group"})[0] == on  # a champion's own config is not changed again
    fitted = fit_family(tables, attributes, a_run(tmp_path / "home"), HERE)
    state = load_state(fitted.state)
    assert not [name for name in (*state.meta["columns"], *state.meta["skipped"]) if "truth" in name or "group" in name]


def test_families_without_their_table_are_switched_off_with_a_word(tmp_path):
    parts = [{EVENTS.name: part[EVENTS.name]} for part in buckets()]
    on, off = usable([plugin("features", kind).Config() for kind in FAMILIES], written(tmp_path / "t", parts))
    assert [one.kind for one in on] == ["behaviour", "collaborative"]
    assert off == {"attributes": "no table users", "interest": "no table items", "social": "no table edges"}


def test_families_of_an_empty_table_are_switched_off_with_a_word(tmp_path):
    parts = [{**part, EDGES.name: part[EDGES.name].clear()} for part in buckets()]
    configured = [plugin("features", kind).Config() for kind in ("behaviour", "social")]
    on, off = usable(configured, written(tmp_path, parts))
    assert [config.kind for config in on] == ["behaviour"]
    assert off == {"social": "no rows in edges"}
