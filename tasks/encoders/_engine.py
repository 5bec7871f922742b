"""Runs a language model over many texts: tokenises ahead on another thread, batches by tokens, halves when memory ends.

Texts are taken in windows of similar length, longest first. While the model runs over one window, the next is being
tokenised. Inside a window texts are sorted by their number of tokens and cut into batches of at most `token_budget`
padded tokens, so that nearly nothing is padding. Each window's vectors are given out as soon as they are done.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tasks.encoders._tokens import Rows

if TYPE_CHECKING:
    import torch

VERSION = "1"
_BATCHES_PER_WINDOW = 16
_CHARACTERS_PER_TOKEN = 4
_MAX_WINDOW = 4096  # texts

Forward = Callable[["torch.Tensor", "torch.Tensor | None"], "torch.Tensor"]
"""(token ids (b, t), mask (b, t) or None where nothing is padding) -> pooled vectors (b, d), float32."""


@dataclass
class Engine:
    """One loaded model and how it is fed.

    Attributes:
        tokenise: Texts -> token ids per row, and the text that each row belongs to; long texts may make several rows.
        forward: Runs the model on one batch and pools.
        finish: (row vectors (r, d), tokens per row (r,), text of each row (r,), texts) -> vectors of the texts.
        device: Where batches are put.
        pad: Id that fills short rows; the mask hides it.
        budget: Padded tokens per batch; halved for good when the device runs out of memory.
        multiple: Lengths are padded to a multiple of this.
    """

    tokenise: Callable[[list[str]], tuple[Rows, np.ndarray]]
    forward: Forward
    finish: Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
    device: "torch.device"
    pad: int
    budget: int
    multiple: int = 1
    halvings: int = field(default=0, init=False)

    def run(self, texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (indices into `texts`, vectors) window by window."""
        windows = windows_of([len(text) for text in texts], self.budget)
        if not windows:
            return
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenise") as pool:

            def ahead(position: int) -> "Future[tuple[Rows, np.ndarray]]":
                return pool.submit(self.tokenise, [texts[i] for i in windows[position]])

            upcoming = ahead(0)
            for position, window in enumerate(windows):
                rows, owner = upcoming.result()
                if position + 1 < len(windows):
                    upcoming = ahead(position + 1)
                vectors, sizes = self.rows(rows)
                yield window, self.finish(vectors, sizes, owner, len(window))

    def rows(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Vectors (r, d) float32 of tokenised rows, and the number of tokens of each."""
        import torch

        sizes = np.array([len(row) for row in rows], dtype=np.int64)
        queue = batches_of(sizes, self.budget, self.multiple)[::-1]
        done: list[tuple[np.ndarray, torch.Tensor]] = []
        while queue:
            batch = queue.pop()
            try:
                done.append((batch, self._one(rows, sizes, batch)))
            except RuntimeError as error:
                if not out_of_memory(error) or len(batch) == 1:
                    raise
                self._halve()
                half = len(batch) // 2
                queue += [batch[half:], batch[:half]]
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        order = np.concatenate([batch for batch, _ in done])
        vectors = torch.cat([vectors for _, vectors in done]).numpy()
        return vectors[np.argsort(order, kind="stable")], sizes

    def _one(self, rows: Rows, sizes: np.ndarray, batch: np.ndarray) -> "torch.Tensor":
        """Vectors of one batch in host memory; on CUDA the copy may still be under way."""
        import torch

        lengths = sizes[batch]
        ids = torch.from_numpy(padded([rows[i] for i in batch], lengths, self.pad, self.multiple))
        mask = None
        if int(lengths.min()) < ids.shape[1]:
            mask = torch.from_numpy((np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64))
        if self.device.type != "cuda":
            with torch.inference_mode():
                return self.forward(ids.to(self.device), None if mask is None else mask.to(self.device)).cpu()
        with torch.inference_mode():
            on_device = ids.pin_memory().to(self.device, non_blocking=True)
            hidden = None if mask is None else mask.pin_memory().to(self.device, non_blocking=True)
            vectors = self.forward(on_device, hidden)
            host = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
            return host.copy_(vectors, non_blocking=True)

    def _halve(self) -> None:
        import torch

        self.budget = max(self.budget // 2, 1)
        self.halvings += 1
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def windows_of(characters: list[int], budget: int) -> list[np.ndarray]:
    """Indices of the texts, longest first, cut into windows of about 16 batches of `budget` tokens."""
    sizes = np.array(characters, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    limit = budget * _BATCHES_PER_WINDOW * _CHARACTERS_PER_TOKEN
    windows, start, held = [], 0, 0
    for position, size in enumerate(sizes[order].tolist()):
        if position > start and (held + size > limit or position - start >= _MAX_WINDOW):
            windows.append(order[start:position])
            start, held = position, 0
        held += size
    if len(order):
        windows.append(order[start:])
    return windows


def batches_of(sizes: np.ndarray, budget: int, multiple: int = 1) -> list[np.ndarray]:
    """Rows, longest first, cut into batches whose rows x longest length stays within `budget` (one row at least)."""
    order = np.argsort(-sizes, kind="stable")
    batches, start = [], 0
    while start < len(order):
        longest = -(-int(sizes[order[start]]) // multiple) * multiple
        stop = start + max(budget // max(longest, 1), 1)
        batches.append(order[start:stop])
        start = stop
    return batches


def padded(rows: Rows, lengths: np.ndarray, pad: int, multiple: int) -> np.ndarray:
    """Rows of different lengths as one (b, t) int64 array, padded on the right."""
    width = max(-(-int(lengths.max()) // multiple) * multiple, 1)
    ids = np.full((len(rows), width), pad, dtype=np.int64)
    for line, row in zip(ids, rows, strict=True):
        line[: len(row)] = row
    return ids


def out_of_memory(error: RuntimeError) -> bool:
    """Whether a batch failed because the device (or the host, for CPU batches) has no memory left for it."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
