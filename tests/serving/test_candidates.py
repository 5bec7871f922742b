"""Groups of users, by a column of theirs."""

import polars as pl
import pytest

from schemas.errors import UsageError
from schemas.tables import USER_ID, USERS
from tasks.serving.candidates import truth_groups, truth_labels
from tests.serving.bucketed import written


@pytest.fixture
def tables(tmp_path):
    parts = [pl.DataFrame({USER_ID: ids, "age": ages, "tags": [["x"]] * 2}) for ids, ages in
             ((["b", "a"], [30, None]), (["c", "d"], [20, 30]))]  # fmt: skip
    return written(tmp_path, [{USERS.name: part} for part in parts])


def test_groups_stand_in_the_order_of_the_users(tables):
    users = pl.Series(["d", "nobody", "c", "a", "b"])
    assert truth_groups(tables, users, "age").to_list() == ["30", None, "20", None, "30"]
    assert truth_labels(tables, users, "age").tolist() == [1, -1, 0, -1, 1]
    assert truth_groups(tables, users, "height").null_count() == 5


def test_lists_make_no_groups(tables):
    with pytest.raises(UsageError, match=r"users\.tags holds lists"):
        truth_groups(tables, pl.Series(["a"]), "tags")
