"""Autoencoders and their centroids, trained together: fits from several seeds side by side, as one batched network.

Papers: DEC, Xie, Girshick and Farhadi 2016; IDEC, Guo, Gao, Liu and Yin 2017. A fit never sees another: weights,
batches and clipping are its own. Sums are made in one thread, so that a seed decides every byte on the CPU.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from schemas.errors import DataError

if TYPE_CHECKING:
    import torch

LONGEST = 5.0
"""Length that a fit's gradient is cut to."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast it learns.

    Attributes:
        epochs: passes over all rows that the autoencoder alone learns in.
        rounds: at most so many times the targets are made anew.
        steps: batches of a round.
        batch: rows of a batch.
        rate: step size of Adam.
        weight: of the clustering loss beside the reconstruction; None: it stands alone (DEC).
        settled: share of the labels of a round that may change for it to be the last.
    """

    epochs: int
    rounds: int
    steps: int
    batch: int
    rate: float
    weight: float | None
    settled: float = 0.001


class Autoencoders:
    """`fits` autoencoders of one shape, rectified but for the code and the output.

    Args:
        X: (n, d) float32 rows of mean 0 and mean variance 1.
        sizes: widths from the input to the code; the decoder mirrors them.
        fits: how many.
        schedule: how it learns.
        seed: of weights and batches.
        device: where.
    """

    def __init__(
        self, X: np.ndarray, sizes: tuple[int, ...], fits: int, schedule: Schedule, seed: int, device: str
    ) -> None:
        import torch

        self.generator = torch.Generator().manual_seed(seed)
        self.fits, self.schedule, self.device = fits, schedule, device
        self.X = torch.tensor(X, device=device)
        self.depth = len(sizes) - 1
        widths = (*sizes, *sizes[-2::-1])
        self.layers = [self._layer(a, b) for a, b in pairwise(widths)]
        self.centroids: torch.Tensor | None = None
        self.units = torch.ones(fits, device=device)
        self.start = self.reconstruction()

    def _layer(self, a: int, b: int) -> "tuple[torch.Tensor, torch.Tensor]":
        """Weights (s, a, b) after He et al. 2015, and offsets (s, 1, b) of 0."""
        import torch

        weights = torch.randn(self.fits, a, b, generator=self.generator) * (2.0 / (a + b)) ** 0.5
        offsets = torch.zeros(self.fits, 1, b)
        return weights.to(self.device).requires_grad_(), offsets.to(self.device).requires_grad_()

    def through(self, rows: "torch.Tensor", first: int, last: int) -> "torch.Tensor":
        """Rows (s, m, a) through the layers from `first` to before `last`."""
        import torch

        for number in range(first, last):
            weights, offsets = self.layers[number]
            rows = torch.baddbmm(offsets, rows, weights)
            rows = rows if number + 1 in (self.depth, len(self.layers)) else rows.relu()
        return rows

    def everyone(self) -> "torch.Tensor":
        """All rows, the same for each fit: (s, n, d)."""
        return self.X.expand(self.fits, *self.X.shape)

    def codes(self, rows: np.ndarray | None = None) -> "torch.Tensor":
        """(s, m, l) codes of rows (m, d); None: of all that it learns from."""
        import torch

        given = self.X if rows is None else torch.tensor(rows, dtype=torch.float32, device=self.device)
        with torch.no_grad():
            return self.through(given.expand(self.fits, *given.shape), 0, self.depth)

    def reconstruction(self) -> "torch.Tensor":
        """(s,) mean squared error of what comes back of all rows; that of their mean would be 1."""
        import torch

        with torch.no_grad():
            return (self.through(self.everyone(), 0, len(self.layers)) - self.X).square().mean((1, 2))

    def batches(self) -> "Iterator[torch.Tensor]":
        """Row numbers (s, m) of one pass, each fit in an order of its own; what makes no whole batch waits its turn."""
        import torch

        n = len(self.X)
        order = torch.rand(self.fits, n, generator=self.generator).argsort(dim=1).to(self.device)
        size = min(self.schedule.batch, n)
        for at in range(0, n - size + 1, size):
            yield order[:, at : at + size]

    def pretrain(self) -> None:
        """The autoencoders alone."""
        optimiser = self._optimiser(self._parameters())
        for _ in range(self.schedule.epochs):
            for rows in self.batches():
                self._step(optimiser, self._restored(rows))
        self._check(self.reconstruction())

    def refine(self, centroids: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Encoders and centroids towards their own sharpened assignments, until those settle.

        Args:
            centroids: (s, k, l) to start from.
            units: (s,) what counts as a distance of 1 in each fit's Student's t.

        Returns:
            Centroids (s, k, l) float64.
        """
        import torch

        schedule, weight, depth = self.schedule, self.schedule.weight, self.depth
        self.centroids = torch.tensor(centroids, dtype=torch.float32, device=self.device).requires_grad_()
        self.units = torch.tensor(units, dtype=torch.float32, device=self.device)
        learning = [*self._parameters(depth if weight is None else None), self.centroids]
        optimiser, before = self._optimiser(learning), self.labels()
        stream = self._endless()
        for _ in range(schedule.rounds):
            with torch.no_grad():
                targets = sharpened(self._shares(self.codes()))
            for _ in range(schedule.steps):
                rows = next(stream)
                loss = divergence(_chosen(targets, rows), self._shares(self.through(self.X[rows], 0, depth)))
                self._step(optimiser, loss if weight is None else self._restored(rows) + weight * loss)
            self._check(self.reconstruction())
            now = self.labels()
            if bool(((now != before).float().mean(1) <= schedule.settled).all()):
                break
            before = now
        return _numpy(self.centroids).astype(np.float64)

    def labels(self) -> "torch.Tensor":
        """(s, n) nearest centroid of every row."""
        import torch

        with torch.no_grad():
            return self._shares(self.codes()).argmax(2)

    def encoder(self, fit: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights (a, b) and offsets (b,) of the layers of one fit, from the input to the code."""
        return [(_numpy(w[fit]), _numpy(b[fit, 0])) for w, b in self.layers[: self.depth]]

    def _parameters(self, layers: int | None = None) -> "list[torch.Tensor]":
        return [part for layer in self.layers[:layers] for part in layer]

    def _optimiser(self, parameters: "list[torch.Tensor]") -> "torch.optim.Optimizer":
        import torch

        return torch.optim.Adam(parameters, self.schedule.rate, fused=True)

    def _endless(self) -> "Iterator[torch.Tensor]":
        while True:
            yield from self.batches()

    def _restored(self, rows: "torch.Tensor") -> "torch.Tensor":
        wanted = self.X[rows]
        return (self.through(wanted, 0, len(self.layers)) - wanted).square().mean((1, 2))

    def _shares(self, codes: "torch.Tensor") -> "torch.Tensor":
        assert self.centroids is not None, "there are no centroids before `refine`"
        return student(codes, self.centroids, self.units)

    def _step(self, optimiser: "torch.optim.Optimizer", losses: "torch.Tensor") -> None:
        """One step of every fit down its own loss (s,)."""
        import torch

        optimiser.zero_grad()
        torch.autograd.backward(losses.sum())
        gradients = [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        squares = sum(gradient.square().sum((1, 2)) for gradient in gradients)
        cut = (LONGEST / torch.as_tensor(squares).sqrt().clamp(min=LONGEST))[:, None, None]
        for gradient in gradients:
            gradient *= cut
        optimiser.step()

    def _check(self, losses: "torch.Tensor") -> None:
        """Refuses a fit that learned nothing but to explode.

        Raises:
            DataError: a loss is not finite, or higher than at the start and than the mean of all rows would give.
        """
        free = self.centroids is not None and self.schedule.weight is None  # DEC forgets what rows look like
        bad = ~(losses.isfinite() & (free | (losses <= self.start.clamp(min=1.0)))).cpu().numpy()
        if bad.any():
            fit = int(bad.argmax())
            raise DataError(
                f"the autoencoder of fit {fit + 1} of {self.fits} diverged: its reconstruction loss went from "
                f"{float(self.start[fit]):.3g} to {float(losses[fit]):.3g}; lower learning_rate"
            )


def student(codes: "torch.Tensor", centroids: "torch.Tensor", units: "torch.Tensor") -> "torch.Tensor":
    """Soft assignments (s, m, k): Student's t of one degree of freedom round each centroid, rows sum to 1."""
    sizes = codes.square().sum(2, keepdim=True) + centroids.square().sum(2)[:, None]
    squares = (sizes - 2 * codes @ centroids.mT).clamp(min=0)
    kernel = 1.0 / (1.0 + squares / units.square()[:, None, None])
    return kernel / kernel.sum(2, keepdim=True)


def sharpened(shares: "torch.Tensor") -> "torch.Tensor":
    """The target of soft assignments (s, n, k): their squares over each segment's sum, rows sum to 1."""
    weights = shares.square() / shares.sum(1, keepdim=True)
    return weights / weights.sum(2, keepdim=True)


def divergence(targets: "torch.Tensor", shares: "torch.Tensor") -> "torch.Tensor":
    """Kullback-Leibler divergence (s,) of soft assignments from their targets, the mean over rows."""
    import torch

    return (torch.xlogy(targets, targets) - torch.xlogy(targets, shares)).sum(2).mean(1)


def _chosen(values: "torch.Tensor", rows: "torch.Tensor") -> "torch.Tensor":
    """Values (s, n, k) at each fit's rows (s, m)."""
    return values.gather(1, rows[:, :, None].expand(-1, -1, values.shape[2]))


def _numpy(values: "torch.Tensor") -> np.ndarray:
    found: np.ndarray = values.detach().cpu().numpy()
    return found
