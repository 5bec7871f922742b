"""Decoder models as encoders: GPT-2, Llama, Qwen and their kin.

Rows are padded on the right: a causal token never sees what follows it, so padding cannot change a state, and the
last token is found through the mask. Padding on the left would need shifted positions, which GPT-2 does not make.
"""

from typing import Literal

from pydantic import Field

from tasks.encoders._base import LanguageModelConfig
from tasks.encoders._model import LanguageModelEncoder, build
from tasks.encoders._stamp import stamp

__all__ = ["Config", "load", "stamp"]


class Config(LanguageModelConfig):
    """Which decoder encodes, and how its token states become one vector."""

    kind: Literal["causal"] = "causal"
    model: str = Field("", description="a local folder, or a hub name with its revision")
    pooling: Literal["last", "mean"] = Field("last", description="state of the last token, or mean over tokens")
    end_token: bool = Field(False, description="put the end-of-text token after each text, where the model expects it")


def load(config: Config, device: str = "auto") -> LanguageModelEncoder:
    """Loads the model, checked, onto `device` (auto, cpu, cuda or cuda:1).

    Raises:
        DataError: the model is not there, not complete or not safe.
        UsageError: the config asks for what the model or the machine has not.
    """
    return build(config, device, config.pooling, "last", config.end_token)
