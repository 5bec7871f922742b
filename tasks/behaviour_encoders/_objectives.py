"""What a network learns by: each objective gives the loss of a batch of windows, and a score of held-out events.

`next_item`: the next item at every place, by softmax over it and drawn negatives, scores corrected by −log of how often
each is drawn (Jean et al. 2015). `masked`: the same for items that were hidden, seen from both sides (BERT4Rec, Sun et
al. 2019). `contrastive`: two random slices of one history against those of others (CoLES, Babaev et al. 2022).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tasks.behaviour_encoders._batches import Batch
from tasks.behaviour_encoders._net import Catalogue, Noise, still

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Model:
    """What is trained: a network, embeddings of items, and how often each of them is chosen.

    Attributes:
        net: The network.
        items: Embeddings.
        drawn: (m,) share of negatives that each item makes up.
        both_ways: Whether an event sees those after it.
        config: The encoder's.
    """

    net: "torch.nn.Module"
    items: Catalogue
    drawn: np.ndarray
    both_ways: bool
    config: Any

    def states(self, batch: Batch, drop: Noise, hidden: "np.ndarray | None", alone: "np.ndarray | None") -> Any:
        """(B, T, d) what the network makes of a batch; `hidden` (B, T) places show no item."""
        import torch

        x = self.items.embed(batch.items, alone)
        if hidden is not None:
            x = torch.where(
                torch.from_numpy(hidden)[..., None].to(x.device), self.net.get_parameter("hidden").to(x.dtype), x
            )
        known = batch.tensors(x.device)
        return self.net(x, known, self.both_ways, drop, self.config.dropout if drop is not still else 0.0)


class Objective(Protocol):
    """One way to learn."""

    def loss(self, model: Model, batch: Batch, rng: np.random.Generator, drop: Noise) -> Any:
        """Mean loss of a batch, to be differentiated; None where the batch teaches nothing."""
        ...

    def score(self, model: Model, batch: Batch) -> np.ndarray:
        """(B,) how well the newest event of each window is told from those before it; more is better."""
        ...


def softmax_loss(model: Model, states: Any, targets: np.ndarray, rng: np.random.Generator) -> Any:
    """Mean cross-entropy of (p, d) states whose items are `targets` (p,), against drawn negatives."""
    import torch

    count = min(model.config.negatives, len(model.drawn))
    negatives = rng.choice(len(model.drawn), count, p=model.drawn)
    rows = model.items.embed(np.concatenate([targets, negatives]))
    right, wrong = rows[: len(targets)], rows[len(targets) :]
    often = np.log(model.drawn[np.concatenate([targets, negatives])] * count).astype(np.float32)
    of_right, of_wrong = torch.from_numpy(often).to(rows.device).split([len(targets), count])
    positive = (states * right).sum(-1, keepdim=True) - of_right[:, None]
    others = states @ wrong.T - of_wrong
    same = torch.from_numpy(targets[:, None] == negatives).to(rows.device)
    logits = torch.cat([positive, others.masked_fill(same, -1e9)], dim=1).float()
    return (torch.logsumexp(logits, 1) - logits[:, 0]).mean()


class NextItem:
    """The next item at every place."""

    def loss(self, model: Model, batch: Batch, rng: np.random.Generator, drop: Noise) -> Any:
        """Mean over the places whose next item has an embedding of its own."""
        before = _first(batch, batch.lengths - 1)
        targets = np.where(before.present, batch.items[:, 1:], -1)
        at = targets >= 0
        if not at.any():
            return None
        states = model.states(before, drop, None, _alone(batch, model, rng))
        return softmax_loss(model, states[_places(at, states)], targets[at], rng)

    def score(self, model: Model, batch: Batch) -> np.ndarray:
        """NDCG@10 of the newest item among all items, none left out."""
        before = _first(batch, batch.lengths - 1)
        states = model.states(before, still, None, None)
        return ndcg(model, last(states, before.lengths), _newest(batch))


class Masked:
    """Items that were hidden."""

    def loss(self, model: Model, batch: Batch, rng: np.random.Generator, drop: Noise) -> Any:
        """Mean over the hidden places; each window hides one at least, and the newest as often as not."""
        known = batch.present & (batch.items >= 0)
        hidden = known & (rng.random(batch.items.shape) < model.config.mask_share)
        newest = np.zeros_like(known)
        newest[np.arange(len(known)), batch.lengths - 1] = rng.random(len(known)) < 0.5
        hidden |= newest & known
        if not hidden.any():
            return None
        states = model.states(batch, drop, hidden, _alone(batch, model, rng))
        return softmax_loss(model, states[_places(hidden, states)], batch.items[hidden], rng)

    def score(self, model: Model, batch: Batch) -> np.ndarray:
        """NDCG@10 of the newest item, which is hidden, among all items."""
        hidden = np.zeros(batch.items.shape, bool)
        hidden[np.arange(len(hidden)), batch.lengths - 1] = True
        states = model.states(batch, still, hidden, None)
        return ndcg(model, last(states, batch.lengths), _newest(batch))


class Contrastive:
    """Two slices of one history belong together."""

    def loss(self, model: Model, batch: Batch, rng: np.random.Generator, drop: Noise) -> Any:
        """InfoNCE over the batch, both ways."""
        if len(batch.lengths) < 2:
            return None
        return self._compared(model, batch, rng, drop).mean()

    def score(self, model: Model, batch: Batch) -> np.ndarray:
        """Minus the same loss of each window, of slices that are always the same."""
        if len(batch.lengths) < 2:
            return np.full(len(batch.lengths), np.nan)
        return -self._compared(model, batch, np.random.default_rng(0), still).detach().cpu().double().numpy()

    def _compared(self, model: Model, batch: Batch, rng: np.random.Generator, drop: Noise) -> Any:
        import torch

        sides = []
        for _ in range(2):
            part = sliced(batch, rng)
            hidden = None if drop is still else _alone(batch, model, rng)
            states = last(model.states(part, drop, None, hidden), part.lengths)
            sides.append(torch.nn.functional.normalize(states.float(), dim=1))
        near = sides[0] @ sides[1].T / model.config.temperature
        own = torch.diagonal(near)
        return (torch.logsumexp(near, 1) + torch.logsumexp(near, 0)) / 2 - own


class Bag:
    """Every item of a bag, told from a part of it."""

    def loss(self, model: Model, batch: Batch, rng: np.random.Generator, drop: Noise) -> Any:
        """Mean over the events of the batch."""
        at = batch.present & (batch.items >= 0)
        if not at.any():
            return None
        left = kept(batch, rng.random(batch.items.shape) >= model.config.hide_share)
        states = model.states(left, drop, None, _alone(batch, model, rng))[:, :1].expand(-1, at.shape[1], -1)
        return softmax_loss(model, states[_places(at, states)], batch.items[at], rng)

    def score(self, model: Model, batch: Batch) -> np.ndarray:
        """NDCG@10 of the newest item among all, told from the others."""
        return NextItem().score(model, batch)


OBJECTIVES: dict[str, Objective] = {
    "next_item": NextItem(),
    "masked": Masked(),
    "contrastive": Contrastive(),
    "bag": Bag(),
}


def kept(batch: Batch, stays: np.ndarray) -> Batch:
    """The events of each window that stay, (B, T), moved together; of each one at least, the newest."""
    stays = stays & batch.present
    newest = np.maximum(batch.lengths - 1, 0)
    stays[np.arange(len(stays)), newest] |= ~stays.any(axis=1)
    return batch.at(np.argsort(~stays, axis=1, kind="stable"), stays.sum(axis=1))


def sliced(batch: Batch, rng: np.random.Generator) -> Batch:
    """A random slice of each window, of a quarter of its events at least."""
    lengths = batch.lengths
    least = np.maximum(-(-lengths // 4), 1)
    size = least + np.floor(rng.random(len(lengths)) * (lengths - least + 1)).astype(np.int64)
    begin = np.floor(rng.random(len(lengths)) * (lengths - size + 1)).astype(np.int64)
    part = batch.at(begin[:, None] + np.arange(size.max()), size)
    part.gaps[:, 0] = 0  # of its first event nothing came before
    return part


def ndcg(model: Model, states: Any, targets: np.ndarray, depth: int = 10) -> np.ndarray:
    """(B,) NDCG at 10 of one item each, (B,), among all; NaN where the item has no embedding of its own."""
    import torch

    table = model.items.rows(np.arange(len(model.drawn)))
    known = targets >= 0
    safe = torch.from_numpy(np.where(known, targets, 0)).to(table.device)
    scores = states.to(table.dtype) @ table.T
    own = scores.gather(1, safe[:, None])
    rank = (scores > own).sum(1).cpu().numpy()
    return np.where(known, np.where(rank < depth, 1 / np.log2(rank + 2), 0.0), np.nan)


def last(states: Any, lengths: np.ndarray) -> Any:
    """(B, d) the states of each window's newest event."""
    import torch

    rows = torch.arange(len(lengths), device=states.device)
    return states[rows, torch.from_numpy(np.maximum(lengths - 1, 0)).to(states.device)]


def _first(batch: Batch, lengths: np.ndarray) -> Batch:
    """The first events of each window, one fewer than it has room for."""
    return batch.at(np.arange(max(batch.items.shape[1] - 1, 1))[None], lengths)


def _newest(batch: Batch) -> np.ndarray:
    return batch.items[np.arange(len(batch.lengths)), batch.lengths - 1]


def _places(at: np.ndarray, like: Any) -> Any:
    import torch

    return torch.from_numpy(at).to(like.device)


def _alone(batch: Batch, model: Model, rng: np.random.Generator) -> np.ndarray:
    """Codes of the batch's items that this step knows by their content alone."""
    distinct = np.unique(batch.items)
    return distinct[rng.random(len(distinct)) < model.config.item_dropout]
