"""Tunes a language model on texts and pairs of texts, and judges it on texts that it never saw.

Texts are split by their hash: some are watched (training stops when they are found no better), some judged, the others
trained on. A text's partners are looked for among all candidates by cosine. The tuned weights count only where they
find more partners of the judged texts than the frozen ones do, with the interval of paired resamples above 0.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Positive, Section
from schemas.tuning import Examples, Tuning
from tasks.encoders import _engine
from tasks.encoders._adapters import METHODS, Arrays, Trainable
from tasks.encoders._base import Progress
from tasks.encoders._heldout import Held, Judged, hold_out
from tasks.encoders._model import LanguageModelEncoder
from tasks.encoders._objectives import Batch, Objective, objective_of
from tasks.encoders._pooling import Pooling, pool
from tasks.encoders._tokens import Rows

if TYPE_CHECKING:
    import torch

VERSION = "1"
_WARM_UP = 0.1  # of the steps
_CLIP = 1.0  # length of the gradient
_ONE = threading.Lock()  # torch has one generator for dropout
_LEAST = 16  # pairs, or texts, to learn from


class TuneConfig(Section):
    """How a language model is tuned on the catalogue, before it reads."""

    objective: Literal["co_consumption", "simcse", "mlm"] = Field(
        "co_consumption",
        description="co_consumption: texts of items that one user took within window_days are near (InfoNCE, "
        "negatives from the batch); simcse: a text is near itself under another dropout; mlm: hidden tokens are "
        "guessed. The last two learn from written texts, where there are none from items' texts",
    )
    method: Literal["lora", "full"] = Field(
        "lora", description="lora: low-rank changes of the linear layers (the extra tune); full: all but the embeddings"
    )
    rank: Positive = Field(8, le=256, description="lora: rank of the changes")
    learning_rate: float | None = Field(
        None, gt=0, lt=1, description="highest; none: 0.0001 for lora, 0.00002 for full"
    )
    steps: Positive = Field(200, le=100_000, description="batches at most")
    look_every: Positive = Field(20, description="batches between two looks at the texts watched")
    patience: Positive = Field(3, description="looks without a better one after which training stops")
    batch_size: int = Field(64, ge=2, le=4096, description="pairs, or texts, in a batch")
    window_days: float = Field(30.0, gt=0, le=36_500, description="two texts of a user within so many days are a pair")
    draws: Positive = Field(64, le=10_000, description="pairs drawn of each user, at most")
    max_pairs: Positive = Field(50_000, le=10_000_000, description="pairs kept of all users")
    max_texts: Positive = Field(20_000, le=1_000_000, description="distinct texts kept of all users")
    max_tokens: Positive = Field(128, le=8192, description="tokens of a text that training reads")
    temperature: float = Field(0.05, gt=0, le=10, description="contrastive objectives: cosines are divided by it")
    held_out: float = Field(
        0.2, gt=0, lt=0.9, description="share of texts kept from training: half watched, half judged"
    )
    top: Positive = Field(10, le=1000, description="a partner counts as found among so many candidates")
    candidates: Positive = Field(4096, le=100_000, description="texts that watching and judging look at, at most")


Load = Callable[[Arrays | None], LanguageModelEncoder]
"""Tuned weights, or None for the frozen ones -> the encoder as it would be used."""


def tune(
    config: TuneConfig, examples: Examples, load: Load, parts: tuple[Any, Any], seed: int, progress: Progress | None
) -> tuple[Arrays, Tuning]:
    """Tuned weights, none where they are not better, and what came of it.

    Args:
        config: How.
        examples: Of the slice that may be seen.
        load: Gives the frozen encoder and the tuned one, to judge both as they would be used.
        parts: The model, float32 on its device, which is changed, and its tokenizer.
        seed: Decides every random choice: on the CPU the same seed gives the same bytes.
        progress: Hears (batches done, batches at most).

    Raises:
        UsageError: the method's extra is not installed, or the objective asks for what the model has not.
    """
    held = hold_out(examples, config.held_out, config.candidates, seed)
    facts: dict[str, Any] = {"objective": config.objective, "method": config.method}
    facts |= {"texts": len(held.texts), "pairs": len(held.pairs)}
    learned_from = held.pairs if config.objective == "co_consumption" else held.texts
    if len(learned_from) < _LEAST or (why := held.lacks()):
        told = f"only {len(learned_from)} to learn from" if len(learned_from) < _LEAST else why
        return {}, Tuning(**facts, used=False, why=f"not tuned: {told}")
    frozen = load(None)
    with _seeded(seed, frozen.engine.device):
        arrays, came = _Run.of(config, examples, held, frozen, parts, seed).train(progress)
    facts |= {"steps": came.steps, "best": came.best, "watched": tuple(came.watched)}
    if came.why:
        return {}, Tuning(**facts, used=False, why=f"tuned, and not used: {came.why}")
    judged = Judged.of(held.judged, held, examples, config.top)
    found = judged.compare(load(arrays).encode(judged.texts), frozen.encode(judged.texts), seed)
    used = found.low > 0
    return arrays if used else {}, Tuning(**facts, used=used, why=_verdict(found, config.top, used), judged=found)


def _verdict(found: Any, top: int, used: bool) -> str:
    tuned = found.base + found.value
    figures = (
        f"partners of {found.n} held-out texts among the first {top}: {tuned:.3f} tuned, {found.base:.3f} frozen "
        f"({found.value:+.3f}, {found.low:+.3f} to {found.high:+.3f})"
    )
    return f"tuned, and used: {figures}" if used else f"tuned, and not used, for it is not better: {figures}"


@contextmanager
def _seeded(seed: int, device: "torch.device") -> Iterator[None]:
    """torch's generators under a seed, and as they were afterwards."""
    import torch

    devices = [device] if device.type == "cuda" else []
    with _ONE, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@dataclass
