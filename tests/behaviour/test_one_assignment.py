"""All 943 users of MovieLens: training, reloaded bundle, batch flow and a real server give the same assignments."""

from pathlib import Path

import polars as pl
import pytest

from flows.config import load
from tests.helpers.requests import raw_users
from tests.helpers.servers import served

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

CONFIG = Path(__file__).parents[2] / "deployments" / "configs" / "movielens.yaml"
QUICK = [
    "search.candidates=[{algorithm: {kind: kmeans}, grid: {k: [20]}}]", "evaluate.refits=3", "evaluate.bootstraps=20",
    "evaluate.random_draws=2", "calibration.folds=2", "behaviour_encoders=[{kind: transformer, epochs: 3}]",
]  # fmt: skip
DECIDED = ("user_id", "segment_id", "second_segment_id", "status")
MEASURED = ("distance", "confidence")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, prefect_harness):
    """A retrain on MovieLens-100K with its real texts and encoder, in a state folder of its own."""
    from flows.retrain import retrain

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FENQUN_HOME", str(home))
        config = load(str(CONFIG), QUICK)
        summary = retrain(config)
        assert summary.promoted, [gate for gate in summary.verdict.gates if not gate.passed]
        yield home, config, summary, published(home)


def published(home: Path) -> pl.DataFrame:
    from tasks.stores.tables import published as read

    return read(str(home), "movielens", "assignments").sort("user_id")


def live(home: Path):
    from tasks.stores import pointer

    return pointer.read(str(home), "movielens").live


def landed(home: Path, config):
    """The tables that training read."""
    from schemas.artifacts import RunContext
    from tasks.disk.artifacts import code_version
    from tasks.ingestion.land import land

    run = RunContext(
        run_id="x",
        as_of=live(home).as_of,
        now=live(home).as_of,
        seed=config.seed,
        code_version=code_version(),
        home=str(home),
    )
    return land(config.source, config.ingest, config.as_of, run, config.execution, config.validation)


def sent(home: Path, config) -> list[dict]:
    """The same users as requests."""
    from tasks.stores.buckets import read_table

    return raw_users({name: read_table(ref) for name, ref in landed(home, config).tables.items()})


def same(told: pl.DataFrame, trained: pl.DataFrame) -> None:
    """Ids equal; distances and confidences within 1e-6."""
    told = told.sort("user_id")
    assert len(told) == len(trained) == 943
    for column in DECIDED:
        assert told[column].to_list() == trained[column].to_list(), column
    for column in MEASURED:
        assert told[column].is_null().equals(trained[column].is_null(), check_names=False), column
        apart = (told[column].cast(pl.Float64) - trained[column]).abs().max()
        print(f"{column}: at most {apart:.2g} apart")
        assert apart <= 1e-6, column
    ours, theirs = (
        frame.select("memberships").explode("memberships").unnest("memberships") for frame in (told, trained)
    )
    assert ours["segment_id"].equals(theirs["segment_id"])
    assert (ours["weight"] - theirs["weight"]).abs().max() <= 1e-6


def test_training_registers_what_is_published(trained):
    home, _, summary, told = trained
    assert set(told["model_version"]) == {summary.model_version} == {live(home).model_version}
    assert told["status"].value_counts().sort("count")["status"][-1] == "assigned"
    assert told["segment_id"].n_unique() >= 20


def test_the_labels_of_the_fit_are_the_segments_assigned(trained):
    """Each label of the fitted clusterer is one segment, of the same users to the last."""
    from safetensors.numpy import load_file

    home, _, _, told = trained
    (candidate,) = (home / "artifacts" / "candidate").glob("*/state.safetensors")
    vectors = next((home / "artifacts" / "user_vectors").iterdir())
    users = pl.concat([pl.read_parquet(file, columns=["user_id"]) for file in sorted(vectors.glob("bucket-*.parquet"))])
    both = users.with_columns(label=load_file(candidate)["labels"]).join(told, on="user_id")
    assert len(both) == 943 - both["segment_id"].null_count() == 943
    pairs = both.select("label", "segment_id").unique()
    assert len(pairs) == pairs["label"].n_unique() == pairs["segment_id"].n_unique() == 20


