"""A tuned encoder: of its slice alone, apart from the frozen one, whole or not there, refused where it is no better."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from schemas.config import TextsConfig
from schemas.errors import DataError, UsageError
from schemas.execution import ExecutionConfig
from schemas.tables import EVENTS, ITEM_ID, ITEMS, SEQUENCE, TIMESTAMP, TITLE, USER_ID
from tasks.disk.artifacts import load_state
from tasks.encoders import hashing, transformer, weights_sum
from tasks.segments.bundle import Encoder
from tasks.vectors.encoder import cache_of, load_encoder, recorded
from tasks.vectors.slices import cut
from tasks.vectors.texts import embed_users
from tests.helpers.landed_tables import a_run, files, written
from tests.helpers.language_models import WORDS, tiny_bert
from tests.helpers.random_tables import AS_OF

HERE = ExecutionConfig(workers=1)
TEXTS = TextsConfig(template="{title}")
TOPICS, USERS, OWN = 8, 96, 24


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def planted(seed=0, shuffled=False) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events and items: each user takes items of one topic, which one word of a title tells; or tells not."""
    rng, topics, others = np.random.default_rng(seed), np.array(WORDS[:16]).reshape(TOPICS, 2), WORDS[16:-3]
    titles = {}
    while len(titles) < 240:
        topic = len(titles) % TOPICS
        titles[" ".join([rng.choice(topics[topic]), *rng.choice(others, 2)])] = topic
    of = np.array([*titles.values()])
    of = rng.permutation(of) if shuffled else of
    items = pl.DataFrame(
        {ITEM_ID: [f"i{n}" for n in range(len(of))], TITLE: [*titles], "description": [None] * len(of),
         "categories": [None] * len(of)}, schema=ITEMS.polars_schema(),
    )  # fmt: skip
    taken = np.concatenate([rng.choice(np.flatnonzero(of == user % TOPICS), OWN) for user in range(USERS)])
    minutes = np.sort(rng.permuted(np.tile(np.arange(1, 4 * OWN + 1), (USERS, 1)), axis=1)[:, :OWN], axis=1).ravel()
    events = pl.DataFrame(
        {
            USER_ID: np.repeat([f"u{user:03d}" for user in range(USERS)], OWN),
            ITEM_ID: [f"i{n}" for n in taken],
            "event": "view",
            TIMESTAMP: [AS_OF - timedelta(hours=200) + timedelta(hours=int(m)) for m in minutes],
            "value": None,
            SEQUENCE: np.arange(len(taken)),
        }
    ).cast(EVENTS.polars_schema())
    return events, items


def tables(folder: Path, events: pl.DataFrame, items: pl.DataFrame, buckets=2):
    ids = events[USER_ID].unique().sort()
    parts = [events.filter(pl.col(USER_ID).is_in(ids.gather_every(buckets, n).implode())) for n in range(buckets)]
    return written(folder, [{EVENTS.name: part, ITEMS.name: items} for part in parts])


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tiny_bert(tmp_path_factory.mktemp("model") / "bert")


def config(bert, **changes):
    how = {"method": "full", "steps": 40, "batch_size": 32, "learning_rate": 0.003, "temperature": 0.3, **changes}
    return transformer.Config(model=str(bert), dtype="float32", tune=how)


def embedded(bert, home, given, run=None, **changes):
    return embed_users(given, TEXTS, config(bert, **changes), run or a_run(home), HERE)


@pytest.fixture(scope="module")
def made(bert, tmp_path_factory):
    """Planted tables, and the texts of their users as a tuned model reads them."""
    place = tmp_path_factory.mktemp("made")
    given = tables(place / "tables", *planted())
    return given, place / "home", embedded(bert, place / "home", given)


def vectors_of(home, facts, texts, tuned=None):
    encoder = recorded(Encoder(**facts), "cpu", tuned)
    return cache_of(encoder, str(home)).get(texts)


def test_the_cache_never_mixes_tuned_and_frozen_vectors(bert, made):
    given, home, tuned = made
    assert tuned.tuning.used, tuned.tuning.why
    frozen = embed_users(given, TEXTS, config(bert).model_copy(update={"tune": None}), a_run(home), HERE)
    assert frozen.tuning is None
    assert frozen.misses == tuned.misses > 0  # none of the tuned model's vectors was taken for the frozen one's
    assert frozen.encoder["fingerprint"] != tuned.encoder["fingerprint"]
    assert frozen.encoder["weights_sha256"] == tuned.encoder["weights_sha256"]
    texts = planted()[1][TITLE].to_list()[:50]
    arrays = load_state(tuned.tuned).arrays
    for facts, own in ((frozen.encoder, None), (tuned.encoder, arrays)):
        fresh = transformer.tuned(config(bert), "cpu", own).encode(texts)
        np.testing.assert_allclose(vectors_of(home, facts, texts), fresh, atol=2e-3)
    assert not np.allclose(vectors_of(home, frozen.encoder, texts), vectors_of(home, tuned.encoder, texts), atol=1e-2)


