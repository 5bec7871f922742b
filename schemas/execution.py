"""Where the work of a run is done: threads or Dask workers of this machine or others, and the device."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from schemas.config import Positive, Section


class ExecutionConfig(Section):
    """Where the work runs."""

    scheduler: str = Field(
        "threads", description="Dask: 'threads', 'cluster' (a LocalCluster) or a scheduler's address"
    )
    unencrypted: bool = Field(False, description="accept a scheduler elsewhere that is not tls://; a trusted network")
    workers: Positive = Field(2, description="threads, or processes of the LocalCluster")
    memory_limit: str = Field("4GiB", description="memory of each LocalCluster worker")
    device: str = Field("auto", description="device of language models: auto, cpu, cuda or cuda:1")
    gpus: Positive = Field(
        1,
        description="processes that encode texts, one per GPU; above 1: Dask workers that hold one of the resource GPU",
    )

    @model_validator(mode="after")
    def _here_or_encrypted(self) -> Self:
        """Whoever reaches a Dask scheduler can run code on it, and it can on whoever asks it."""
        address = self.scheduler if "://" in self.scheduler else f"tcp://{self.scheduler}"
        named = self.scheduler in ("threads", "cluster")
        here = urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")
        if not (named or here or address.startswith("tls://") or self.unencrypted):
            raise ValueError(f"scheduler {self.scheduler} is elsewhere: use tls://, or set unencrypted: true")
        return self

    @model_validator(mode="after")
    def _one_device_each(self) -> Self:
        if self.gpus > 1 and ":" in self.device:
            raise ValueError(f"device {self.device} is one GPU, but gpus is {self.gpus}: set device to cuda")
        return self
