"""What the flows share: opening and closing a run, the stretch from tables to vectors, and the contest."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, overload

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from prefect.settings import get_current_settings

from flows.config import RetrainConfig, from_text, to_text
from schemas.artifacts import RunContext
from schemas.config import LedgerConfig, kind_of
from schemas.errors import DataError
from schemas.gates import GateInput
from schemas.reports import EvaluationReport, Verdict
from schemas.runs import Attempt, Candidate, Contest, Outcome, Proof, Slice, Slices, Standing, Summary, Vectors
from schemas.tables import EVENTS
from tasks.candidates.attempt import warm_candidates
from tasks.candidates.heldout import SHARES, VALIDATION, can_hit
from tasks.choose import choose
from tasks.cluster import cluster
from tasks.compare import compare, compare_by_date, train
from tasks.cut import cut
from tasks.disk.artifacts import code_version
from tasks.embed import embed
from tasks.encode import encode
from tasks.evaluate import evaluate
from tasks.featurize import featurize
from tasks.health.pages import pages
from tasks.models.today import recipe
from tasks.phrases.words import Words
from tasks.plugins.find import settle
from tasks.prove import prove
from tasks.registry.promotion import mend
from tasks.reporting.beside import said
from tasks.reporting.page import figures_of
from tasks.reporting.summary import markdown
from tasks.represent import represent
from tasks.segments.unclear import warned
from tasks.selection.choose import LIFT, SILHOUETTE, merit
from tasks.selection.space import Candidate as Drawn
from tasks.selection.space import expand
from tasks.selection.tpe import search
from tasks.stores import pointer
from tasks.stores.book import Book, Day, at
from tasks.stores.flat import flat_metrics
from tasks.stores.home import home, made
from tasks.stores.ledger import CONFIG, Ledger
from tasks.validation.choices import check_choices
from tasks.vectors.families import usable
from tasks.yardsticks.sides import date_of


@contextmanager
def opened(config: RetrainConfig, what: str = "retrain") -> Iterator[Book]:
    """A run in the ledger, closed as finished, or as failed where the block raises.

    What a run that was killed left behind is mended first: MLflow's aliases say what the pointer says, and its run is
    closed.
    """
    settle()
    ledger = Ledger(config.ledger, made(), config.segmentation)
    tags = {"fenqun.flow": what, "fenqun.prefect_run": str(flow_run.id or "")}
    now = datetime.now(UTC)
    with ledger.recorded(f"{what} {now:%Y-%m-%d %H:%M:%S}", config.model_dump(mode="json"), tags) as run_id:
        live = pointer.read(home(), config.segmentation)
        mend(live, ledger)
        ledger.text(run_id, CONFIG, to_text(config))  # first of all: a version of it can be promoted whatever follows
        context = RunContext(
            run_id=run_id,
            as_of=config.as_of or now,
            now=now,
            seed=config.seed,
            code_version=code_version(),
            home=home(),
        )
        yield Book(config, context, ledger, live.revision)


def recorded_config(segmentation: str, version: str, ledger: LedgerConfig) -> RetrainConfig:
    """The config of the run that registered a version."""
    books = Ledger(ledger, home(), segmentation)
    return from_text(books.read_text(books.version(version).run_id or "", CONFIG), f"{segmentation} version {version}")


def slices_of(day: Day) -> Slices:
    """Vectors of all of everyone's history, and of its first parts, on which held-out figures learn."""
    check_choices(day.tables, day.settings.evaluate.events)
    made = {name: vectors(day, cut(day, share)) for name, share in SHARES.items()}
    date = date_of(day)
    dated = None if date is None else as_known(at(day, date))
    return Slices(**made, dated=dated, date=date)


def as_known(then: Day, changes: dict[str, Any] | None = None) -> Vectors:
    """Vectors as of an earlier date: of what everybody had done by then."""
    return vectors(then, cut(then, SHARES["all"]), changes)


def vectors(day: Day, part: Slice, changes: dict[str, Any] | None = None) -> Vectors:
    """From tables to user vectors, by the run's settings or by those of a model of another day."""
    c = day.settings.model_copy(update=changes or {})
    families, off = usable(c.features, part.tables, c.known_columns())
    for family, why in off.items():
        get_run_logger().info("%s is switched off: %s", family, why)
    fitted = {kind_of(family): featurize.submit(day, part, family) for family in families}
    texts = embed(day, part, c.texts, c.encoder) if c.texts else None
    learns = c.behaviour_encoders if EVENTS.name in part.tables else ()
    if not families and texts is None and not learns:
        why = "; ".join([*(f"{family} is switched off: {said}" for family, said in off.items()), "there are no texts"])
        raise DataError(f"nothing describes users ({why}); name another family under features")
    blocks = {kind: future.result() for kind, future in fitted.items()}
    blocks |= {kind_of(one): encode(day, part, one, texts) for one in learns}
    return represent(day, {kind_of(one): one for one in (*families, *learns)}, blocks, texts, c.represent, part)


