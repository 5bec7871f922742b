"""A real LocalCluster of two workers makes the same bytes as threads, also when a worker is killed in the middle."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from schemas.config import TextsConfig
from schemas.execution import ExecutionConfig
from schemas.runs import Embedded
from schemas.tables import EVENTS, USER_ID
from tasks.execution.scheduler import _POOL, scheduler
from tasks.plugins.find import kinds, plugin
from tasks.stores.buckets import map_buckets, reduce_buckets
from tasks.vectors.features import fit_family, fit_representation
from tasks.vectors.slices import cut
from tasks.vectors.texts import embed_users
from tests.helpers.landed_tables import BUCKETS, a_run, buckets, files, written

pytestmark = pytest.mark.slow
THREADS = ExecutionConfig(workers=2)
CLUSTER = ExecutionConfig(scheduler="cluster", workers=2, memory_limit="1GiB")


@pytest.fixture
def tables(tmp_path):
    return written(tmp_path / "tables", buckets())


@pytest.fixture(scope="module")
def cluster():
    """Two workers for all tests here: who is inside the block shares them."""
    with scheduler(CLUSTER):
        yield next(iter(_POOL.clients.values())).client
    assert not _POOL.clients


def everything(tables, home, execution) -> dict[str, dict[str, bytes]]:
    """All files of features, texts and vectors, fitted on all data and on a slice."""
    from schemas.config import RepresentConfig

    run, made = a_run(home), {}
    for high in (1.0, 0.7):
        part = cut(tables, high, run, execution)
        fitted = {
            kind: fit_family(part, plugin("features", kind).Config(), run, execution) for kind in kinds("features")
        }
        encoder = plugin("encoders", "hashing").Config(dimension=16)
        texts: Embedded = embed_users(part, TextsConfig(), encoder, run, execution)
        vectors = fit_representation(fitted, texts, RepresentConfig(dimension=8), ({}, {}), run, execution)
        for name, one in {**fitted, "texts": texts.fitted, "vectors": vectors}.items():
            made[f"{name} {high}"] = {**files(one.state), **files(one.output)}
    return made


def test_two_workers_make_exactly_what_threads_make(tables, tmp_path, cluster):
    ours = everything(tables, tmp_path / "threads", THREADS)
    theirs = everything(tables, tmp_path / "cluster", CLUSTER)
    assert theirs == ours
    assert len(cluster.scheduler_info()["workers"]) == 2


def test_a_scheduler_elsewhere_is_used_by_its_address(tables, tmp_path, cluster):
    config, run = plugin("features", "behaviour").Config(), a_run(tmp_path / "x")
    there = ExecutionConfig(scheduler=cluster.scheduler.address)
    ours = fit_family(tables, config, a_run(tmp_path / "y"), THREADS)
    theirs = fit_family(tables, config, run, there)
    assert {**files(theirs.state), **files(theirs.output)} == {**files(ours.state), **files(ours.output)}


def test_a_killed_worker_changes_nothing(tables, tmp_path, cluster):
    """The worker that comes to bucket 4 of the fit, and to bucket 6 of the transform, dies by kill -9, once each."""
    family = plugin("features", "behaviour")
    config, run = family.Config(), a_run(tmp_path)
    parts = buckets()
    victims = {"fit": parts[4][EVENTS.name][USER_ID][0], "transform": parts[6][EVENTS.name][USER_ID][0]}

    def die(step: str, bucket) -> None:
        mark = Path(tmp_path) / f"{step}.killed"
        if bucket[EVENTS.name][USER_ID][0] == victims[step] and not mark.exists():
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)

    def partial(bucket):
        die("fit", bucket)
        return family.partial(bucket, config, run.as_of)

    pids = set(cluster.run(os.getpid).values())
    state = family.finish(reduce_buckets(tables, partial, family.merge, CLUSTER), np.random.default_rng(0))

    def transform(bucket):
        die("transform", bucket)
        return family.transform(bucket, state, config, run.as_of)

    heard = []
    args = {"kind": "features", "digest": "d" * 64}
    made = map_buckets(
        tables, transform, CLUSTER, home=str(tmp_path / "a"), **args, progress=lambda d, of: heard.append(d)
    )
    died = {int((tmp_path / f"{step}.killed").read_text()) for step in victims}
    assert len(died) == 2
    assert died & pids
    assert os.getpid() not in died
    assert heard[-1] == BUCKETS
    calm = family.finish(
        reduce_buckets(tables, lambda b: family.partial(b, config, run.as_of), family.merge, THREADS),
        np.random.default_rng(0),
    )
    assert calm.meta == state.meta
    again = map_buckets(
        tables, lambda b: family.transform(b, calm, config, run.as_of), THREADS, home=str(tmp_path / "b"), **args
    )
    assert files(made) == files(again)


def test_a_mistake_on_a_worker_is_told_as_it_is(tables, tmp_path, cluster):
    def wrong(bucket):
        raise ValueError("bucket of odd rows")

    with pytest.raises(ValueError, match="odd rows"):
        map_buckets(tables, wrong, CLUSTER, home=str(tmp_path), kind="x", digest="d" * 64)
