"""What every encoder of behaviour keeps, whatever it learns by."""

from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from schemas.errors import DataError
from schemas.interactions import Items
from schemas.sequences import Sequences
from tasks.plugins.find import kinds, plugin

ITEMS = 12
OBJECTIVES = ("next_item", "contrastive", "masked")
SMALL = {"dimension": 8, "max_length": 6, "epochs": 2, "negatives": 8, "batch_size": 8, "learning_rate": 0.01}


def variants():
    for kind in kinds("behaviour_encoders"):
        learns = "objective" in plugin("behaviour_encoders", kind).Config.model_fields
        yield from product([kind], OBJECTIVES if learns else [None])


@pytest.fixture(params=variants(), ids=lambda one: "-".join(map(str, one)))
def encoder(request):
    """The plugin and a small config of it."""
    kind, objective = request.param
    module = plugin("behaviour_encoders", kind)
    return module, module.Config(**SMALL, **({} if objective is None else {"objective": objective}))


def sequences(lengths, seed=0, items=ITEMS):
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    times = np.concatenate([[], *(np.sort(rng.random(n) * 100) for n in lengths)])
    return Sequences(starts, rng.integers(0, items, starts[-1]), rng.integers(0, 2, starts[-1]), times)


def part(whole, users):
    """The histories of some users."""
    at = np.concatenate([np.arange(whole.starts[u], whole.starts[u + 1]) for u in users]).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(whole.lengths[users])])
    return Sequences(starts, whole.items[at], whole.kinds[at], whole.times[at])


def catalogue(items=ITEMS):
    rng = np.random.default_rng(1)
    categories = sp.csr_matrix(rng.random((items, 3)) < 0.5, dtype=float)
    vectors = rng.standard_normal((items, 4)).astype(np.float32)
    return Items(np.array([f"i{n}" for n in range(items)]), vectors, categories)


BUCKETS = [sequences([3, 0, 7, 1, 9], 0), sequences([2, 14, 5], 1)]


def fitted(encoder, seed=0, **more):
    module, config = encoder
    return module.fit(BUCKETS, catalogue(), config, np.random.default_rng(seed), "cpu", **more)


def same(a, b):
    a, b = a.arrays(), b.arrays()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_a_user_is_a_vector_and_one_without_events_is_unknown(encoder):
    X = fitted(encoder).encode(BUCKETS[0])
    assert (X.shape, X.dtype) == ((5, 8), np.float32)
    assert np.isfinite(X).all(axis=1).tolist() == [True, False, True, True, True]


def test_a_seed_decides_every_byte_and_nothing_else_does(encoder):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    made = fitted(encoder)
    torch.rand(5)
    assert same(made, fitted(encoder))
    assert not same(made, fitted(encoder, seed=1))
    torch.manual_seed(3)
    fitted(encoder)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_user_alone_in_any_order_and_after_a_reload_has_the_same_bits(encoder):
    module, config = encoder
    made, many = fitted(encoder), sequences(list(range(1, 40)), 5)
    whole = made.encode(many)
    again = module.from_arrays(made.arrays(), config)
    order = np.random.default_rng(0).permutation(39)
    assert np.array_equal(again.encode(part(many, order)), whole[order])
    assert all(np.array_equal(made.encode(part(many, [u]))[0], whole[u]) for u in (0, 7, 38))


class Kept:
    """Keeps what a training goes on from, and is killed after so many epochs."""

    def __init__(self, after=None):
        self.kept, self.after, self.saved = None, after, 0

    def __call__(self, done, of):
        assert 0 <= done <= of

    def load(self):
        return self.kept

    def save(self, arrays):
        self.kept = {name: np.array(value) for name, value in arrays.items()}
        self.saved += 1
        if self.saved == self.after:
            raise KeyboardInterrupt


