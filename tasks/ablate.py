"""ablate: each feature family's share of the vectors' variance, and what it adds to held-out lift."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import EvaluateConfig, ExecutionConfig, IngestConfig
from schemas.runs import Candidate, Proof, Vectors
from tasks.serving.ablating import contributions, shares
from tasks.stores.ledger import Ledger


@task(name="ablate", cache_policy=NO_CACHE)
def ablate(
    candidate: Candidate,
    full: Vectors,
    last: Vectors,
    proof: Proof,
    tables: Mapping[str, ArtifactRef],
    config: EvaluateConfig,
    ingest: IngestConfig,
    run: RunContext,
    execution: ExecutionConfig,
    ledger: Ledger,
) -> dict[str, float]:
    """Logs `share.<family>` and, where asked for, `ablation.<family>`."""
    found = {f"share.{block}": share for block, share in shares(full).items()}
    if config.ablation:
        added = contributions(candidate, last, proof, tables, config, ingest, run, execution)
        found |= {f"ablation.{block}": value for block, value in added.items()}
    ledger.metrics(run.run_id, found)
    return found
