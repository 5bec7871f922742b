"""The champion on the tables of another day."""

from tasks.models.today import revisit
from tests.helpers.days import a_day
from tests.helpers.versions import AS_OF, NAME, make_live, rolled_back, tables_of


def test_a_retrain_after_a_rollback_gives_numbers_that_nobody_had(shop):
    home, _, bucket, _ = shop
    make_live(shop, 0)
    make_live(shop, 1)
    rolled_back(home)
    standing = revisit(a_day(home, tables_of(home, bucket), AS_OF, name=NAME), None)
    assert (standing.version, standing.next_number) == ("1", 7)
