"""What the command line does around a flow.

Most flows are simply run. A function of a flow's name among `OWN` is called in its place: with what the flow is given,
before Prefect is imported, which takes seconds and makes files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flows.config import RetrainConfig, ledger_at, load
from flows.found import CONFIG, Found
from flows.options import LEDGER, OVERRIDES
from flows.running import here
from schemas.asked import Sampled
from schemas.config import LedgerConfig, kind_of
from schemas.errors import Refused, listed
from schemas.recommended import Recommended
from schemas.runs import Decided, Served
from schemas.tables import CATEGORIES, EDGES, EVENTS, ITEMS, USERS, VALUE
from tasks.ingestion.sampling import sample
from tasks.plugins.contracts import offers
from tasks.plugins.find import module_of
from tasks.registry.promotion import override_of, roll_back
from tasks.registry.readers import expect
from tasks.stores import pointer
from tasks.stores.home import home, made
from tasks.stores.ledger import Ledger


def run(flow: Found, given: Mapping[str, Any]) -> Any:
    """Runs a flow with what the command line gave, and returns what came out."""
    names = [one for one in flow.parameters if one.name in given]
    arguments = {one.name: _argument(one.annotation, given[one.name], given) for one in names}
    own = OWN.get(flow.name)
    return own(**arguments) if own else here(flow.name, **arguments)


def _argument(annotation: str, value: Any, given: Mapping[str, Any]) -> Any:
    """The value that the flow is given."""
    if annotation == LEDGER:
        return ledger_at(value)
    if annotation != CONFIG:
        return value
    config = load(value, given[OVERRIDES])
    look_at(config)
    return config


def look_at(config: RetrainConfig) -> None:
    """What is missing of the source, or wrong with the heads of its parts, is told before servers start."""
    module = module_of("sources", config.source)
    if offers("sources", module, "look"):
        module.look(config.source)  # reads and counts no rows, which the run does
    else:
        module.snapshot(config.source)


def looked_at(config: RetrainConfig) -> dict[str, str]:
    """The parts of the source, once it was looked at."""
    module = module_of("sources", config.source)
    if offers("sources", module, "look"):
        module.look(config.source)
    parts: dict[str, str] = module.snapshot(config.source)
    return parts


def sampled(config: RetrainConfig) -> tuple[Sampled, ...]:
    """What ingest would make of the first rows of each table."""
    return sample(config.source, config.ingest, datetime.now(UTC))


def advice(config: RetrainConfig, sample: Sequence[Sampled]) -> tuple[str, ...]:
    """What these rows cannot tell, and what the config leaves open."""
    return (*_without(config, sample), *_spellings(sample), *_nobody(config, sample), *_choices(config, sample))


def _nobody(config: RetrainConfig, sample: Sequence[Sampled]) -> Iterator[str]:
    """Users who have a large share of the rows, and may be all whom the source does not know."""
    for table in sample:
        if sum(table.nobody.values()) > config.validation.max_nobody_share * table.taken:
            who = ", ".join(f"{name!r} ({rows} rows)" for name, rows in table.nobody.items())
            yield f"{table.table}: {who} may be nobody, or many; if so, name it: ingest: {{no_ids: [...]}}"


def _spellings(sample: Sequence[Sampled]) -> Iterator[str]:
    """Names of events that are one name to a person."""
    for table in sample:
        spelt: dict[str, list[str]] = {}
        for name in table.event_names:
            spelt.setdefault(name.strip().casefold(), []).append(name)
        for several in spelt.values():
            if several[1:]:
                yield f"{', '.join(map(repr, several))} are names of several events; if of one, say so: event_names"


def _without(config: RetrainConfig, sample: Sequence[Sampled]) -> Iterator[str]:
    """What is switched off, or says nothing, for want of a table or of a column's values."""
    given = {table.table for table in sample if table.taken}
    given |= {USERS.name} if given == {EDGES.name} else set()
    for family in config.features:
        lacking = [name for name in module_of("features", family).REQUIRES if name not in given]
        if lacking:
            yield f"{kind_of(family)} is switched off: no rows in {', '.join(lacking)}"
    for table in sample:
        if table.table == EVENTS.name and table.taken > 1:
            if VALUE in table.empty:
                yield "events have no value: no features of money or ratings"
            if table.times and table.times[0] == table.times[1]:
                yield "events have one time for all: no recency, gaps, rhythm, or order to hold out by"
        if table.table == ITEMS.name and table.taken and CATEGORIES in table.empty:
            yield "items have no categories: interest is told by item alone"


def _choices(config: RetrainConfig, sample: Sequence[Sampled]) -> tuple[str, ...]:
    """Which of several kinds of events are a user's choice."""
    names = [name for table in sample for name in table.event_names]
    choices = config.evaluate.events
    if not choices and config.evaluate.lift and len(names) > 1:
        return (
            f"all events count as choices: {', '.join(names[:20])}. Where items are also shown, name the choices: "
            "evaluate: {events: [...]}",
        )
    return tuple(
        f"evaluate.events: none of these rows is named {name!r}; {listed(name, names)}"
        for name in choices
        if names and name not in names
    )


def assign(config: RetrainConfig, only_touched: bool) -> Served:
    """That nothing is live is told before servers start."""
    expect(home(), config.segmentation)
    return here("assign", config=config, only_touched=only_touched)


def recommend(config: RetrainConfig) -> Recommended:
    """That nothing is live is told before servers start."""
    expect(home(), config.segmentation)
    return here("recommend", config=config)


def promote(segmentation: str, version: str, author: str, reason: str, ledger: LedgerConfig) -> Decided:
    """A version that is not there is told before servers start, and a refusal is a failure."""
    override_of(author, reason)
    Ledger(ledger, home(), segmentation).version(version)
    decision = {"segmentation": segmentation, "version": version, "author": author, "reason": reason}
    told = here("promote", **decision, ledger=ledger)
    if told.changed:
        return told
    stays = f"version {told.live} stays live" if told.live else "nothing is live"
    mend = "To promote it all the same, give --author and --reason"
    raise Refused(f"{segmentation}: version {version} was refused; {stays}. {mend}", told)


def rollback(segmentation: str, author: str, reason: str, ledger: LedgerConfig) -> Decided:
    """At once: no server is started for it."""
    expect(home(), segmentation)
    books = Ledger(ledger, made(), segmentation)
    return roll_back(pointer.read(home(), segmentation).revision, author, reason, home(), books)


OWN: dict[str, Callable[..., Any]] = {own.__name__: own for own in (assign, promote, recommend, rollback)}
