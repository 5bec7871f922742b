"""Hugging Face encoders: BERT, MPNet, XLM-R, BGE, E5 and their kin.

From a local folder, a packaged model or a hub name with a pinned revision; safetensors only, no foreign code.
Pooling follows Reimers and Gurevych 2019, "Sentence-BERT".
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from schemas.tuning import Examples, Tuning
from tasks.encoders import _tune
from tasks.encoders._base import LanguageModelConfig, Progress
from tasks.encoders._model import LanguageModelEncoder, build, load_parts
from tasks.encoders._stamp import resolve, stamp

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Config", "load", "stamp", "tune", "tuned"]


class Config(LanguageModelConfig):
    """Which model encodes, and how its token states become one vector."""

    kind: Literal["transformer"] = "transformer"
    pooling: Literal["auto", "mean", "cls"] = Field(
        "auto", description="mean over tokens, the first token, or auto: as the model's folder says, else mean"
    )
    tune: _tune.TuneConfig | None = Field(
        None, description="tune the model on what users took or wrote, on each slice anew; none: it stays as it is"
    )


def load(config: Config, device: str = "auto") -> LanguageModelEncoder:
    """Loads the model as its folder has it, checked, onto `device` (auto, cpu, cuda or cuda:1).

    Raises:
        DataError: the model is not there, not complete or not safe.
        UsageError: the config asks for what the model or the machine has not.
    """
    return tuned(config, device, None)


def tuned(config: Config, device: str, arrays: "Mapping[str, np.ndarray] | None") -> LanguageModelEncoder:
    """The same with weights that `tune` gave; None: as its folder has it.

    Raises:
        DataError, UsageError: as `load`; and the weights do not fit the model.
    """
    return build(config, device, None if config.pooling == "auto" else config.pooling, "mean", tuned=arrays)


def tune(
    config: Config, examples: Examples, seed: int, device: str = "auto", progress: Progress | None = None
) -> "tuple[dict[str, np.ndarray], Tuning]":
    """Weights tuned as `config.tune` says, none where they are not better than the frozen ones; and what came of it.

    Args:
        config: With its section `tune`.
        examples: Texts and pairs of the slice that may be seen.
        seed: Decides every random choice.
        device: Where it runs.
        progress: Hears (batches done, batches at most).

    Raises:
        DataError, UsageError: as `load`; and the extra `tune` is needed and not installed.
    """
    assert config.tune is not None, "a config without `tune` is not tuned"
    parts = load_parts(resolve(config)[0])
    return _tune.tune(config.tune, examples, lambda arrays: tuned(config, device, arrays), parts, seed, progress)
