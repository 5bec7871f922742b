"""Texts are encoded by one process per GPU; here the processes are real and their device is the CPU."""

import os
import time

import numpy as np
import pytest
from pydantic import ValidationError

from schemas.errors import UsageError
from schemas.execution import ExecutionConfig
from tasks.encoders import transformer
from tasks.execution.scheduler import on_gpus
from tasks.vectors.encoder import cache_of, encode, known
from tests.helpers.language_models import WORDS, tiny_bert

pytestmark = pytest.mark.slow
TWO = ExecutionConfig(gpus=2, device="cpu", memory_limit="2GiB")


def seen(_):
    time.sleep(0.2)
    return os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"]


def test_each_process_sees_one_gpu_of_those_that_are_given(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7,9")
    told = []
    found = set(on_gpus(seen, range(8), TWO, lambda done, of: told.append((done, of))))
    assert {device for _, device in found} == {"4", "7"}
    assert len({process for process, _ in found}) == 2
    assert told[-1] == (8, 8)


def test_texts_are_encoded_once_whoever_encodes_them(tmp_path):
    config = transformer.Config(model=str(tiny_bert(tmp_path / "model")), dtype="float32")
    rng = np.random.default_rng(0)
    texts = sorted({" ".join(rng.choice(WORDS, rng.integers(1, 30))) for _ in range(300)})
    homes = {1: tmp_path / "one", 2: tmp_path / "two"}
    vectors, counts, told = {}, {}, []
    for gpus, home in homes.items():
        encoder = known(config, "cpu", str(home))
        encode(texts[:100], encoder, str(home), ExecutionConfig(device="cpu"))
        execution = TWO.model_copy(update={"gpus": gpus})
        counts[gpus] = encode(texts, encoder, str(home), execution, lambda done, of: told.append((done, of)))
        vectors[gpus] = cache_of(encoder, str(home)).get(texts)
    assert counts[1] == counts[2]
    assert (counts[2].hits, counts[2].misses) == (100, len(texts) - 100)
    assert told[-1] == (len(texts) - 100, len(texts) - 100)
    np.testing.assert_allclose(vectors[2], vectors[1], atol=2e-3)  # float16, and other batches


def test_a_scheduler_without_gpus_is_refused_at_once():
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        address = ExecutionConfig(scheduler=cluster.scheduler_address, gpus=2)
        with pytest.raises(UsageError, match="dask worker --resources GPU=1"):
            on_gpus(seen, range(2), address)


def test_one_device_for_several_gpus_is_refused():
    with pytest.raises(ValidationError, match="set device to cuda"):
        ExecutionConfig(gpus=2, device="cuda:1")
