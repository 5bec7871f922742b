"""measure: candidate and champion on today's data, as the gates see them."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import RunContext
from schemas.config import EvaluateConfig, GateConfig
from schemas.reports import EvaluationReport, ValidationReport
from schemas.runs import Attempt, Landed, Proof, Registered, Standing, Vectors
from tasks.segments._measured import GateInput
from tasks.serving.judging import again_input, candidate_input, champion_input


@task(name="measure candidate", cache_policy=NO_CACHE)
def measure_candidate(
    model: Registered,
    report: EvaluationReport,
    proof: Proof,
    vectors: Vectors,
    standing: Standing | None,
    landed: Landed,
    checks: tuple[ValidationReport, ...],
    policy: GateConfig,
    run: RunContext,
) -> GateInput:
    """Everything that the gates look at, of the candidate."""
    return candidate_input(model, report, proof, vectors, standing, landed, checks, policy, run)


@task(name="measure champion", cache_policy=NO_CACHE)
def measure_champion(
    standing: Standing,
    attempt: Attempt,
    proof: Proof,
    landed: Landed,
    config: EvaluateConfig,
    policy: GateConfig,
    run: RunContext,
) -> GateInput:
    """The same of the champion, measured anew on today's data."""
    return champion_input(standing, attempt, proof, landed, config, policy, run)


@task(name="measure again", cache_policy=NO_CACHE)
def measure_again(
    candidate: Standing,
    champion: Standing | None,
    proof: Proof,
    landed: Landed,
    checks: tuple[ValidationReport, ...],
    config: EvaluateConfig,
    policy: GateConfig,
    run: RunContext,
) -> GateInput:
    """Everything that the gates look at, of a version of another day, measured anew on today's data."""
    return again_input(candidate, champion, proof, landed, checks, config, policy, run)
