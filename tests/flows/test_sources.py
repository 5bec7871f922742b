"""Every source runs through retrain to its summary: a user's own CSV files, dirty data, the real data sets."""

import re
from pathlib import Path

import pytest

from flows.config import load
from tests.flows import shop

pytestmark = pytest.mark.usefixtures("prefect_harness")

CONFIGS = Path(__file__).resolve().parents[2] / "deployments" / "configs"
QUICK = ("evaluate.refits=2", "evaluate.bootstraps=20", "evaluate.random_draws=2", "calibration.folds=2",
         "ledger.log_figures=false")  # fmt: skip


def run(name: str, home: Path, *overrides: str):
    from flows.retrain import retrain

    return retrain(load(CONFIGS / f"{name}.yaml", [*QUICK, *overrides]))


def test_own_csv_files_need_under_twenty_lines():
    assert len((CONFIGS / "own-csv.yaml").read_text().splitlines()) < 20


def test_own_csv_files_become_segments_and_what_is_appended_is_added(home, tmp_path):
    data = shop.write(tmp_path / "data")
    overrides = (f"source.root={data}", "search.candidates.0.grid.k=[5]")
    first = run("own-csv", home, *overrides)
    assert first.promoted, [gate for gate in first.gates if not gate.passed]
    assert sorted(profile.size for profile in first.profiles) == [40] * 5
    (data / "orders-3.csv").write_text("customer,sku,action,time,amount\nnew,tea-1,buy,2025-03-01 10:00,5\n")
    second = run("own-csv", home, *overrides)
    assert sum(profile.size for profile in second.profiles) <= 201
    landings = [path.read_text() for path in home.glob("artifacts/ingest/*/landed.json")]
    assert sorted('"added_to": ["events"]' in text for text in landings) == [False, True]


def test_the_report_of_a_dirty_run_tells_what_was_set_aside_and_why(home):
    dirt = "{duplicates: 0.01, null_users: 0.02, nan_values: 0.01, year_9999: 0.01, unknown_events: 0.02}"
    names = "[view, cart, buy, like, share, search]"
    told = run(
        "synthetic", home, "source.users=300", "search.candidates.0.grid.k=[5]", f"source.dirt={dirt}",
        "evaluate.lift=false", "ingest.repeats=drop", f"validation.allowed_events={names}",
    )  # fmt: skip
    page = re.sub(r"<[^>]+>|\s+", " ", Path(told.report).read_text())
    for reason in ("empty where a value is required", "NaN or infinite", "in the future", "events.allowed_events"):
        assert reason in page
    assert told.promoted  # where no lift is asked for, no gate asks for it
    assert "proof" not in told.metrics
    assert "Nothing is proven" in page


@pytest.mark.slow
@pytest.mark.parametrize("name", ["movielens", "ta-feng", "chitchat", "synthetic"])
def test_shipped_configs_run_to_their_summary(home, name):
    told = run(name, home)
    assert told.segmentation == name
    assert len(told.profiles) >= 3
    assert Path(told.report).stat().st_size > 10_000
