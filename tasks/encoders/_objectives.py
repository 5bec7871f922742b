"""What a language model is tuned towards: one loss a batch."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from schemas.errors import UsageError
from tasks.encoders._heldout import Held
from tasks.encoders._tokens import Rows

if TYPE_CHECKING:
    import torch

    from tasks.encoders._tune import TuneConfig

_HIDDEN = 0.15  # of the tokens
_IGNORED = -100  # torch's mark of a place that no loss is taken of
States = Callable[[Rows], "tuple[torch.Tensor, torch.Tensor]"]
"""Rows -> their pooled vectors (b, d) and token states (b, t, d)."""


class Batch(NamedTuple):
    """Rows side by side, and (b,) what they are of: equal numbers are no negatives of one another."""

    left: Rows
    right: Rows
    left_of: np.ndarray
    right_of: np.ndarray


class Objective(Protocol):
    """A loss, and the weights that are trained for it alone."""

    weights: "list[torch.Tensor]"

    def loss(self, batch: Batch, states: States) -> "torch.Tensor":
        """The mean loss of a batch."""
        ...


def objective_of(
    config: "TuneConfig", model: Any, tokenizer: Any, rows: Rows, held: Held, seed: int
) -> tuple[Objective, Iterator[Batch]]:
    """The loss of a config, and batches for it without end.

    Args:
        config: Names the objective.
        model: What is tuned.
        tokenizer: Its tokenizer.
        rows: Tokens of each text.
        held: What may be trained on.
        seed: Draws the order.

    Raises:
        UsageError: the tokenizer has no mask, and tokens are to be hidden.
    """
    pairs = held.pairs if config.objective == "co_consumption" else np.repeat(held.texts[:, None], 2, axis=1)
    batches = _batches(pairs, rows, min(config.batch_size, len(pairs)), np.random.default_rng(seed))
    if config.objective == "mlm":
        return Masked(model, tokenizer), batches
    return Contrast(config.temperature), batches


def _batches(pairs: np.ndarray, rows: Rows, size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Batches of `size` pairs in an order that is drawn anew each time all have come; the rest of a round is left."""
    while True:
        order = rng.permutation(len(pairs))
        for start in range(0, len(order) - size + 1, size):
            some = pairs[order[start : start + size]]
            left, right = ([rows[at] for at in side] for side in some.T.tolist())
            yield Batch(left, right, some[:, 0], some[:, 1])


class Contrast:
    """InfoNCE both ways over cosines (van den Oord et al. 2018; for one text twice: Gao et al. 2021, "SimCSE").

    The negatives of a text are the other sides of the batch, drawn as often as they are taken: what is learned is how
    much more often two texts go together than their popularity explains.
    """

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature
        self.weights: list[torch.Tensor] = []

    def loss(self, batch: Batch, states: States) -> "torch.Tensor":
        """The mean over both directions."""
        import torch
        from torch.nn.functional import cross_entropy, normalize

        a, b = normalize(states(batch.left)[0]), normalize(states(batch.right)[0])
        same = (batch.right_of[None, :] == batch.right_of[:, None]) | (
            batch.right_of[None, :] == batch.left_of[:, None]
        )
        back = (batch.left_of[None, :] == batch.left_of[:, None]) | (batch.left_of[None, :] == batch.right_of[:, None])
        own = np.eye(len(same), dtype=bool)
        near = a @ b.T / self.temperature
        target = torch.arange(len(near), device=near.device)
        there = near.masked_fill(torch.from_numpy(same & ~own).to(near.device), -torch.inf)
        theirs = near.T.masked_fill(torch.from_numpy(back & ~own).to(near.device), -torch.inf)
        return (cross_entropy(there, target) + cross_entropy(theirs, target)) / 2


class Masked:
    """Tokens are hidden and guessed by a small head over the word embeddings (Devlin et al. 2019, "BERT").

    The head is trained along and thrown away. Of the hidden tokens 80 % become the mask, 10 % another token.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        import torch

        if tokenizer.mask_token_id is None:
            raise UsageError("tune.objective mlm: the tokenizer has no mask token; take simcse")
        self.mask, self.special = int(tokenizer.mask_token_id), frozenset(tokenizer.all_special_ids)
        self.words = model.get_input_embeddings().weight.detach()
        vocabulary, width = self.words.shape
        self.vocabulary = int(vocabulary)
        layers = (torch.nn.Linear(width, width), torch.nn.GELU(), torch.nn.LayerNorm(width))
        self.head = torch.nn.Sequential(*layers).to(self.words.device)
        self.weights: list[torch.Tensor] = list(self.head.parameters())

    def loss(self, batch: Batch, states: States) -> "torch.Tensor":
        """The mean over hidden tokens."""
        import torch
        from torch.nn.functional import cross_entropy

        width = max(map(len, batch.left))
        shown, wanted = [], np.full((len(batch.left), width), _IGNORED)
        for line, row in enumerate(batch.left):
            own, chance = np.array(row), torch.rand(2, len(row)).numpy()
            hidden = (chance[0] < _HIDDEN) & ~np.isin(own, [*self.special])
            wanted[line, : len(row)][hidden] = own[hidden]
            other = torch.randint(self.vocabulary, (len(row),)).numpy()
            guess = np.where(chance[1] < 0.8, self.mask, np.where(chance[1] < 0.9, other, own))
            shown.append(np.where(hidden, guess, own).tolist())
        if (wanted == _IGNORED).all():  # texts of a token or two: nothing to guess
            wanted[0, 0] = batch.left[0][0]
        tokens, target = states(shown)[1], torch.from_numpy(wanted).to(self.words.device)
        guessed = self.head(tokens[target != _IGNORED]) @ self.words.T
        return cross_entropy(guessed, target[target != _IGNORED])