class _Came:
    """How a training went."""

    steps: int = 0
    best: int = 0
    watched: "list[float] | tuple[float, ...]" = ()
    why: str = ""


@dataclass
class _Run:
    """One training.

    Attributes:
        config: How.
        model: What is trained.
        trainable: Which of its weights, and how they are taken out.
        objective: Gives the loss of a batch.
        batches: Yields batches without end.
        watch: Recall on the texts watched, of vectors of the candidates.
        watched: Tokens of the candidates.
        pooling: From token states to a vector.
        pad: Id that fills short rows.
        engine: Of the frozen encoder: device, tokens, budget.
    """

    config: TuneConfig
    model: Any
    trainable: Trainable
    objective: Objective
    batches: Iterator[Batch]
    watch: Judged
    watched: Rows
    pooling: Pooling
    pad: int
    engine: _engine.Engine

    @classmethod
    def of(
        cls,
        config: TuneConfig,
        examples: Examples,
        held: Held,
        frozen: LanguageModelEncoder,
        parts: tuple[Any, Any],
        seed: int,
    ) -> "_Run":
        """A training that can start."""
        model, tokenizer = parts[0].to(frozen.engine.device), parts[1]
        rows = _rows(frozen, examples.texts, config.max_tokens)
        objective, batches = objective_of(config, model, tokenizer, rows, held, seed)
        trainable = METHODS[config.method](model, config.rank)
        return cls(
            config=config,
            model=model,
            trainable=trainable,
            objective=objective,
            batches=batches,
            watch=Judged.of(held.watched, held, examples, config.top),
            watched=[rows[at] for at in held.candidates.tolist()],
            pooling=frozen.spec["pooling"],
            pad=frozen.engine.pad,
            engine=frozen.engine,
        )

    def train(self, progress: Progress | None) -> tuple[Arrays, _Came]:
        """Trains until the texts watched are found no better; returns the best weights."""
        import torch

        config, came, watched = self.config, _Came(), [self._look()]
        rate = config.learning_rate or self.trainable.rate
        weights = [*self.trainable.weights, *self.objective.weights]
        optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=0.01)
        best: Arrays = {}
        for step in range(1, config.steps + 1):
            for group in optimiser.param_groups:
                group["lr"] = rate * _share(step, config.steps)
            if not self._step(optimiser, weights):
                return {}, _Came(step, came.best, watched, f"the loss is no number at batch {step}: learn slower")
            came.steps = step
            if progress is not None:
                progress(step, config.steps)
            if step % config.look_every and step != config.steps:
                continue
            watched.append(self._look())
            if watched[-1] > max(watched[:-1]):
                came.best, best = step, self.trainable.arrays()
            elif step - came.best >= config.patience * config.look_every:
                break
        came.watched = watched
        came.why = "" if best else f"the texts watched are never found better than before ({watched[0]:.3f})"
        return best, came

    def _step(self, optimiser: "torch.optim.Optimizer", weights: "list[torch.Tensor]") -> bool:
        """One batch; whether its loss was a number."""
        import torch

        self.model.train()
        loss = self.objective.loss(next(self.batches), self._states)
        if not torch.isfinite(loss):
            return False
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, _CLIP)
        optimiser.step()
        return True

    def _states(self, rows: Rows) -> "tuple[torch.Tensor, torch.Tensor]":
        """Pooled vectors (b, d) of rows, and their token states (b, t, d)."""
        import torch

        sizes = np.array([len(row) for row in rows], dtype=np.int64)
        ids = torch.from_numpy(_engine.padded(rows, sizes, self.pad, 1)).to(self.engine.device)
        mask = torch.from_numpy((np.arange(ids.shape[1]) < sizes[:, None]).astype(np.int64)).to(self.engine.device)
        states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return pool(states, mask, self.pooling), states

    def _look(self) -> float:
        """Recall on the texts watched, by the model as it stands."""
        self.model.eval()

        def forward(ids: "torch.Tensor", mask: "torch.Tensor | None") -> "torch.Tensor":
            return pool(self.model(input_ids=ids, attention_mask=mask).last_hidden_state, mask, self.pooling)

        def plain(vectors: np.ndarray, *_: Any) -> np.ndarray:
            return vectors

        engine = self.engine
        reader = _engine.Engine(engine.tokenise, forward, plain, engine.device, self.pad, engine.budget)
        vectors, _ = reader.rows(self.watched)
        return float(self.watch.found(vectors).mean())


def _share(step: int, steps: int) -> float:
    """Of the highest learning rate: up over the first tenth, then down to nearly nothing."""
    up = max(int(_WARM_UP * steps), 1)
    return min(step / up, max((steps - step + 1) / max(steps - up, 1), 0.0))


def _rows(encoder: LanguageModelEncoder, texts: tuple[str, ...], longest: int) -> Rows:
    """Tokens of each text, the first chunk of a long one, cut before the last token."""
    rows, owner = encoder.engine.tokenise(list(texts))
    first = np.searchsorted(owner, np.arange(len(texts)))
    whole = [rows[at] for at in first.tolist()]
    return [row if len(row) <= longest else [*row[: longest - 1], row[-1]] for row in whole]
