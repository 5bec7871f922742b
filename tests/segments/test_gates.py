"""Planted bad candidates are refused for the right reason, better ones are promoted, and every gate is needed."""

from datetime import timedelta
from functools import lru_cache

import numpy as np
import pytest

from schemas.config import GateConfig
from schemas.errors import UsageError
from schemas.reports import Metric
from tasks.segments import gates
from tests.segments.measured import AS_OF, N, measure, moved, names, spoil, world

POLICY = GateConfig(slices=("gender",), max_data_age_days=7)
SEEDS = (0, 1, 2)


def better(metric, **changes):
    return metric.model_copy(update=changes)


@lru_cache
def pair(seed):
    """A good candidate and the champion: the candidate is the truth, the champion slightly off."""
    w = world(seed)
    old = spoil(w.kinds, 0.02, np.random.default_rng(seed))
    return w, measure(w, w.kinds, seed=seed, churn=moved(old, w.kinds)), measure(w, old, seed=seed)


def changed(seed, **facts):
    _, good, champion = pair(seed)
    return good.model_copy(update=facts), champion


def labelled(seed, labels, train_labels=None, first=False, **more):
    w, _, champion = pair(seed)
    facts = {"churn": moved(w.kinds, labels), **more}
    return measure(w, labels, train_labels=train_labels, seed=seed, **facts), None if first else champion


