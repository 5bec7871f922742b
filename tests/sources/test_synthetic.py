"""What is planted is there, for whoever looks at the right signal, and nowhere else."""

import tracemalloc

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from schemas import tables as t
from tasks.sources.synthetic import Change, Config, Dirt, dirt, read, snapshot, truth

SIGNALS = ("behaviour", "interest", "attributes", "social", "text")
SMALL = Config(users=400, events_per_user=40, items=200, seed=3)


def frames(config):
    return {
        name: pl.from_arrow(pa.Table.from_batches(list(batches)))
        for name, batches in read(config).items()
    }  # fmt: skip


def histogram(frame, column):
    wide = frame.group_by(t.USER_ID, column).len().pivot(on=column, index=t.USER_ID, values="len").fill_null(0)
    counts = wide.sort(t.USER_ID).drop(t.USER_ID).to_numpy().astype(float)
    return counts / counts.sum(axis=1, keepdims=True)


def seen(signal, tables):
    """What an honest observer of one signal clusters on: no label, no other signal."""
    events = tables["events"]
    if signal == "behaviour":
        hour = histogram(events.with_columns(h=pl.col(t.TIMESTAMP).dt.hour()), "h")
        return np.hstack([histogram(events, t.EVENT), hour])
    if signal == "interest":
        with_items = events.join(tables["items"], on=t.ITEM_ID).with_columns(c=pl.col(t.CATEGORIES).list.first())
        return histogram(with_items, "c")
    if signal == "attributes":
        users = tables["users"].sort(t.USER_ID)
        numbers = StandardScaler().fit_transform(users.select("age", "income").to_numpy())
        return np.hstack([numbers, users.select("plan", "region").to_dummies().to_numpy()])
    if signal == "text":
        written = tables["texts"].group_by(t.USER_ID).agg(pl.col(t.TEXT).str.join(" ")).sort(t.USER_ID)
        return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)).fit_transform(written[t.TEXT].to_list())
    return communities(tables["edges"])


def communities(edges):
    """The leading eigenvectors of the normalised adjacency: communities by spectral means, not by their labels."""
    ids = sorted({*edges[t.SRC], *edges[t.DST]})
    at = {user: i for i, user in enumerate(ids)}
    A = np.zeros((len(ids), len(ids)))
    for src, dst in edges.select(t.SRC, t.DST).iter_rows():
        A[at[src], at[dst]] = A[at[dst], at[src]] = 1
    root = 1 / np.sqrt(A.sum(axis=1))
    return np.linalg.eigh(root[:, None] * A * root)[1][:, -5:]


def found(signal, tables, k=5):
    return KMeans(k, n_init=5, random_state=0).fit_predict(seen(signal, tables))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_signal_shows_its_own_segments_and_none_of_the_others(language):
    config = SMALL.model_copy(update={"language": language})
    tables, planted = frames(config), truth(config)
    for signal in SIGNALS:
        labels = found(signal, tables)
        for other in SIGNALS:
            agreement = adjusted_rand_score(planted[other], labels)
            if other == signal:
                assert agreement >= 0.9, signal
            else:
                assert abs(agreement) < 0.05, (signal, other)


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_signal_that_is_left_out_is_noise(signal):
    config = SMALL.model_copy(update={"signals": tuple(s for s in SIGNALS if s != signal)})
    assert abs(adjusted_rand_score(truth(config)[signal], found(signal, frames(config)))) < 0.05


def test_without_strength_there_is_nothing_to_find():
    config = SMALL.model_copy(update={"strength": 0.0})
    tables, planted = frames(config), truth(config)
    for signal in SIGNALS:
        assert abs(adjusted_rand_score(planted[signal], found(signal, tables))) < 0.05


def test_tables_keep_the_contract():
    for name, batches in read(SMALL).items():
        batch = next(batches)
        contract = t.INPUTS[name]
        assert set(contract.required) <= set(batch.schema.names)
        for field in contract.arrow_schema():
            if field.name in batch.schema.names:
                assert batch.schema.field(field.name).type == field.type
        assert batch.schema.metadata[b"origin"] == f"synthetic:{name}".encode()


def test_clean_data_are_clean():
    tables = frames(SMALL)
    events, items = tables["events"], tables["items"]
    assert events.null_count().sum_horizontal().item() == 0
    assert events[t.SEQUENCE].to_list() == list(range(1, events.height + 1))
    assert events[t.TIMESTAMP].max() < SMALL.as_of
    assert (SMALL.as_of - events[t.TIMESTAMP].min()).days <= SMALL.days
    assert set(events[t.ITEM_ID]) <= set(items[t.ITEM_ID])
    assert tables["users"][t.USER_ID].n_unique() == SMALL.users
    assert (tables["edges"][t.SRC] != tables["edges"][t.DST]).all()
    assert set(tables["edges"][t.DST]) <= set(tables["users"][t.USER_ID])
    assert events.height == pytest.approx(SMALL.users * SMALL.events_per_user, rel=0.05)


