"""A worse model does not get in: refused in the real flows, for the right reason, while the champion stays live."""

import dataclasses

import numpy as np
import pytest

from flows.config import parse
from schemas.errors import DataError, UsageError
from schemas.reports import Verdict
from tests.helpers.configs import planted

pytestmark = pytest.mark.usefixtures("prefect_harness")

NAME = "gated"
ALONE = {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [4]}}], "warm": False}


def config(**change):
    """Four planted segments that show in what users consume; with `change`, something that spoils the candidate."""
    whole = {
        **planted(0), "segmentation": NAME, "search": ALONE,
        "gates": {"min_segment_users": 5},
    }  # fmt: skip
    return parse({**whole, **change, "source": {**whole["source"], **change.get("source", {})}}, NAME)


@pytest.fixture(scope="module")
def champion(tmp_path_factory, prefect_harness):
    """A state folder with a good model live."""
    from flows.retrain import retrain

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FENQUN_HOME", str(home))
        first = retrain(config())
        assert first.promoted, [gate for gate in first.verdict.gates if not gate.passed]
        yield home


@pytest.fixture(scope="module")
def blind(champion):
    """A candidate that sees only how much users do, so that its segments recommend no better than random ones."""
    from flows.retrain import retrain

    before = seen(champion)
    return retrain(config(features=[{"kind": "behaviour"}])), before, seen(champion)


def seen(home) -> tuple[str, dict]:
    """The pointer and what it publishes."""
    from tasks.stores import pointer, tables

    names = pointer.read(str(home), NAME).live.tables
    told = {name: tables.published(str(home), NAME, name).to_dicts() for name in sorted(names)}
    return pointer.pointer_path(str(home), NAME).read_text(), told


def live(home):
    from tasks.stores import pointer

    return pointer.read(str(home), NAME).live


def ledger(home):
    from schemas.config import LedgerConfig
    from tasks.stores.ledger import Ledger

    return Ledger(LedgerConfig(), str(home), NAME)


def failed(gates) -> set[str]:
    return {gate.name for gate in gates if not gate.passed}


def test_a_blind_candidate_is_refused_for_what_it_lacks_and_the_champion_stays(champion, blind):
    told, before, after = blind
    assert not told.promoted
    assert failed(told.verdict.gates) >= {"lift.recipe", "lift.model", "random.recipe", "churn"}
    assert not failed(told.verdict.gates) & {
        "data.fresh",
        "data.rows",
        "validity.rows",
        "validity.vectors",
        "validity.leak",
        "published",
    }
    assert before == after


def test_the_refusal_is_written_to_the_version_and_the_run(champion, blind):
    told, *_ = blind
    books = ledger(champion)
    version = books.version(told.model_version)
    assert version.tags["fenqun.verdict"] == "refused"
    gates = {key for key, value in version.tags.items() if key.startswith("gate.") and value.startswith("FAILED")}
    assert gates == {f"gate.{name}" for name in failed(told.verdict.gates)}
    assert books.client.get_run(told.run_id).data.tags["fenqun.verdict"] == "refused"
    aliases = {name: str(v) for name, v in books.client.get_registered_model(NAME).aliases.items()}
    assert (aliases["champion"], aliases["challenger"]) == ("1", told.model_version)
    assert "refused" in ledger(champion).version(told.model_version).tags.values()


def test_promoting_what_was_refused_is_refused_again_on_todays_data(champion, blind):
    from flows.promote import promote

    told, *_ = blind
    before = seen(champion)
    again = promote(NAME, told.model_version)
    assert not again.changed
    assert again.live == "1"
    assert failed(again.verdict.gates) >= {"lift.recipe", "lift.model", "random.recipe", "churn"}
    assert seen(champion) == before


def test_a_change_in_between_wins_and_nothing_is_written(champion, blind, monkeypatch):
    import flows.promote
    from tasks.disk import files
    from tasks.stores import pointer

    told, *_ = blind
    judge = flows.promote.judge

    def slow(*args, **kwargs) -> Verdict:
        with pointer.changing(str(champion), NAME, pointer.read(str(champion), NAME).revision) as now:
            pointer.replace(str(champion), NAME, now, now.live, now.previous)
        return judge(*args, **kwargs)

    monkeypatch.setattr(flows.promote, "judge", slow)
    before = seen(champion)
    with pytest.raises(pointer.PointerMoved, match="came first"):
        flows.promote.promote(NAME, told.model_version, "ann", "a trial")
    pointed, published = seen(champion)
    assert published == before[1]
    assert files.unsealed(pointed)["live"] == files.unsealed(before[0])["live"]


def test_an_override_needs_a_name_and_a_reason_and_is_written_down(champion, blind):
    from flows.promote import promote
    from flows.rollback import rollback

    told, *_ = blind
    before = seen(champion)
    for author, reason in (("ann", ""), ("", "a trial")):
        with pytest.raises(UsageError, match="--author"):
            promote(NAME, told.model_version, author, reason)
    assert seen(champion) == before
    done = promote(NAME, told.model_version, "ann", "a trial for a week")
    assert (done.changed, done.live, done.previous) == (True, told.model_version, "1")
    assert failed(done.verdict.gates) >= {"lift.recipe", "random.recipe"}
    assert done.verdict.override == "ann: a trial for a week"
    assert (live(champion).author, live(champion).reason) == ("ann", "a trial for a week")
    assert ledger(champion).version(told.model_version).tags["fenqun.override"] == "ann: a trial for a week"
    assert {row["model_version"] for row in seen(champion)[1]["assignments"]} == {told.model_version}
    back = rollback(NAME, "ann", "the trial is over")
    assert (back.live, back.previous) == ("1", told.model_version)
    assert seen(champion)[1] == before[1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_clusterer_that_guesses_is_refused(champion, monkeypatch, seed):
    """Users drawn at random for centroids: segments that cut through what belongs together."""
    from flows.retrain import retrain
    from tasks.clusterers import kmeans

    real = kmeans.fit

    def guess(X, settings, rng, **rest):
        fitted = real(X, settings, rng, **rest)
        drawn = X[np.random.default_rng(seed).choice(len(X), settings.k, replace=False)]
        guessed = kmeans.from_arrays({**fitted.arrays(), "centroids": drawn}, settings)
        return dataclasses.replace(guessed, labels=guessed.assign(X).labels)

    monkeypatch.setattr(kmeans, "fit", guess)
    before = seen(champion)
    search = {**ALONE, "candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [5]}}]}
    told = retrain(config(search=search, seed=100 + seed))
    assert not told.promoted
    assert "quality.silhouette" in failed(told.verdict.gates)
    assert seen(champion) == before


STOPPED = {
    "cut short": ({"source": {"users": 80}}, "later events are gone"),
    "thinned, for a moment asked for": ({"source": {"users": 80}, "as_of": "2026-01-01T00:00:00Z"}, "row_change"),
    "collapsed": (
        {"search": {**ALONE, "candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [2]}}]}},
        "2 segm",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", STOPPED)
def test_what_is_no_candidate_at_all_stops_the_run_and_the_champion_stays(champion, case):
    from flows.retrain import retrain

    change, words = STOPPED[case]
    before = seen(champion)
    with pytest.raises(DataError, match=words):
        retrain(config(**change))
    assert seen(champion) == before
