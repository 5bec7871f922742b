"""Every source runs through retrain to its summary: a user's own CSV files, dirty data, the real data sets."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from flows.config import load
from schemas.errors import DataError
from schemas.tables import EVENT, EVENTS, ITEM_ID, TIMESTAMP, USER_ID, VALUE
from tasks.cleaning.reasons import Reason
from tasks.sources import synthetic
from tasks.sources._synthetic_events import EVENT_NAMES
from tasks.stores import pointer
from tests.helpers import own_csv
from tests.helpers.configs import QUICK

pytestmark = pytest.mark.usefixtures("prefect_harness")

CONFIGS = Path(__file__).resolve().parents[2] / "deployments" / "configs"


def configured(name: str, *overrides: str):
    return load(CONFIGS / f"{name}.yaml", [*QUICK, *overrides])


def run(name: str, home: Path, *overrides: str):
    from flows.retrain import retrain

    return retrain(configured(name, *overrides))


def test_own_csv_files_need_under_twenty_lines():
    assert len((CONFIGS / "own-csv.yaml").read_text().splitlines()) < 20


@pytest.mark.slow
def test_own_csv_files_become_segments_and_what_is_appended_is_added(home, tmp_path):
    data = own_csv.write(tmp_path / "data")
    overrides = (f"source.root={data}", "search.candidates.0.grid.k=[5]")
    first = run("own-csv", home, *overrides)
    assert first.promoted, [gate for gate in first.verdict.gates if not gate.passed]
    assert sorted(profile.size for profile in first.profiles) == [40] * 5
    (data / "orders-3.csv").write_text("customer,sku,action,time,amount\nnew,tea-1,buy,2025-03-01 10:00,5\n")
    second = run("own-csv", home, *overrides)
    assert sum(profile.size for profile in second.profiles) <= 201
    landings = [path.read_text() for path in home.glob("artifacts/ingest/*/landed.json")]
    assert sorted('"added_to": ["events"]' in text for text in landings) == [False, True]


@pytest.mark.slow
def test_events_that_are_gone_again_take_nobody_back_unasked(home, tmp_path):
    data = own_csv.write(tmp_path / "data")
    late = data / "orders-3.csv"
    late.write_text("customer,sku,action,time,amount\nnew,tea-1,buy,2025-05-01 10:00,5\n")
    overrides = (f"source.root={data}", "search.candidates.0.grid.k=[5]")
    first = run("own-csv", home, *overrides)
    late.unlink()
    with pytest.raises(DataError, match=r"newest event is of 2025-03-.* what is live looked at 2025-05-01 02:00:00"):
        run("own-csv", home, *overrides)
    assert pointer.read(str(home), first.segmentation).live.model_version == first.model_version
    asked = run("own-csv", home, *overrides, "as_of=2025-03-01T00:00:00Z")
    assert asked.model_version != first.model_version


def test_the_report_of_a_dirty_run_counts_what_was_set_aside_as_it_was_planted(home):
    kinds = list(synthetic.Dirt.model_fields)
    told = run(
        "synthetic", home, "source.users=300", "search.candidates.0.grid.k=[5]", "evaluate.lift=false",
        f"source.dirt={json.dumps(dict.fromkeys(kinds, 0.01))}", "as_of=2025-12-31T23:59:59Z",
        "ingest.repeats=drop", f"validation.allowed_events={json.dumps(EVENT_NAMES)}",
    )  # fmt: skip
    planted = synthetic.dirt(configured("synthetic", "source.users=300", f"source.dirt={{{kinds[0]}: 0.01}}").source)
    each = planted[kinds[0]]
    assert each > 50
    page = Path(told.report).read_text()
    table = page[page.index("What was set aside, and why") :].partition("</table>")[0]
    found = Counter()
    for name, column, reason, rows in re.findall(r'scope="row">(.+?)</th>' + r"<td[^>]*>(.+?)</td>" * 3, table):
        found[name, column, reason] += int(rows)
    late = {found.pop((EVENTS.name, TIMESTAMP, str(reason)), 0) for reason in (Reason.FUTURE, Reason.AFTER_AS_OF)}
    assert sum(late) == 2 * each  # in 400 days and in the year 9999; the first of them comes true one day
    assert found == {
        (EVENTS.name, USER_ID, Reason.EMPTY): 2 * each,
        (EVENTS.name, ITEM_ID, Reason.EMPTY): each,
        (EVENTS.name, TIMESTAMP, Reason.EMPTY): each,
        (EVENTS.name, TIMESTAMP, Reason.TOO_OLD): each,
        (EVENTS.name, VALUE, Reason.NOT_FINITE): 2 * each,
        (EVENTS.name, VALUE, Reason.OVERFLOW): each,
        (EVENTS.name, EVENT, "events.allowed_events"): each,
    }
    assert told.promoted  # where no lift is asked for, no gate asks for it
    assert not [name for name in told.metrics if name.startswith("proof")]
    assert "Nothing is proven" in page


@pytest.mark.slow
@pytest.mark.parametrize("name", ["movielens", "ta-feng", "chitchat", "synthetic"])
def test_shipped_configs_run_to_their_summary(home, name):
    told = run(name, home, *(["texts.max_distinct_texts=5000"] if name == "chitchat" else []))  # all: minutes
    assert told.segmentation == name
    assert len(told.profiles) >= 3
    assert Path(told.report).stat().st_size > 10_000
