"""What the flows share: opening and closing a run, and the stretch from tables to vectors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from prefect import get_run_logger
from prefect.runtime import flow_run

from flows.config import RetrainConfig, from_text
from schemas.artifacts import RunContext
from schemas.config import LedgerConfig
from schemas.errors import DataError
from schemas.reports import EvaluationReport, SegmentProfile, Verdict
from schemas.runs import Attempt, Candidate, Contest, Landed, Proof, Registered, Standing, Summary, Vectors
from tasks.choose import choose
from tasks.cluster import cluster
from tasks.embed import embed
from tasks.evaluate import evaluate
from tasks.featurize import featurize
from tasks.measure import measure_champion
from tasks.prove import prove
from tasks.represent import represent
from tasks.segments._measured import GateInput
from tasks.selection.choose import merit
from tasks.selection.space import Candidate as Drawn
from tasks.selection.space import expand
from tasks.selection.tpe import search
from tasks.serving.candidates import TEST
from tasks.serving.families import usable
from tasks.serving.plugins import settle
from tasks.serving.promoting import mirror
from tasks.serving.revisiting import recipe, warm_candidate
from tasks.stores import pointer
from tasks.stores.artifacts import code_version
from tasks.stores.flat import flat_metrics
from tasks.stores.home import home
from tasks.stores.ledger import CONFIG, Ledger


@contextmanager
def opened(config: RetrainConfig, what: str = "retrain") -> Iterator[tuple[RunContext, Ledger]]:
    """A run in the ledger, closed as finished, or as failed where the block raises.

    MLflow's aliases are first made to say what the pointer says: a run that was killed in between left them behind.
    """
    settle()
    ledger = Ledger(config.ledger, home(), config.segmentation)
    tags = {"fenqun.flow": what, "fenqun.prefect_run": str(flow_run.id or "")}
    name = f"{what} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    with ledger.recorded(name, config.model_dump(mode="json"), tags) as run_id:
        mirror(pointer.read(home(), config.segmentation), ledger)
        now = config.as_of or datetime.now(UTC)
        run = RunContext(run_id=run_id, as_of=now, seed=config.seed, code_version=code_version(), home=home())
        yield run, ledger


def revision(segmentation: str) -> int:
    """The pointer's revision now: a promotion that comes in between wins."""
    return pointer.read(home(), segmentation).revision


def recorded_config(segmentation: str, version: str, ledger: LedgerConfig) -> RetrainConfig:
    """The config of the run that registered a version."""
    books = Ledger(ledger, home(), segmentation)
    return from_text(books.read_text(books.version(version).run_id or "", CONFIG), f"{segmentation} version {version}")


def vectors(config: RetrainConfig, landed: Landed, run: RunContext, high: float) -> Vectors:
    """From tables to user vectors, fitted on the first `high` share of everyone's history."""
    families, off = usable(config.features, landed.tables, config.known_columns())
    for family, why in off.items():
        get_run_logger().info("%s is switched off: %s", family, why)
    fitted = [featurize.submit(landed.tables, family, run, high, config.execution) for family in families]
    texts = config.texts and embed(landed.tables, config.texts, config.encoder, run, high, config.execution)
    if not families and texts is None:
        why = "; ".join([*(f"{family} is switched off: {said}" for family, said in off.items()), "there are no texts"])
        raise DataError(f"nothing describes users ({why}); name another family under features")
    blocks = [future.result() for future in fitted]
    return represent(families, blocks, texts, config.represent, config.ingest, run, high, config.execution)


def compete(
    config: RetrainConfig, landed: Landed, full: Vectors, train: Vectors, standing: Standing | None,
    run: RunContext, ledger: Ledger,
) -> Contest:  # fmt: skip
    """Fits and measures every candidate, each a mapped task and a nested run, and chooses one.

    The candidates are those of the search space, and the one that starts from the champion.
    """
    tables, space = landed.tables, config.search
    settings = (config.evaluate, config.select, config.identity, run, ledger)
    fitted: list[Attempt] = []
    measured: list[EvaluationReport] = []

    def attempt(some: list[Candidate]) -> list[float | None]:
        attempts = [cluster.submit(one, full, train, standing, tables, config.identity, run) for one in some]
        reports = [evaluate.submit(one, standing, tables, *settings) for one in attempts]
        fitted.extend(one for future in attempts if isinstance(one := future.result(), Attempt))
        measured.extend(one.result() for one in reports)
        return [merit(one) for one in measured[len(measured) - len(some) :]]

    warm = standing and space.warm and warm_candidate(standing, config.identity, config.seed)
    others = [warm] if warm else []
    if space.mode == "tpe":
        search(space.candidates, config.seed, space.limit, lambda some: attempt(_fresh(some)))
        attempt(others)
    else:
        attempt([*_fresh(expand(space.candidates, space.mode, space.limit, config.seed)), *others])
    choice = choose(measured, config.select, run, ledger)
    best = next(one for one in fitted if one.candidate.name == choice.chosen)
    report = next(one for one in measured if one.candidate == choice.chosen)
    return Contest(reports=tuple(measured), choice=choice, best=best, attempts=tuple(fitted), report=report)


def _fresh(some: Sequence[Drawn]) -> list[Candidate]:
    return [Candidate(name=one.name, algorithm=one.config.model_dump(mode="json")) for one in some]


def champion_input(
    config: RetrainConfig, standing: Standing | None, best: Attempt, landed: Landed, run: RunContext
) -> GateInput | None:
    """The champion on today's data as the gates see it: its own features, representation and algorithm, refitted."""
    if standing is None:
        return None
    proof = proof_again(config, standing, landed, run)
    return measure_champion(standing, best, proof, landed, config.evaluate, config.gates, run)


def proof_again(config: RetrainConfig, standing: Standing, landed: Landed, run: RunContext) -> Proof:
    """Held-out figures of a model of another day: its own features, representation and algorithm, refitted on train."""
    made = vectors(config.model_copy(update=recipe(standing, home())), landed, run, TEST[0])
    algorithm = Candidate(name=f"version {standing.version}", algorithm=standing.algorithm)
    return prove(algorithm, made, landed.tables, config.evaluate, config.gates.slices, run)


def summary(
    config: RetrainConfig, run: RunContext, ledger: Ledger, full: Vectors, contest: Contest, proof: Proof,
    profiles: tuple[SegmentProfile, ...], model: Registered, verdict: Verdict, page: str,
) -> Summary:  # fmt: skip
    """What the run tells at its end."""
    return Summary(
        segmentation=config.segmentation, run_id=run.run_id, experiment_id=ledger.experiment_id,
        prefect_run=str(flow_run.id or ""), model_version=model.version, new_version=model.new,
        chosen=contest.choice.chosen, reason=contest.choice.reason, promoted=verdict.promoted, gates=verdict.gates,
        texts=None if full.texts is None else (full.texts.hits, full.texts.misses), profiles=profiles,
        metrics=flat_metrics({**contest.report.metrics, "proof": proof.heldout}), report=page,
    )  # fmt: skip