def test_the_reloaded_bundle_agrees(trained):
    from tasks.serving import online
    from tasks.stores.buckets import read_bucket

    home, config, _, told = trained
    now = live(home)
    model = online.load(home / now.bundle, now.sha256, now.model_version)
    tables = landed(home, config).tables
    parts = [
        model.segmenter.assign(read_bucket(tables, i), now.as_of, now.model_version)
        for i in range(tables["events"].buckets)
    ]
    same(pl.concat(parts), told)
    assert pl.concat(parts).sort("user_id")["reasons"].to_list() == told["reasons"].to_list()


def test_every_user_alone_agrees(trained):
    from tasks.serving import online

    home, config, _, told = trained
    now = live(home)
    model = online.load(home / now.bundle, now.sha256, now.model_version)
    users = sent(home, config)
    same(pl.concat([online.answer(model, [user], now.as_of.isoformat()) for user in users]), told)


def test_a_server_agrees(trained):
    home, config, _, told = trained
    users = sent(home, config)
    model = next((home / "mlflow" / "artifacts").glob("*/*/artifacts/model"))
    as_of = live(home).as_of.isoformat()
    with served(model, home, home / "server.log") as client:
        hundreds = [row for i in range(0, 943, 100) for row in client.rows(users[i : i + 100], as_of)]
        alone = [row for user in users[::9] for row in client.rows([user], as_of)]
        by_id = client.rows([{"user_id": user["user_id"]} for user in users], as_of)
    same(pl.DataFrame(hundreds, infer_schema_length=None), told)
    same(pl.DataFrame(by_id, infer_schema_length=None), told)
    assert {row["model_version"] for row in by_id} == {live(home).model_version}
    by_user = {row["user_id"]: row for row in hundreds}
    for row in alone:
        together = by_user[row["user_id"]]
        assert {k: row[k] for k in DECIDED} == {k: together[k] for k in DECIDED}
        assert row["distance"] == pytest.approx(together["distance"], abs=1e-6)


@pytest.mark.parametrize("only_touched", [False, True])
def test_the_batch_flow_agrees(trained, only_touched):
    from flows.assign import assign

    home, config, summary, told = trained
    done = assign(config, only_touched)
    assert (done.users, done.moved, done.model_version) == (943, 0, summary.model_version)
    same(published(home), told)
    assert published(home)["reasons"].to_list() == told["reasons"].to_list()


def best_of(row: dict) -> list[str]:
    return [one["item_id"] for one in row["recommendations"]]


@pytest.mark.parametrize("kind", ["segment_popularity", "hybrid"])
def test_a_server_recommends_what_the_batch_does(trained, kind):
    """For all users: by what they did, by id, and alone; the lists are equal to the last place."""
    from flows.recommend import recommend
    from tasks.stores import tables

    home, _, _, _ = trained
    config = load(str(CONFIG), [*QUICK, "recommend.per_user=true", f"recommend.recommender.kind={kind}"])
    assert recommend(config).users == 943
    own = tables.published(str(home), "movielens", "user_recommendations").sort("user_id", "rank")
    batch = dict(own.group_by("user_id").agg("item_id").iter_rows())
    users, as_of = sent(home, config), live(home).as_of.isoformat()
    model = next((home / "mlflow" / "artifacts").glob("*/*/artifacts/model"))
    with served(model, home, home / f"{kind}.log") as client:
        raw = [row for i in range(0, 943, 100) for row in client.rows(users[i : i + 100], as_of, recommend=20)]
        by_id = client.rows([{"user_id": user["user_id"]} for user in users], as_of, recommend=20)
        alone = [row for user in users[::50] for row in client.rows([user], as_of, recommend=20)]
        new = client.rows([{"user_id": "nobody", "events": []}], as_of, recommend=20)[0]
    for rows in (raw, by_id):
        assert {row["user_id"]: best_of(row) for row in rows} == batch
    assert all(best_of(row) == batch[row["user_id"]] for row in alone)
    assert len(best_of(new)) == 20
