"""What algorithms learn from beside the vectors: aligned with the users asked for, and named where it is missing."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from schemas.errors import DataError, UsageError
from schemas.tables import EDGES, USER_ID
from tasks.candidates.lessons import lesson, source, truth_groups, truth_labels
from tasks.clusterers import classifier, communities, kmeans
from tests.helpers.landed_tables import written

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
USERS = pl.Series(["c", "a", "b"])


@pytest.fixture
def tables(tmp_path):
    users = pl.DataFrame({"user_id": ["a", "b", "d"], "tier": ["gold", None, "tin"]})
    later = datetime(2026, 2, 1, tzinfo=UTC)
    ties = [
        ("a", "b", None, 2.0),
        ("b", "a", AS_OF, 1.0),
        ("a", "a", None, 9.0),
        ("c", "a", later, 5.0),
        ("a", "x", None, 1.0),
    ]
    edges = pl.DataFrame(ties, schema=["src", "dst", "timestamp", "weight"], orient="row", infer_schema_length=None)
    edges = edges.cast({name: kind for name, kind in EDGES.polars_schema().items() if name in edges.columns})
    return written(tmp_path, [{"users": users, "edges": edges}])


def test_labels_stand_beside_their_users(tables):
    found = lesson(classifier.Config(column="tier"), USERS, tables, AS_OF)
    assert found.y.tolist() == [-1, 0, -1]
    assert found.of(np.array([1, 1]))["y"].tolist() == [0, 0]


def test_ties_are_those_known_between_the_users(tables):
    found = lesson(communities.Config(graph="edges"), USERS, tables, AS_OF)
    assert found.graph.toarray().tolist() == [[0, 0, 0], [0, 0, 2], [0, 1, 0]]
    assert found.of(np.array([2, 1]))["graph"].toarray().tolist() == [[0, 1], [2, 0]]


def test_other_algorithms_learn_from_vectors_alone(tables):
    assert lesson(kmeans.Config(), USERS, tables, AS_OF).of() == {"y": None, "graph": None}
    assert source(communities.Config(), tables) is None


def test_what_is_missing_is_named(tables):
    with pytest.raises(DataError, match="no column 'rank'"):
        source(classifier.Config(column="rank"), tables)
    with pytest.raises(DataError, match="a table of edges"):
        source(communities.Config(graph="edges"), {})


@pytest.fixture
def groups(tmp_path):
    parts = [pl.DataFrame({USER_ID: ids, "age": ages, "tags": [["x"]] * 2}) for ids, ages in
             ((["b", "a"], [30, None]), (["c", "d"], [20, 30]))]  # fmt: skip
    return written(tmp_path, [{"users": part} for part in parts])


def test_groups_stand_in_the_order_of_the_users(groups):
    users = pl.Series(["d", "nobody", "c", "a", "b"])
    assert truth_groups(groups, users, "age").to_list() == ["30", None, "20", None, "30"]
    assert truth_labels(groups, users, "age").tolist() == [1, -1, 0, -1, 1]
    assert truth_groups(groups, users, "height").null_count() == 5


def test_lists_make_no_groups(groups):
    with pytest.raises(UsageError, match=r"users\.tags holds lists"):
        truth_groups(groups, pl.Series(["a"]), "tags")
