"""A tuned model finds the partners of texts it never saw, is refused where it does not, and is bytes of its seed."""

import re
from importlib.util import find_spec

import numpy as np
import pytest

from schemas.errors import DataError, UsageError
from schemas.tuning import Examples
from tasks.encoders import transformer, tuned_fingerprint, weights_sum
from tasks.encoders._heldout import Judged, hold_out
from tasks.encoders._tune import TuneConfig
from tests.helpers.language_models import WORDS, tiny_bert

TOPICS = 8
LORA = pytest.param("lora", marks=pytest.mark.skipif(find_spec("peft") is None, reason="the extra tune is missing"))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Two threads a product are slower than one for models of this size."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def planted(seed=0, texts=240, pairs=3000, shuffled=False) -> Examples:
    """Texts of a word of one of eight topics and two others; texts of one topic go together."""
    rng = np.random.default_rng(seed)
    topics, others = np.array(WORDS[:16]).reshape(TOPICS, 2), WORDS[16:-3]
    made = {}
    while len(made) < texts:
        topic = int(rng.integers(TOPICS))
        made[" ".join([rng.choice(topics[topic]), *rng.choice(others, 2)])] = topic
    every = sorted(made)
    of = np.array([made[text] for text in every])
    of = rng.permutation(of) if shuffled else of
    left = rng.integers(texts, size=pairs)
    right = np.array([rng.choice(np.flatnonzero(of == of[at])) for at in left])
    both = np.stack([left, right], axis=1)[left != right]
    return Examples(tuple(every), both)


def config(bert, **changes):
    how = {
        "method": "full",
        "steps": 60,
        "batch_size": 32,
        "look_every": 20,
        "learning_rate": 0.003,
        "temperature": 0.3,
    }
    return transformer.Config(model=str(bert), dtype="float32", tune=TuneConfig(**{**how, **changes}))


@pytest.mark.parametrize("method", ["full", LORA])
def test_a_planted_relation_is_learned_and_holds_for_texts_never_seen(bert, method):
    said = []
    given = config(bert, method=method, learning_rate=0.003 if method == "full" else 0.01)
    arrays, came = transformer.tune(given, planted(), 0, "cpu", lambda *at: said.append(at))
    assert came.used, came.why
    assert came.judged.low > 0
    assert "tuned, and used" in came.why
    assert said[-1][1] == 60
    assert came.watched[0] < max(came.watched)
    frozen, tuned = transformer.load(given, "cpu"), transformer.tuned(given, "cpu", arrays)
    assert tuned.fingerprint == tuned_fingerprint(frozen.fingerprint, weights_sum(arrays))
    assert not np.allclose(tuned.encode(["red toy"]), frozen.encode(["red toy"]), atol=1e-3)


def test_chance_is_not_taken_for_learning(bert):
    """Whatever the seed, pairs of no meaning make nothing that is used."""
    for seed in range(3):
        arrays, came = transformer.tune(config(bert), planted(seed, shuffled=True), seed, "cpu")
        assert not came.used
        assert not arrays
        assert "not used" in came.why


def test_the_same_seed_gives_the_same_bytes_and_leaves_torch_as_it_was(bert):
    import torch

    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    one, came = transformer.tune(config(bert), planted(), 1, "cpu")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    torch.manual_seed(6)
    two, again = transformer.tune(config(bert), planted(), 1, "cpu")
    other, _ = transformer.tune(config(bert), planted(), 2, "cpu")
    assert weights_sum(one) == weights_sum(two) != weights_sum(other)
    assert came == again


@pytest.mark.parametrize("objective", ["simcse", "mlm"])
def test_texts_alone_are_learned_from(tmp_path, objective):
    """Both objectives run to an end and are judged like the other; what they are worth is the data's business."""
    folder = tiny_bert(tmp_path / "bert")
    masked(folder)
    arrays, came = transformer.tune(config(folder, objective=objective, steps=20, look_every=10), planted(), 0, "cpu")
    assert came.steps
    assert len(came.watched) >= 2
    assert bool(arrays) == came.used


def masked(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.mask_token = "[UNK]"
    tokenizer.save_pretrained(folder)


def test_tokens_cannot_be_hidden_without_a_mask(bert):
    with pytest.raises(UsageError, match="no mask token"):
        transformer.tune(config(bert, objective="mlm"), planted(), 0, "cpu")


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        (Examples(("a", "b"), np.array([[0, 1]])), "only 0 to learn from|only 1 to learn from"),
        (Examples((), np.zeros((0, 2), np.int64)), "only 0 to learn from"),
        (planted(texts=30), "held-out texts have a partner"),
    ],
)
def test_too_little_to_learn_from_or_to_judge_by_is_said(bert, examples, words):
    arrays, came = transformer.tune(config(bert), examples, 0, "cpu")
    assert not arrays
    assert not came.used
    assert pytest.approx(0) == came.steps
    assert came.judged is None
    assert re.search(words, came.why), came.why


def test_a_loss_that_is_no_number_ends_it_in_words(bert):
    _, came = transformer.tune(config(bert, learning_rate=0.99, temperature=1e-38), planted(), 0, "cpu")
    assert not came.used
    assert "no number" in came.why


def test_weights_of_another_model_are_refused(bert, tmp_path):
    given = config(bert)
    for arrays in (
        {"nobody.weight": np.zeros((2, 2), np.float32)},
        {"encoder.layer.0.output.dense.weight": np.zeros((2, 2), np.float32)},
        {"encoder.layer.0.output.dense.weight:up": np.zeros((16, 2), np.float32)},
    ):
        with pytest.raises(DataError, match="does not fit the model"):
            transformer.tuned(given, "cpu", arrays)


def test_a_text_stays_on_its_side_and_nothing_held_out_is_trained_on():
    examples = planted()
    held = hold_out(examples, 0.3, 4096, 7)
    sides = [{*np.unique(one).tolist()} for one in (held.texts, held.watched[:, 0], held.judged[:, 0])]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert {*held.pairs.ravel().tolist()} <= sides[0]
    fewer = Examples(examples.texts[:100], examples.pairs[(examples.pairs < 100).all(axis=1)])
    again = hold_out(fewer, 0.3, 4096, 7)
    assert {*again.texts.tolist()} == {at for at in sides[0] if at < 100}


def test_recall_is_what_counting_gives():
    """An oracle in loops."""
    examples, rng = planted(texts=60, pairs=400), np.random.default_rng(3)
    held = hold_out(examples, 0.5, 40, 1)
    judged = Judged.of(held.judged, held, examples, top=5)
    vectors = rng.normal(size=(len(judged.texts), 6)).astype(np.float32)
    unit = {at: v / np.linalg.norm(v) for at, v in zip(held.candidates.tolist(), vectors, strict=True)}
    shares = []
    for text in np.unique(held.judged[:, 0]).tolist():
        scored = sorted((c for c in held.candidates.tolist() if c != text), key=lambda c: -unit[text] @ unit[c])
        partners = held.judged[held.judged[:, 0] == text, 1].tolist()
        shares.append(np.mean([partner in scored[:5] for partner in partners]))
    np.testing.assert_allclose(judged.found(vectors), shares)