@pytest.mark.parametrize("days", [1, 7])
def test_short_windows_end_before_as_of(days):
    config = SMALL.model_copy(update={"days": days})
    assert frames(config)["events"][t.TIMESTAMP].max() < config.as_of


def test_batches_say_where_they_stand_and_their_size_changes_nothing():
    small = SMALL.model_copy(update={"batch_rows": 700, "dirt": Dirt(duplicates=0.1, nan_values=0.1)})
    large = small.model_copy(update={"batch_rows": 10**6})
    for name, batches in read(small).items():
        rows = 1
        for batch in batches:
            assert batch.schema.metadata[b"first_row"] == str(rows).encode(), name
            assert batch.num_rows <= 1000
            rows += batch.num_rows
    one, other = frames(small), frames(large)
    assert all(one[name].equals(other[name]) for name in one)


def test_a_seed_and_a_user_decide_everything_but_friends():
    fewer, more = frames(SMALL), frames(SMALL.model_copy(update={"users": 450}))
    for name in ("events", "users", "texts"):
        assert more[name].head(fewer[name].height).equals(fewer[name])
    assert not frames(SMALL.model_copy(update={"seed": 4}))["events"].equals(fewer["events"])


def test_events_are_streamed():
    config = Config(users=20_000, events_per_user=50, batch_rows=20_000, texts_per_user=0, edges_per_user=0)
    tracemalloc.start()
    rows = sum(batch.num_rows for batch in read(config)["events"])
    peak = tracemalloc.get_traced_memory()[1] + pa.total_allocated_bytes()
    tracemalloc.stop()
    assert rows > 900_000
    assert peak < 30e6, f"{peak / 1e6:.0f} MB for {rows} rows"


def counted(events):
    value, time = pl.col(t.VALUE), pl.col(t.TIMESTAMP)
    tests = {
        "null_users": pl.col(t.USER_ID).is_null(), "empty_users": pl.col(t.USER_ID) == "",
        "null_items": pl.col(t.ITEM_ID).is_null(), "unknown_items": ~pl.col(t.ITEM_ID).str.starts_with("i0"),
        "unknown_events": pl.col(t.EVENT).str.starts_with("no such"), "null_values": value.is_null(),
        "nan_values": value.is_nan(), "inf_values": value.is_infinite(), "huge_values": value == 1e308,
        "null_times": time.is_null(), "future": time.dt.year().is_between(2027, 2028),
        "negative": time.dt.year() < 1970, "year_9999": time.dt.year() == 9999,
        "duplicates": pl.struct(pl.exclude(t.SEQUENCE)) == pl.struct(pl.exclude(t.SEQUENCE)).shift(1),
    }  # fmt: skip
    return events.select(test.fill_null(False).sum().alias(name) for name, test in tests.items()).row(0, named=True)


def test_the_shares_of_dirt_are_exact():
    shares = {name: 0.003 * (i + 1) for i, name in enumerate(Dirt.model_fields)}
    config = SMALL.model_copy(update={"dirt": Dirt(**shares), "batch_rows": 999})
    events = frames(config)["events"]
    assert dirt(config) == {name: int(share * events.height + 1e-9) for name, share in shares.items()}
    assert counted(events) == dirt(config)
    assert events.height == frames(SMALL)["events"].height


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(Dirt.model_fields)), st.floats(0, 0.12), max_size=4),
    st.integers(1, 40),
    st.integers(3, 200),
)
def test_any_mixture_of_dirt_is_exact(shares, users, batch_rows):
    config = Config(users=users, events_per_user=12, dirt=Dirt(**shares), batch_rows=batch_rows)
    events = pl.from_arrow(pa.Table.from_batches(list(read(config)["events"])))
    assert counted(events) == dirt(config)


def test_too_much_dirt_is_refused():
    with pytest.raises(ValidationError, match="at most half"):
        Config(dirt=Dirt(nan_values=0.3, future=0.3))


def moments(**update):
    before = SMALL.model_copy(update=update)
    return before, before.model_copy(update={"moment": 1})


def labels(config, signal="interest"):
    planted = truth(config)
    return dict(zip(planted[t.USER_ID].tolist(), planted[signal].tolist(), strict=True))


def test_without_changes_nobody_moves():
    before, after = moments(drift=0.5)
    assert labels(before) == labels(after)


def test_a_split_halves_one_segment():
    before, after = moments(changes=(Change(kind="split", segments=(2,)),))
    old, new = labels(before), labels(after)
    moved = {user for user in old if old[user] != new[user]}
    assert {old[user] for user in moved} == {2}
    assert {new[user] for user in moved} == {5}
    assert 0.35 < len(moved) / sum(label == 2 for label in old.values()) < 0.65


