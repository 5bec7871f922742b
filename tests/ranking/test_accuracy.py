"""Accuracy of ranked lists against trec_eval and a plain rewrite."""

import time

import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, P, Qrel, R, ScoredDoc, Success, iter_calc, nDCG

from tasks.numerics.hits import clean
from tasks.ranking.accuracy import MEASURES, accuracy
from tasks.recommenders._fitted import highest

THEIRS = {"precision": P, "recall": R, "ndcg": nDCG, "map": AP, "mrr": RR, "hit": Success}


def test_lists_are_judged_as_by_trec_eval():
    """trec_eval orders ties by descending id, so ids fall where columns rise; it knows no users without test items."""
    rng = np.random.default_rng(0)
    m, items, n = 300, 60, 10
    test = clean(sp.csr_matrix(rng.random((m, items)) < rng.random((m, 1)) * 0.4))
    scores = rng.integers(1, 6, size=(m, items)).astype(float)  # many ties
    scores[rng.random((m, items)) < rng.random((m, 1))] = np.nan  # and lists shorter than n
    chosen, _ = highest(scores, n)
    assert (chosen < 0).any()
    relevant = [Qrel(str(user), f"{999 - item}", 1) for user, item in np.argwhere(test.toarray()).tolist()]
    run = [ScoredDoc(str(u), f"{999 - i}", scores[u, i]) for u in range(m) for i in chosen[u].tolist() if i >= 0]
    run += [ScoredDoc(str(user), "nothing", -1.0) for user in range(m)]  # whoever gets an empty list still counts
    measures = {kind if kind is RR else kind @ n: name for name, kind in THEIRS.items()}
    ours, compared = accuracy(chosen, test), 0
    for one in iter_calc(list(measures), relevant, run):
        assert abs(ours[measures[one.measure]][int(one.query_id)] - one.value) < 1e-9
        compared += 1
    assert compared == len(MEASURES) * (np.diff(test.indptr) > 0).sum()


def plainly(chosen, wanted):
    """All measures of one list by loops."""
    n = len(chosen)
    rel = [item in wanted for item in chosen]
    ideal = sum(1 / np.log2(r + 2) for r in range(min(len(wanted), n)))
    seen, precisions, first = 0, 0.0, 0.0
    for r, one in enumerate(rel, 1):
        seen += one
        precisions += one * seen / r
        first = first or one / r
    found = {"precision": sum(rel) / n, "mrr": first, "hit": float(any(rel))}
    dcg = sum(one / np.log2(r + 2) for r, one in enumerate(rel))
    own = {"recall": sum(rel), "map": precisions}
    return {
        **found,
        **{name: value / len(wanted) if wanted else np.nan for name, value in own.items()},
        "ndcg": dcg / ideal if wanted else np.nan,
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12), st.integers(1, 8))
def test_every_measure_equals_a_plain_rewrite(seed, items, n, m):
    rng = np.random.default_rng(seed)
    test = clean(sp.csr_matrix(rng.random((m, items)) < 0.3))
    chosen = np.full((m, n), -1)
    for user in range(m):
        length = rng.integers(min(n, items) + 1)
        chosen[user, :length] = rng.permutation(items)[:length]
    found = accuracy(chosen, test)
    assert tuple(found) == MEASURES
    for user in range(m):
        wanted = set(np.flatnonzero(test[user].toarray()))
        for name, value in plainly(chosen[user].tolist(), wanted).items():
            np.testing.assert_allclose(found[name][user], value, atol=1e-12)


def test_thirty_thousand_lists_take_well_under_a_second():
    rng = np.random.default_rng(0)
    places = np.repeat(np.arange(32_000), 10), rng.integers(20_000, size=320_000)
    test = clean(sp.csr_matrix((np.ones(320_000), places), shape=(32_000, 20_000)))
    chosen = rng.integers(20_000, size=(32_000, 10))
    start = time.process_time()
    accuracy(chosen, test)
    assert time.process_time() - start < 1.0