def compete(day: Day, slices: Slices, champion: Standing | None) -> Contest:
    """Fits and measures every candidate, each a mapped task and a nested run, and chooses one.

    The candidates are those of the search space, and those that start from the champion.
    """
    space, seed, config = day.settings.search, day.settings.seed, day.settings.evaluate
    scale = LIFT if config.lift and can_hit(day.tables, VALIDATION, config.events) else SILHOUETTE
    fitted: list[Attempt] = []
    measured: list[EvaluationReport] = []

    def attempt(some: list[Candidate]) -> list[float | None]:
        attempts = [cluster.submit(day, one, slices, champion) for one in some]
        reports = [evaluate.submit(day, one, slices, champion) for one in attempts]  # type: ignore[call-overload]
        fitted.extend(one for future in attempts if isinstance(one := future.result(), Attempt))
        measured.extend(one.result() for one in reports)
        return [merit(one, scale) for one in measured[len(measured) - len(some) :]]

    others = warm_candidates(day, slices, champion) if champion and space.warm else []
    if space.mode == "tpe":
        search(space.candidates, seed, space.limit, lambda some: attempt(_fresh(some)))
        attempt(others)
    else:
        attempt([*_fresh(expand(space.candidates, space.mode, space.limit, seed)), *others])
    choice = choose(day, measured)
    best = next(one for one in fitted if one.candidate.name == choice.chosen)
    report = next(one for one in measured if one.candidate == choice.chosen)
    return Contest(reports=tuple(measured), choice=choice, best=best, attempts=tuple(fitted), report=report)


def _fresh(some: Sequence[Drawn]) -> list[Candidate]:
    return [Candidate(name=one.name, algorithm=one.config.model_dump(mode="json")) for one in some]


@overload
def proof_again(day: Day, model: Standing) -> Proof: ...
@overload
def proof_again(day: Day, model: Standing | None) -> Proof | None: ...
def proof_again(day: Day, model: Standing | None) -> Proof | None:
    """Held-out figures of a model of another day: its own features, representation and algorithm, refitted."""
    if model is None:
        return None
    made = vectors(day, cut(day, SHARES["proving"]), recipe(model, home()))
    return prove(day, again(model), made)


def again(model: Standing) -> Candidate:
    """A model of another day as a candidate: its algorithm, fitted anew."""
    return Candidate(name=f"version {model.version}", algorithm=model.algorithm)


def beside(day: Day, outcome: Outcome, theirs: Proof | None) -> Outcome:
    """The outcome with ways to recommend side by side, the chosen candidate's segments among them.

    Args:
        day: The run.
        outcome: What came of it so far.
        theirs: Held-out figures of the champion's recipe; None: nothing is live.
    """
    slices, champion, candidate = outcome.slices, outcome.champion, outcome.contest.best.candidate
    found = [compare(day, (outcome.proof, theirs), slices.proving, outcome.model)]
    if slices.dated is not None and slices.date is not None:
        then = at(day, slices.date)
        before = None
        if champion is not None:
            before = train(then, again(champion), as_known(then, recipe(champion, home())))
        trained = (train(then, candidate, slices.dated, champion), before)
        found.append(compare_by_date(then, trained, slices.dated, outcome.model))
    return outcome.model_copy(update={"yardsticks": tuple(one for one in found if one is not None)})


def summary(day: Day, outcome: Outcome, judged: GateInput, verdict: Verdict, page: str) -> Summary:
    """What the run tells at its end, and on its page in Prefect."""
    texts, choice = outcome.slices.all.texts, outcome.contest.choice
    told = Summary(
        segmentation=day.name,
        run_id=day.context.run_id,
        experiment_id=day.ledger.experiment_id,
        prefect_run=str(flow_run.id or ""),
        model_version=outcome.model.version,
        new_version=outcome.model.new,
        chosen=choice.chosen,
        reason=choice.reason,
        verdict=verdict,
        lineage=outcome.lineage,
        texts=None if texts is None else (texts.hits, texts.misses),
        profiles=outcome.profiles,
        metrics={**flat_metrics(outcome.contest.report.metrics), **figures_of(outcome, judged)},
        report=page,
        warning=warned(outcome.profiles, day.settings.describe.language),
        beside=tuple(said(one, Words(day.settings.describe.language)) for one in outcome.yardsticks),
        pages=pages(day.context.home, get_current_settings().ui_url, day.ledger.config),
    )
    came = markdown(told, day.settings.describe.language)
    create_markdown_artifact(came, key="summary", description=f"What came of the retrain of {day.name}")
    return told
