"""Windows, batches, the budget and what happens when memory ends."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.encoders._engine import Engine, batches_of, windows_of

sizes = st.lists(st.integers(1, 300), max_size=80)


@given(sizes, st.integers(1, 2000))
def test_windows_hold_every_text_once_longest_first(lengths, budget):
    windows = windows_of(lengths, budget)
    order = np.concatenate(windows) if windows else np.zeros(0, int)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert [lengths[i] for i in order] == sorted(lengths, reverse=True)


@given(sizes, st.integers(1, 2000), st.sampled_from([1, 32]))
def test_batches_hold_every_row_once_within_the_budget(lengths, budget, multiple):
    batches = batches_of(np.array(lengths, dtype=np.int64), budget, multiple)
    assert sorted(np.concatenate(batches).tolist() if batches else []) == list(range(len(lengths)))
    for batch in batches:
        width = -(-max(lengths[i] for i in batch) // multiple) * multiple
        assert len(batch) == 1 or len(batch) * width <= budget


def counting_engine(limit, budget=64, error=None):
    """An engine whose model sums token ids, and has no memory for more than `limit` padded tokens."""
    seen = []

    def forward(ids, mask):
        if ids.numel() > limit:
            raise error or torch.OutOfMemoryError("out of memory")
        seen.append(tuple(ids.shape))
        return (ids if mask is None else ids * mask).sum(dim=1, keepdim=True).float()

    def tokenise(texts):
        return [[ord(c) for c in text] for text in texts], np.arange(len(texts))

    engine = Engine(tokenise, forward, lambda v, s, o, n: v, torch.device("cpu"), 99, budget)
    return engine, seen


TEXTS = ["abc" * (i % 5 + 1) for i in range(40)]
SUMS = np.array([[sum(map(ord, text))] for text in TEXTS], dtype=np.float32)


def run(engine):
    vectors = np.zeros((len(TEXTS), 1), np.float32)
    for indices, batch in engine.run(TEXTS):
        vectors[indices] = batch
    return vectors


def test_out_of_memory_halves_the_budget_and_goes_on():
    engine, seen = counting_engine(limit=20)
    np.testing.assert_array_equal(run(engine), SUMS)
    assert engine.halvings >= 2
    assert engine.budget <= 20
    assert max(rows * width for rows, width in seen) <= 20


def test_out_of_memory_with_one_text_is_the_end():
    engine, _ = counting_engine(limit=10)
    with pytest.raises(torch.OutOfMemoryError):
        run(engine)


def test_other_errors_are_not_taken_for_memory():
    engine, _ = counting_engine(limit=20, error=RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        run(engine)
    assert engine.halvings == 0


def test_an_abandoned_run_leaves_no_thread():
    import threading

    engine, _ = counting_engine(limit=10**9, budget=1)
    before = threading.active_count()
    batches = engine.run(TEXTS)
    next(batches)
    batches.close()
    assert threading.active_count() == before