def quiet():
    """Users without test items: what happens to them does not touch held-out lift."""
    return np.arange(N * 4 // 5, N)


def rng(seed):
    return np.random.default_rng(100 + seed)


def metric(seed, name, first=False, **changes):
    _, good, champion = pair(seed)
    metrics = {**good.metrics, name: better(good.metrics[name], **changes)}
    return good.model_copy(update={"metrics": metrics}), None if first else champion


def collapsed(seed):
    return labelled(seed, np.zeros(N, int))


def shuffled(seed):
    return labelled(seed, rng(seed).permutation(pair(seed)[0].kinds))


def noise(share, first):
    def build(seed):
        w = pair(seed)[0]
        return labelled(seed, np.where(rng(seed).random(N) < share, -1, w.kinds), first=first)

    return build


def giant(seed):
    w = world(seed, (220, 10, 10))
    return measure(w, w.kinds, seed=seed), None


def giant_by_chance(seed):
    return labelled(seed, np.where(rng(seed).random(N) < 0.95, 0, pair(seed)[0].kinds))


def splinter(seed):
    w = pair(seed)[0]
    labels = w.kinds.copy()
    labels[quiet()[:4]] = 3  # four users who have nothing in common
    near = np.argsort(((w.X - w.X[0]) ** 2).sum(axis=1))[:4]
    labels = w.kinds.copy()
    labels[near] = 3
    made, champion = labelled(seed, labels)
    good = pair(seed)[1].metrics
    return made.model_copy(update={"metrics": good, "churn": pair(seed)[1].churn}), champion


def doubled_rows(seed):
    sizes = pair(seed)[1].sizes
    return changed(seed, rows=N + 1, sizes={**sizes, "s001": sizes["s001"] + 1})


def lost_segment(seed):
    sizes = dict(pair(seed)[1].sizes)
    sizes.pop("s003")
    return changed(seed, sizes=sizes)


def leaked_future(seed):
    w = pair(seed)[0]
    future = w.X + 6 * np.eye(6)[rng(seed).integers(0, 3, N)]  # what users will do next, seen too early
    means = np.stack([w.X[w.kinds == kind].mean(axis=0) for kind in range(3)])
    seen = ((future[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    return changed(seed, leaked=int((seen != w.kinds).sum()))


def uncovered(seed):
    labels = pair(seed)[0].kinds.copy()
    labels[quiet()[:24]] = -1
    made, champion = labelled(seed, labels)
    return made.model_copy(update={"churn": pair(seed)[1].churn, "slices": pair(seed)[1].slices}), champion


def narrow(seed):
    lift = pair(seed)[1].metrics["heldout_lift"]
    return metric(seed, "heldout_lift", details={**lift.details, "coverage": lift.details["coverage"] - 0.3})


def minority_out(seed):
    w, good, _ = pair(seed)
    silent = np.intersect1d(quiet(), np.flatnonzero(w.minority))
    labels, even = w.kinds.copy(), w.kinds.copy()
    labels[silent] = -1
    even[rng(seed).choice(quiet(), len(silent), replace=False)] = -1
    ours, theirs = measure(w, labels, seed=seed), measure(w, even, seed=seed)
    return ours.model_copy(update={"churn": good.churn, "metrics": good.metrics}), theirs


def minority_worse(seed):
    w, good, champion = pair(seed)
    labels = w.kinds.copy()
    few = np.flatnonzero(w.minority)
    labels[few] = rng(seed).permutation(labels[few])
    slices = measure(w, w.kinds, train_labels=labels, seed=seed).slices
    return good.model_copy(update={"slices": slices}), champion


def blurred(seed):
    w = pair(seed)[0]
    made, champion = labelled(seed, spoil(w.kinds, 0.05, rng(seed), quiet()), train_labels=w.kinds)
    return made.model_copy(
        update={"metrics": {**pair(seed)[1].metrics, "silhouette": made.metrics["silhouette"]}}
    ), champion


def unrepeatable(seed):
    w = pair(seed)[0]
    return measure(
        w,
        w.kinds,
        seed=seed,
        refit=lambda rows, s: np.random.default_rng(s).integers(0, 3, N),
        churn=pair(seed)[1].churn,
    ), pair(seed)[2]


def renumbered(seed):
    w = pair(seed)[0]
    return labelled(seed, w.kinds, churn=moved(w.kinds, (w.kinds + 1) % 3))


def useless(seed):
    w = pair(seed)[0]
    return labelled(seed, w.kinds, train_labels=rng(seed).permutation(w.kinds), first=True)


def weaker(seed):
    w, good, _ = pair(seed)
    made = measure(w, w.kinds, train_labels=spoil(w.kinds, 0.3, rng(seed)), seed=seed)
    lift = made.metrics["heldout_lift"]
    details = {**lift.details, "coverage": good.metrics["heldout_lift"].details["coverage"]}
    return metric(seed, "heldout_lift", value=lift.value, interval=lift.interval, details=details)


def nan_metric(seed):
    return metric(seed, "stability", first=True, value=float("nan"))


def dropped_metric(seed):
    _, good, champion = pair(seed)
    return good.model_copy(update={"metrics": {n: m for n, m in good.metrics.items() if n != "heldout_lift"}}), champion


BAD = {
    "collapsed into one segment": (collapsed, "validity.largest"),
    "shuffled labels": (shuffled, "quality.silhouette"),
    "shuffled labels recommend nothing": (shuffled, "lift.random"),
    "60 % noise": (noise(0.6, first=False), "validity.unassigned"),
    "60 % noise in a first model": (noise(0.6, first=True), "validity.unassigned"),
    "one giant segment": (giant, "validity.largest"),
    "one giant segment by chance": (giant_by_chance, "validity.largest"),
    "a splinter of four users": (splinter, "validity.smallest"),
    "a user assigned twice": (doubled_rows, "validity.rows"),
    "users without a row": (lambda s: changed(s, users=N + 9), "validity.rows"),
    "a segment lost on the way": (lost_segment, "validity.sizes"),
    "wrong feature order": (lambda s: changed(s, features_sha256="b" * 64), "validity.features"),
    "feature order unknown": (lambda s: changed(s, features_sha256=None), "validity.features"),
    "leaked future": (leaked_future, "validity.leak"),
    "leak not checked": (lambda s: changed(s, leaked=None), "validity.leak"),
    "fewer users covered": (uncovered, "coverage.users"),
    "narrower catalogue": (narrow, "coverage.catalogue"),
    "minority slice collapsed": (minority_out, "slices.unassigned"),
    "minority slice served worse": (minority_worse, "slices.lift"),
    "declared slice not measured": (lambda s: changed(s, slices={}), "slices.unassigned"),
    "blurred segments": (blurred, "quality.silhouette"),
    "not repeatable": (unrepeatable, "quality.stability"),
    "every user changes segment": (renumbered, "churn"),
    "churn not measured": (lambda s: changed(s, churn=None), "churn"),
    "no better than random": (useless, "lift.random"),
    "weaker than the champion": (weaker, "lift.champion"),
    "NaN metric": (nan_metric, "validity.metrics"),
    "metric missing": (dropped_metric, "validity.metrics"),
    "infinite metric": (lambda s: metric(s, "silhouette", value=float("inf")), "validity.metrics"),
    "champion of another day": (lambda s: changed(s, data="yesterday"), "data.same"),
    "stale data": (lambda s: changed(s, newest_event=AS_OF - timedelta(days=30)), "data.fresh"),
    "data from the future": (lambda s: changed(s, newest_event=AS_OF + timedelta(days=1)), "data.fresh"),
    "no dates": (lambda s: changed(s, newest_event=None), "data.fresh"),
    "drifted data": (lambda s: changed(s, validated=False), "data.validated"),
    "validation skipped": (lambda s: changed(s, validated=None), "data.validated"),
    "truncated data": (lambda s: changed(s, previous_users=N * 4), "data.rows"),
    "doubled data": (lambda s: changed(s, previous_users=N // 4), "data.rows"),
    "published tables broken": (lambda s: changed(s, published=False), "published"),
    "published tables unchecked": (lambda s: changed(s, published=None), "published"),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", BAD)
def test_planted_bad_candidates_are_refused_for_the_right_reason(case, seed):
    build, reason = BAD[case]
    verdict = gates.verdict(*build(seed), POLICY)
    assert not verdict.promoted
    failed = {gate.name: gate for gate in verdict.failures}
    assert reason in failed
    assert failed[reason].why
    assert failed[reason].bound


@pytest.mark.parametrize("gate", gates.GATES, ids=lambda gate: gate.__name__)
def test_without_any_one_gate_something_bad_gets_in(gate):
    others = tuple(one for one in gates.GATES if one is not gate)
    let_in = [case for case, (build, _) in BAD.items() if gates.verdict(*build(0), POLICY, gates=others).promoted]
    assert let_in


def recovered(seed):
    """The champion had gone wrong for a tenth of its users; the candidate has not."""
    w = world(seed)
    old = spoil(w.kinds, 0.1, rng(seed))
    return measure(w, w.kinds, seed=seed, churn=moved(old, w.kinds)), measure(w, old, seed=seed)


def fewer_left_out(seed):
    w = world(seed)
    old = np.where(rng(seed).random(N) < 0.2, -1, w.kinds)
    return measure(w, w.kinds, seed=seed, churn=moved(old, w.kinds)), measure(w, old, seed=seed)


def splits_a_lump(seed):
    """The champion could not tell two kinds apart."""
    w = world(seed)
    lump = np.where(w.kinds == 2, 1, w.kinds)
    before, after = np.array(names(3), object)[lump], np.array(names(3), object)[w.kinds]
    from tasks.segments.identity import churn

    policy = POLICY.model_copy(update={"max_churn": 0.4})
    return measure(w, w.kinds, seed=seed, churn=churn(before, after)), measure(w, lump, seed=seed), policy


def excused(seed):
    made, champion = renumbered(seed)
    return made, champion, POLICY.model_copy(update={"drift_reason": "the catalogue was replaced on 2026-01-15"})


def without_events(seed):
    made, champion = recovered(seed)
    rest = {"required": ("silhouette", "stability"), "newest_event": AS_OF}
    drop = {"metrics": {n: m for n, m in made.metrics.items() if n != "heldout_lift"}}
    return made.model_copy(update={**rest, **drop}), champion


def serves_the_minority(seed):
    w = world(seed)
    old = w.kinds.copy()
    few = np.flatnonzero(w.minority)
    old[few] = rng(seed).permutation(old[few])
    return measure(w, w.kinds, seed=seed, churn=moved(old, w.kinds)), measure(w, old, seed=seed)


GOOD = {
    "slightly better": lambda s: pair(s)[1:],
    "a first model": lambda s: (pair(s)[1], None),
    "champion gone wrong": recovered,
    "fewer users left out": fewer_left_out,
    "tells two kinds apart": splits_a_lump,
    "much churn for a written reason": excused,
    "texts only, nothing to recommend": without_events,
    "serves a minority better": serves_the_minority,
    "more users than before": lambda s: (pair(s)[1].model_copy(update={"previous_users": N // 2}), pair(s)[2]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", GOOD)
def test_truly_better_candidates_are_promoted(case, seed):
    candidate, champion, *policy = GOOD[case](seed)
    verdict = gates.verdict(candidate, champion, policy[0] if policy else POLICY)
    assert verdict.promoted, [(gate.name, gate.why) for gate in verdict.failures]
    assert len(verdict.gates) == len(gates.GATES)
    assert len({gate.name for gate in verdict.gates}) == len(gates.GATES)


def test_refusal_is_the_default():
    _, good, champion = pair(0)
    assert not gates.verdict(good, champion, POLICY, gates=()).promoted
    empty = good.model_copy(update={"sizes": {}, "rows": 0, "users": 0, "distinct": 0, "metrics": {}})
    failed = {gate.name for gate in gates.verdict(empty, None, POLICY).failures}
    assert {"validity.rows", "validity.smallest", "validity.largest", "validity.unassigned", "lift.random"} <= failed


def test_silhouettes_of_two_spaces_are_compared_in_one():
    _, good, champion = pair(0)
    ours = good.metrics["silhouette"]

    def with_silhouette(side, **changes):
        return side.model_copy(update={"metrics": {**side.metrics, "silhouette": better(ours, **changes)}})

    cosine = with_silhouette(champion, space="cosine", value=0.9, details={"cosine": 0.9})
    assert gates.silhouette(with_silhouette(good, value=0.4, details={"cosine": 0.89}), cosine, POLICY).passed
    assert not gates.silhouette(with_silhouette(good, value=0.95, details={"cosine": 0.6}), cosine, POLICY).passed
    assert not gates.silhouette(with_silhouette(good, value=0.95, details={}), cosine, POLICY).passed


@pytest.mark.parametrize(("ours", "theirs"), [(0.48, 0.5), (0.28, 0.3), (0.38, 0.4), (0.6, 0.62)])
def test_a_number_at_its_bound_passes_and_beyond_it_does_not(ours, theirs):
    _, champion = changed(0)
    for value, passes in ((ours, True), (ours - 1e-6, False)):
        candidate, _ = metric(0, "heldout_lift", value=value)
        before = champion.model_copy(
            update={
                "metrics": {**champion.metrics, "heldout_lift": better(champion.metrics["heldout_lift"], value=theirs)}
            }
        )
        assert gates.lift_champion(candidate, before, GateConfig(lift_margin=0.02)).passed is passes


def test_an_override_names_who_and_why_and_hides_nothing():
    verdict = gates.verdict(*collapsed(0), POLICY, decided_at=AS_OF)
    forced = gates.override(verdict, "Li Na", "campaign starts\n tomorrow")
    assert forced.promoted
    assert forced.override == "Li Na: campaign starts tomorrow"
    assert forced.gates == verdict.gates
    assert forced.failures == verdict.failures
    assert forced.decided_at == AS_OF
    for author, reason in (("", "x"), ("x", "  ")):
        with pytest.raises(UsageError, match="reason"):
            gates.override(verdict, author, reason)


def test_a_blank_drift_reason_excuses_nothing():
    blank = POLICY.model_copy(update={"drift_reason": "  "})
    assert not gates.verdict(*renumbered(0), blank).promoted
    unmeasured = changed(0, churn=Metric(name="churn", value=None, n=0, reason="?"))
    reason = POLICY.model_copy(update={"drift_reason": "known"})
    assert not gates.verdict(*unmeasured, reason).promoted