def test_what_came_later_changes_no_byte_of_the_weights(bert, made, tmp_path):
    *_, before = made
    events, items = planted()
    later = events.with_columns(pl.col(TIMESTAMP) + timedelta(days=30), pl.lit("i7").alias(ITEM_ID))
    more = tables(tmp_path / "more", pl.concat([events, later]).sort(USER_ID, TIMESTAMP), items, buckets=5)
    again = embedded(bert, tmp_path / "home", more)
    assert files(again.tuned) == files(before.tuned)
    assert again.tuning == before.tuning
    assert again.encoder == before.encoder


def test_a_slice_is_tuned_on_what_it_may_see(bert, tmp_path):
    """Another last part of everyone's history: the first 70 % make the same weights, all of it makes others."""
    events, items = planted()
    rank = pl.col(SEQUENCE).rank("ordinal").over(USER_ID)
    other = events.with_columns(pl.when(rank > 0.8 * OWN).then(pl.lit("i3")).otherwise(ITEM_ID).alias(ITEM_ID))
    found = []
    for name, one in (("this", events), ("other", other)):
        given, run = tables(tmp_path / name, one, items), a_run(tmp_path / f"{name} home")
        sums = []
        for share in (0.7, 1.0):
            came = embedded(bert, None, cut(given, share, run, HERE), run)
            assert came.tuning.used, came.tuning.why
            sums.append(weights_sum(load_state(came.tuned).arrays))
        found.append(sums)
    (first, whole), (again, others) = found
    assert first == again != whole != others


def test_a_model_that_is_no_better_is_not_used_and_that_is_said(bert, tmp_path):
    given = tables(tmp_path / "tables", *planted(shuffled=True))
    came = embedded(bert, tmp_path / "home", given)
    frozen = transformer.load(config(bert), "cpu")
    assert not came.tuning.used
    assert "not used" in came.tuning.why
    assert came.tuned is None
    assert came.encoder["fingerprint"] == frozen.fingerprint
    assert came.encoder["tuned_sha256"] is None
    assert came.encoder["config"]["tune"]["steps"] == 40  # a refit of this model tries again
    assert load_encoder(Encoder(**came.encoder), "cpu").fingerprint == frozen.fingerprint


def test_a_killed_tuning_leaves_nothing_and_starts_again(bert, made, tmp_path, monkeypatch):
    given, _, before = made
    tune = transformer.tune

    def killed(*arguments):
        def dies(done, of):
            if done == 25:
                raise KeyboardInterrupt

        return tune(*arguments[:-1], dies)

    monkeypatch.setattr(transformer, "tune", killed)
    with pytest.raises(KeyboardInterrupt):
        embedded(bert, tmp_path / "home", given)
    assert not [*(tmp_path / "home" / "artifacts" / "tuned").rglob("manifest.json")]
    monkeypatch.setattr(transformer, "tune", tune)
    assert files(embedded(bert, tmp_path / "home", given).tuned) == files(before.tuned)


def test_what_was_tuned_is_taken_as_it_is(bert, made, monkeypatch):
    given, home, before = made
    monkeypatch.setattr(transformer, "tune", lambda *_: pytest.fail("tuned again"))
    again = embedded(bert, home, given)
    assert again.misses == 0
    assert again.encoder == before.encoder


def test_weights_and_what_is_said_of_them_go_together(made):
    _, _, came = made
    entry, weights = Encoder(**came.encoder), load_state(came.tuned)
    assert load_encoder(entry, "cpu", weights).fingerprint == entry.fingerprint
    with pytest.raises(DataError, match="do not go together"):
        load_encoder(entry, "cpu")
    with pytest.raises(DataError, match="do not go together"):
        load_encoder(entry.model_copy(update={"tuned_sha256": None}), "cpu", weights)
    first = next(iter(weights.arrays))
    weights.arrays[first] = weights.arrays[first] + np.float32(1e-3)
    with pytest.raises(DataError, match="fingerprints differ"):
        load_encoder(entry, "cpu", weights)


def test_without_anything_to_pair_texts_by_it_is_refused_in_words(bert, made, tmp_path):
    given, *_ = made
    with pytest.raises(UsageError, match="no events and items"):
        embedded(bert, tmp_path, {EVENTS.name: given[EVENTS.name]})


def test_a_kind_that_cannot_be_tuned_has_no_such_section():
    with pytest.raises(ValueError, match="tune"):
        hashing.Config(tune={})
