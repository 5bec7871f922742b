"""Hugging Face encoders: BERT, MPNet, XLM-R, BGE, E5 and their kin.

From a local folder, a packaged model or a hub name with a pinned revision; safetensors only, no foreign code.
Pooling follows Reimers and Gurevych 2019, "Sentence-BERT".
"""

from typing import Literal

from pydantic import Field

from tasks.encoders._base import LanguageModelConfig
from tasks.encoders._model import LanguageModelEncoder, build
from tasks.encoders._stamp import stamp

__all__ = ["Config", "load", "stamp"]


class Config(LanguageModelConfig):
    """Which model encodes, and how its token states become one vector."""

    kind: Literal["transformer"] = "transformer"
    pooling: Literal["auto", "mean", "cls"] = Field(
        "auto", description="mean over tokens, the first token, or auto: as the model's folder says, else mean"
    )


def load(config: Config, device: str = "auto") -> LanguageModelEncoder:
    """Loads the model, checked, onto `device` (auto, cpu, cuda or cuda:1).

    Raises:
        DataError: the model is not there, not complete or not safe.
        UsageError: the config asks for what the model or the machine has not.
    """
    return build(config, device, None if config.pooling == "auto" else config.pooling, "mean")
