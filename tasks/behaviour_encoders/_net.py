"""The parts that all learned encoders share: embeddings of items, of kinds and gaps, and where parameters start."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.behaviour_encoders._batches import GAPS

if TYPE_CHECKING:
    import torch

    from schemas.interactions import Items

Noise = Callable[["torch.Tensor", float], "torch.Tensor"]
"""Drops a share of the values of a tensor, and scales the others up; while encoding it changes nothing."""


def still(values: "torch.Tensor", share: float) -> "torch.Tensor":
    """No noise: what encoding does."""
    return values


def noise(generator: "torch.Generator") -> Noise:
    """Dropout that draws from a generator of its own: torch's own is shared by every thread of the process."""
    import torch

    def drop(values: "torch.Tensor", share: float) -> "torch.Tensor":
        if not share:
            return values
        kept = torch.empty_like(values).bernoulli_(1 - share, generator=generator)
        return values * kept / (1 - share)

    return drop


def network(body: "torch.nn.Module", kinds: int, dimension: int) -> "torch.nn.Module":
    """Embeddings of what else is known of an event round a body that reads sequences.

    The body maps (B, T, d) inputs, (B,) lengths, whether an event sees those after it, and noise to (B, T, d) states.
    """
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kinds = torch.nn.Embedding(kinds + 1, dimension)
            self.gaps = torch.nn.Embedding(GAPS, dimension)
            self.hidden = torch.nn.Parameter(torch.empty(dimension))  # stands where an item is masked
            self.body = body

        def forward(self, items: Any, known: Any, both_ways: bool, drop: Noise, share: float) -> Any:
            events, gaps, lengths = known
            x = items * dimension**0.5 + self.kinds(events) + self.gaps(gaps)
            return self.body(drop(x, share), lengths, both_ways, drop, share)

    return Network()


def started(make: Callable[[], "torch.nn.Module"], rng: np.random.Generator) -> "torch.nn.Module":
    """A module whose parameters come from `rng` alone: matrices of variance 1 / inputs, vectors 0, scales 1."""
    import torch

    with torch.device("meta"):
        module = make()
    module.to_empty(device="cpu")
    scales = {id(part.weight) for part in module.modules() if isinstance(part, torch.nn.LayerNorm)}
    with torch.no_grad():
        for _, parameter in sorted(module.named_parameters()):
            if id(parameter) in scales:
                parameter.fill_(1.0)
            elif parameter.ndim == 1:
                parameter.zero_()
            else:
                inputs = parameter[0].numel()
                values = rng.standard_normal(tuple(parameter.shape)) / inputs**0.5
                parameter.copy_(torch.from_numpy(values.astype(np.float32)))
    return module


class Catalogue:
    """Embeddings of items: one of their own, and a part that follows from what is known of them.

    Attributes:
        own: (m, d) embeddings of their own.
        texts: (t, d) what a text vector adds, by coordinate; t may be 0.
        categories: (c, d) what each category adds; c may be 0.
    """

    def __init__(self, own: "torch.Tensor", texts: "torch.Tensor", categories: "torch.Tensor", items: "Items") -> None:
        """Takes leaves of the graph, on one device, and the items that the rows of `own` stand for."""
        self.own, self.texts, self.categories, self._items = own, texts, categories, items

    def parameters(self) -> "dict[str, torch.Tensor]":
        """What is learned, by name."""
        return {"own": self.own, "texts": self.texts, "categories": self.categories}

    def rows(self, codes: np.ndarray, alone: "np.ndarray | None" = None) -> "torch.Tensor":
        """(u, d) embeddings of items by code; −1 is an item of which nothing is known.

        Args:
            codes: (u,) int64.
            alone: (u,) where an item is known by its content alone; None: nowhere.
        """
        import torch

        device = self.own.device
        known = codes >= 0
        owned = known if alone is None else known & ~alone
        safe = torch.from_numpy(np.where(known, codes, 0)).to(device)
        found = self.own[safe] * torch.from_numpy(owned.astype(np.float32))[:, None].to(device)
        return found + self._content(codes, known)

    def _content(self, codes: np.ndarray, known: np.ndarray) -> "torch.Tensor":
        import torch

        at = np.where(known, codes, 0)
        found = torch.zeros(len(codes), self.own.shape[1], device=self.own.device)
        there = torch.from_numpy(known.astype(np.float32))[:, None].to(found.device)
        if len(self.texts) and self._items.vectors is not None:
            found = found + torch.from_numpy(self._items.vectors[at]).to(found.device) @ self.texts
        if len(self.categories) and self._items.categories is not None:
            part = shares(self._items, at)
            rows = torch.from_numpy(np.repeat(np.arange(len(at)), np.diff(part.indptr))).to(found.device)
            values = torch.from_numpy(part.data.astype(np.float32))[:, None].to(found.device)
            which = torch.from_numpy(part.indices.astype(np.int64)).to(found.device)
            found = found.index_add(0, rows, self.categories[which] * values)
        return found * there

    def embed(self, items: np.ndarray, alone: "np.ndarray | None" = None) -> "torch.Tensor":
        """(*shape, d) embeddings of an array of codes; each distinct item is looked up once."""
        import torch

        distinct, at = np.unique(items, return_inverse=True)
        hidden = None if alone is None else np.isin(distinct, alone)
        rows = self.rows(distinct, hidden)
        return rows[torch.from_numpy(at.reshape(items.shape)).to(rows.device)]


def shares(items: "Items", at: np.ndarray) -> Any:
    """(u, c) CSR of items' categories, rows of them adding up to 1."""
    part = items.categories[at].tocsr()  # type: ignore[index]
    sums = np.maximum(np.asarray(part.sum(axis=1)).ravel(), 1.0)
    part.data = part.data / np.repeat(sums, np.diff(part.indptr))
    return part
