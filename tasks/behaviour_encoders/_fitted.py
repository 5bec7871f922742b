"""A fitted encoder of behaviour: from histories to vectors, by one code in training, in batches and online.

Vectors are computed in float64 and rounded to multiples of 2^-16: products of one row and of many differ by their last
bits, which rounding takes away, so a user has the same vector alone and among a million.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import DataError
from schemas.interactions import Items
from schemas.sequences import Sequences
from tasks.behaviour_encoders._batches import Batch, gap_codes, padded
from tasks.behaviour_encoders._net import network, shares, still
from tasks.behaviour_encoders._objectives import last
from tasks.execution.alone import alone

if TYPE_CHECKING:
    import torch


Body = Callable[[Any], "torch.nn.Module"]
NET, TABLE, TEXTS, CATEGORIES = "net.", "table", "texts", "categories"
TURN, SHIFT = "turn", "shift"
_GRID = 65536.0
_BATCH = 256


class FittedEncoder:
    """Reads the newest events of users.

    Attributes:
        warm: Whether it started from another; False after a reload.
        losses: Mean loss of each epoch, empty after a reload.
        score: Validation of the parameters that were kept; NaN where there is none.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], config: Any, body: Body, both_ways: bool = False) -> None:
        """Takes what `arrays` gave.

        Raises:
            DataError: the arrays are not those of such an encoder.
        """
        self._arrays, self._config, self._body, self._both_ways = dict(arrays), config, body, both_ways
        self.warm = False
        self.losses: list[float] = []
        self.score = float("nan")
        wanted = {TABLE, TEXTS, CATEGORIES}
        if missing := wanted - self._arrays.keys():
            raise DataError(f"behaviour encoder: no array {', '.join(sorted(missing))}; retrain")

    def arrays(self) -> dict[str, np.ndarray]:
        """Parameters of the network by name, and embeddings: of (m, d) items, of what texts and categories add."""
        return dict(self._arrays)

    def encode(self, sequences: Sequences, new: Items | None = None) -> np.ndarray:
        """(n, d) float32 vectors of histories; NaN for a user without events.

        Args:
            sequences: Codes below m are items of the fit; m + j is row j of `new`.
            new: Items that the fit did not see, with the same coordinates of texts and the same categories.
        """
        return alone(lambda: self._encoded(sequences, new))

    def _encoded(self, sequences: Sequences, new: Items | None) -> np.ndarray:
        import torch

        out = np.full((len(sequences), self._config.dimension), np.nan, np.float32)
        gaps, table = gap_codes(sequences), self._table(new)
        lengths = np.minimum(sequences.lengths, self._config.max_length)
        order = np.argsort(lengths, kind="stable")[int((lengths == 0).sum()) :]
        with torch.no_grad():
            for at in range(0, len(order), _BATCH):
                some = order[at : at + _BATCH]
                ends = sequences.starts[some + 1]
                states = self._read(padded(sequences, gaps, ends - lengths[some], ends), table)
                out[some] = np.round(states * _GRID) / _GRID
        return out

    def _read(self, batch: Batch, table: np.ndarray) -> np.ndarray:
        """(B, d) float64 states of one batch."""
        import torch

        items = torch.from_numpy(table[batch.items])
        known, lengths = batch.tensors(torch.device("cpu")), batch.lengths
        if self._both_ways:  # what would come next, as what training hid
            items, known, lengths = _asked(self._net, items, batch)
        states = self._net(items, known, self._both_ways, still, 0.0)
        found: np.ndarray = last(states, lengths).numpy()
        if TURN not in self._arrays:
            return found
        turn, shift = (self._arrays[name].astype(np.float64) for name in (TURN, SHIFT))
        return np.einsum("ni,ij->nj", found, turn) + shift

    def turned(self, turn: np.ndarray, shift: np.ndarray) -> "FittedEncoder":
        """The same encoder, whose vectors are x·turn + shift; a turn that it has already is followed by this one.

        Args:
            turn: (d, d) orthogonal.
            shift: (d,).
        """
        if TURN in self._arrays:
            turn, shift = self._arrays[TURN] @ turn, self._arrays[SHIFT] @ turn + shift
        there = {TURN: np.asarray(turn, np.float64), SHIFT: np.asarray(shift, np.float64)}
        return FittedEncoder({**self._arrays, **there}, self._config, self._body, self._both_ways)

    @cached_property
    def _net(self) -> Any:
        import torch

        own = {name.removeprefix(NET): value for name, value in self._arrays.items() if name.startswith(NET)}
        kinds = own["kinds.weight"].shape[0] - 1
        with torch.device("meta"):
            net = network(self._body(self._config), kinds, self._config.dimension)
        net.to_empty(device="cpu")
        try:
            net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in own.items()})
        except RuntimeError as error:
            raise DataError(f"behaviour encoder: the arrays are not those of its config ({error}); retrain") from error
        return net.double().eval()

    def _table(self, new: Items | None) -> np.ndarray:
        """Embeddings of the items of the fit and of the new ones, and last that of an unknown item, in float64."""
        if new is None or not len(new):
            return self._known
        return np.concatenate([self._known[:-1], self.content(new), self._known[-1:]])

    @cached_property
    def _known(self) -> np.ndarray:
        """Embeddings of the items of the fit, and last that of an unknown item."""
        own = self._arrays[TABLE].astype(np.float64)
        return np.concatenate([own, np.zeros((1, own.shape[1]))])

    def content(self, items: Items) -> np.ndarray:
        """(u, d) float64: what follows from the items' texts and categories alone."""
        return content_of({name: self._arrays[name].astype(np.float64) for name in (TABLE, TEXTS, CATEGORIES)}, items)


def _asked(net: Any, items: Any, batch: Batch) -> tuple[Any, Any, np.ndarray]:
    """The batch with a hidden item after each history."""
    import torch

    rows, lengths = np.arange(len(batch.lengths)), batch.lengths
    one = np.zeros((len(rows), 1), np.int64)
    items_, kinds, gaps = (np.concatenate([part, one], 1) for part in (batch.items, batch.kinds, batch.gaps))
    longer = Batch(items_, kinds, gaps, lengths + 1)
    wide = torch.cat([items, torch.zeros(len(rows), 1, items.shape[2], dtype=items.dtype)], 1)
    wide[rows, lengths] = net.hidden
    return wide, longer.tensors(torch.device("cpu")), longer.lengths


def content_of(own: Mapping[str, np.ndarray], items: Items) -> np.ndarray:
    """(m, d): what follows from the content of items by embeddings of texts and categories, in their precision."""
    precision = own[TABLE].dtype
    made = np.zeros((len(items), own[TABLE].shape[1]), precision)
    if len(own[TEXTS]) and items.vectors is not None:
        made += np.einsum("it,td->id", items.vectors.astype(precision), own[TEXTS])
    if len(own[CATEGORIES]) and items.categories is not None:
        made += shares(items, np.arange(len(items))) @ own[CATEGORIES]
    return made
