"""What a run was made of, as the ledger keeps it."""

import importlib.metadata

from schemas.reports import SegmentProfile
from schemas.runs import Vectors
from schemas.tuning import Tuning
from tasks.disk.artifacts import load_facts
from tasks.reporting.segments import markdown
from tasks.stores.book import Day

COUNTED = ("read", "accepted", "quarantined", "deduplicated")


def record(day: Day, vectors: Vectors, profiles: tuple[SegmentProfile, ...]) -> None:
    """Logs environment, data with fingerprints, counts of texts, and the segments as the run's note.

    Args:
        day: The run.
        vectors: For how many texts were at hand and how many had to be encoded.
        profiles: The segments.
    """
    run, ledger, landed = day.context, day.ledger, day.landed
    installed = sorted({f"{one.name}=={one.version}" for one in importlib.metadata.distributions()}, key=str.lower)
    ledger.text(run.run_id, "environment.txt", "\n".join(installed))
    ledger.datasets(run.run_id, landed.tables)
    if vectors.texts is not None:
        ledger.metrics(run.run_id, {"texts.hits": vectors.texts.hits, "texts.misses": vectors.texts.misses})
        _tuning(day, vectors.texts.tuning)
    ledger.metrics(run.run_id, _learned(vectors))
    rows = {f"rows.{one.table}.{name}": getattr(one, name) for one in landed.accounts for name in COUNTED}
    ledger.metrics(run.run_id, rows)
    ledger.tags(run.run_id, {"mlflow.note.content": markdown(profiles), "fenqun.code": run.code_version})


def _learned(vectors: Vectors) -> dict[str, float]:
    """How the trainings of encoders of behaviour went: `behaviour.<kind>.<validation|epochs|anchors|warm>`."""
    states = {kind: load_facts(made.state) for kind, made in vectors.features.items()}
    return {
        f"behaviour.{kind}.{name}": float(meta[name])
        for kind, meta in states.items()
        for name in ("validation", "epochs", "anchors", "warm")
        if meta.get(name) is not None
    }


def _tuning(day: Day, came: Tuning | None) -> None:
    """Whether the language model was tuned, by how much it was better, and the whole of it as a file."""
    if came is None:
        return
    run, ledger = day.context, day.ledger
    figures: dict[str, float] = {"texts.tuned.used": float(came.used), "texts.tuned.steps": came.steps}
    if came.judged is not None:
        low, high, value, base = came.judged.low, came.judged.high, came.judged.value, came.judged.base
        figures |= {"texts.tuned.recall": base + value, "texts.tuned.recall_frozen": base}
        figures |= {"texts.tuned.gain": value, "texts.tuned.gain_low": low, "texts.tuned.gain_high": high}
    ledger.metrics(run.run_id, figures)
    ledger.tags(run.run_id, {"fenqun.tuned": came.why})
    ledger.text(run.run_id, "tuning.json", came.model_dump_json(indent=1))