def test_a_training_that_was_killed_ends_with_the_bytes_of_one_that_was_not(encoder):
    kept = Kept(after=1)
    try:
        fitted(encoder, progress=kept)
    except KeyboardInterrupt:
        kept.after = None
        assert same(fitted(encoder, progress=kept), fitted(encoder))
    else:
        assert kept.saved == 0  # it trains nothing, so nothing of it can be killed


def test_a_loss_that_is_no_number_is_refused_in_words(encoder):
    module, config = encoder
    if not fitted(encoder).losses:
        pytest.skip("it trains nothing")
    wild = catalogue()
    wild.vectors[:] = np.inf
    with pytest.raises(DataError, match=r"the loss became (nan|inf).* lower learning_rate"):
        module.fit(BUCKETS, wild, config, np.random.default_rng(0), "cpu")


@pytest.mark.parametrize("lengths", [[1], [1, 1, 1], [4], [2000, 1]])
def test_one_user_one_event_and_a_very_long_history_are_read(encoder, lengths):
    module, config = encoder
    few = sequences(lengths, items=1)
    one = Items(np.array(["only"]))
    made = module.fit([few], one, config.model_copy(update={"epochs": 1}), np.random.default_rng(0), "cpu")
    assert np.isfinite(made.encode(few)).all()


def test_no_events_are_refused_in_words(encoder):
    module, config = encoder
    with pytest.raises(DataError, match="no events of known items"):
        module.fit([sequences([0, 0])], catalogue(), config, np.random.default_rng(0), "cpu")


def test_an_item_that_nobody_knew_is_read_by_its_content(encoder):
    made, own = fitted(encoder), part(BUCKETS[0], [2])
    strange = Sequences(own.starts, np.where(np.arange(7) == 6, ITEMS, own.items), own.kinds, own.times)
    new = Items(np.array(["new"]), 50 * np.ones((1, 4), np.float32), sp.csr_matrix(np.ones((1, 3))))
    unknown = Sequences(own.starts, np.where(strange.items == ITEMS, -1, strange.items), own.kinds, own.times)
    seen, blank = made.encode(strange, new), made.encode(unknown)
    assert np.isfinite([seen, blank]).all()
    assert not np.array_equal(seen, blank)


def test_a_start_from_another_moves_nothing_that_it_knew_and_one_of_other_shapes_is_left_aside(encoder):
    module, config = encoder
    before, idle = fitted(encoder), config.model_copy(update={"epochs": 0})
    grown = catalogue(ITEMS + 3)
    told = catalogue()
    grown.vectors[:ITEMS], grown.categories[:ITEMS] = told.vectors, told.categories
    more = [*BUCKETS, sequences([5], 9, ITEMS + 3)]
    after = module.fit(more, grown, idle, np.random.default_rng(4), "cpu", init=before.arrays())
    assert np.allclose(after.encode(BUCKETS[0]), before.encode(BUCKETS[0]), atol=1e-4, equal_nan=True)
    wide = config.model_copy(update={"dimension": 16})
    anew = module.fit(BUCKETS, told, wide, np.random.default_rng(0), "cpu", init=before.arrays())
    assert (after.warm, anew.warm) == (True, False)
    assert same(anew, module.fit(BUCKETS, told, wide, np.random.default_rng(0), "cpu"))


def test_a_turned_encoder_turns_its_vectors(encoder):
    made = fitted(encoder)
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((8, 8)))[0]
    shift = np.arange(8.0)
    turned = made.turned(turn, shift)
    assert np.allclose(turned.encode(BUCKETS[1]), made.encode(BUCKETS[1]) @ turn + shift, atol=1e-4)
    module, config = encoder
    assert np.array_equal(module.from_arrays(turned.arrays(), config).encode(BUCKETS[1]), turned.encode(BUCKETS[1]))
    back = turned.turned(turn.T, -shift @ turn.T)
    assert np.allclose(back.encode(BUCKETS[1]), made.encode(BUCKETS[1]), atol=1e-4)