def test_a_merge_moves_one_segment_into_another():
    before, after = moments(changes=(Change(kind="merge", segments=(1, 3)),))
    old, new = labels(before), labels(after)
    assert {user: 1 if label == 3 else label for user, label in old.items()} == new


def test_a_vanished_segment_takes_its_users_along():
    before, after = moments(changes=(Change(kind="vanish", segments=(0,)),))
    old, new = labels(before), labels(after)
    assert {user: label for user, label in old.items() if label != 0} == new
    assert set(frames(after)["users"][t.USER_ID]) == set(new)
    assert set(frames(after)["edges"][t.DST]) <= set(new)


def test_new_users_fill_an_appearing_segment():
    before, after = moments(changes=(Change(kind="appear"),), new_users=0.2)
    old, new = labels(before), labels(after)
    assert len(new) == 1.2 * len(old)
    assert {user: new[user] for user in old} == old
    assert {new[user] for user in new.keys() - old.keys()} == {5}


def test_without_new_users_an_appearing_segment_draws_from_all():
    before, after = moments(changes=(Change(kind="appear"),))
    old, new = labels(before), labels(after)
    joined = [user for user in old if new[user] == 5]
    assert {old[user] for user in joined} == set(range(5))
    assert 0.1 < len(joined) / len(old) < 0.25


def test_changes_of_one_signal_leave_the_others():
    before, after = moments(changes=(Change(signal="social", kind="split", segments=(0,)),))
    assert labels(before, "social") != labels(after, "social")
    assert labels(before, "text") == labels(after, "text")


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_new_segment_is_in_the_data(signal):
    _, after = moments(changes=(Change(signal=signal, kind="split", segments=(1,)),), segments=4)
    assert adjusted_rand_score(truth(after)[signal], found(signal, frames(after))) >= 0.9


@pytest.mark.parametrize(
    "change",
    [{"kind": "merge", "segments": (1,)}, {"kind": "split", "segments": (9,)}, {"kind": "appear", "segments": (1,)}],
)
def test_impossible_changes_are_refused(change):
    with pytest.raises(ValidationError, match="changes"):
        Config(changes=(Change(**change),))


def test_drift_moves_values_and_ages_and_the_window():
    before, after = moments(drift=0.5)
    one, other = frames(before), frames(after)
    assert other["events"][t.VALUE].mean() == pytest.approx(one["events"][t.VALUE].mean() * np.exp(0.5), rel=0.01)
    assert other["users"]["age"].mean() == pytest.approx(one["users"]["age"].mean() + 5, abs=0.1)
    assert one["events"][t.TIMESTAMP].max() < before.as_of <= other["events"][t.TIMESTAMP].min()


def test_unequal_sizes_follow_the_power_law():
    planted = truth(Config(users=5000, imbalance=1.0))["text"]
    expected = 1 / np.arange(1, 6)
    assert np.bincount(planted) / 5000 == pytest.approx(expected / expected.sum(), abs=0.02)


def test_truth_is_shown_only_where_asked():
    config = SMALL.model_copy(update={"reveal": ("text",)})
    users = frames(config)["users"].sort(t.USER_ID)
    assert users["truth_text"].to_list() == truth(config)["text"].tolist()
    assert "truth_text" not in frames(SMALL)["users"].columns


def test_nothing_is_new_since_the_same_snapshot():
    assert all(list(batches) == [] for batches in read(SMALL, snapshot(SMALL)).values())
    assert next(read(SMALL, snapshot(SMALL.model_copy(update={"seed": 9})))["events"]).num_rows > 0
    assert snapshot(SMALL) == snapshot(SMALL.model_copy(update={"batch_rows": 5}))


def test_tables_can_be_left_out():
    assert set(read(SMALL.model_copy(update={"texts_per_user": 0, "edges_per_user": 0}))) == {
        "events",
        "users",
        "items",
    }


@pytest.mark.parametrize(
    "update", [{"users": 1}, {"items": 1}, {"segments": 1}, {"segments": 30}, {"events_per_user": 0.2}]
)
def test_extremes_are_possible(update):
    config = SMALL.model_copy(update={"users": 50} | update)
    tables, planted = frames(config), truth(config)
    people = set(tables["users"][t.USER_ID])
    assert len(people) == config.users
    assert set(tables["events"][t.USER_ID]) == people  # everyone has an event, however few there are
    assert len(tables["items"]) == config.items
    assert set(tables["events"][t.ITEM_ID]) <= set(tables["items"][t.ITEM_ID])
    assert tables.keys() == {"events", "users", "items", "texts"} | ({"edges"} if config.users > 1 else set())
    assert all(set(planted[signal]) <= set(range(config.segments)) for signal in SIGNALS)
