"""What is held out where items are shown as well as chosen: choices alone, cut where the features are."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from schemas import tables as t
from schemas.errors import UsageError
from tasks.candidates.heldout import TEST, VALIDATION, can_hit, heldout
from tasks.candidates.proof import measurable, measured
from tasks.validation.choices import check_choices
from tests.helpers.days import a_day
from tests.helpers.landed_tables import written
from tests.helpers.random_tables import AS_OF

GROUPS, USERS, OWN_ITEMS, SHOWN_ITEMS = 4, 200, 60, 100


def events(rows: list[tuple[str, str, str]], buckets: int = 2) -> list[dict[str, pl.DataFrame]]:
    """(user, item, event) rows, each an hour after the one before, in buckets of users."""
    users, items, names = zip(*rows, strict=True)
    times = [AS_OF - timedelta(hours=len(rows) - number) for number in range(len(rows))]
    columns = {t.USER_ID: users, t.ITEM_ID: items, t.EVENT: names, t.TIMESTAMP: times, t.SEQUENCE: range(len(rows))}
    frame, number = pl.DataFrame(columns).sort(t.USER_ID, t.TIMESTAMP), {u: i for i, u in enumerate(sorted({*users}))}
    owner = frame[t.USER_ID].replace_strict(number) % buckets
    return [{t.EVENTS.name: frame.filter(owner == bucket)} for bucket in range(buckets)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory):
    """Users are shown anything and buy what their group buys, of which there is more; and the group of each."""
    rng, rows = np.random.default_rng(0), []
    for user in range(USERS):
        shown = [(f"shown{item}", "view") for item in rng.permutation(SHOWN_ITEMS)[:40]]
        bought = [(f"g{user % GROUPS}-{item}", "purchase") for item in rng.permutation(OWN_ITEMS)[:10]]
        rows += [(f"u{user:03}", *own) for own in rng.permutation(shown + bought).tolist()]
    refs = written(tmp_path_factory.mktemp("shop"), events(rows))
    ids = pl.Series(t.USER_ID, [f"u{user:03}" for user in range(USERS)])
    return refs, ids, np.arange(USERS) % GROUPS


def test_segments_are_told_by_what_was_chosen_not_by_what_was_shown(shop, tmp_path):
    refs, ids, groups = shop
    whole, chosen = (
        a_day(tmp_path, refs, AS_OF, evaluate={"bootstraps": 50, "events": names}) for names in ([], ["purchase"])
    )
    shown, bought = (measured(day, ids, groups, ("test",)) for day in (whole, chosen))
    assert abs(shown.metric.value) < 0.1
    assert bought.metric.interval[0] > 1.0
    assert shown.hits.fingerprint != bought.hits.fingerprint, "a figure is kept with what it is of"


def test_a_history_is_cut_where_all_of_its_events_are(shop):
    """Held out are the purchases among the last fifth of all events, as the features are cut; a plain rewrite."""
    refs, ids, _ = shop
    rows = pl.concat([pl.read_parquet(path) for path in sorted(Path(refs["events"].path).glob("*.parquet"))])
    for low, high in (VALIDATION, TEST):
        held = heldout(refs, ids, (low, high), ("purchase",))
        assert held.train.shape == held.test.shape == (USERS, GROUPS * OWN_ITEMS), "what was only shown is no item"
        train, test = held.train.counts.toarray(), held.test.toarray()
        items = {item: n for n, item in enumerate(sorted(f"g{g}-{i}" for g in range(GROUPS) for i in range(OWN_ITEMS)))}
        for user, own in enumerate(ids):
            line = list(rows.filter(pl.col(t.USER_ID) == own).select(t.ITEM_ID, t.EVENT).iter_rows())
            for matrix, start, end in ((train, 0.0, low), (test, low, high)):
                part = [item for rank, (item, name) in enumerate(line) if start * 50 <= rank < end * 50]
                expected = sorted(items[item] for item in part if item in items)
                assert np.flatnonzero(matrix[user]).tolist() == expected


@pytest.mark.parametrize(
    ("items", "choices", "hit"),
    [
        ("aaaaaaaaab", (), True),  # the last is new to the user, and was had by another
        ("aaaaaaaaac", (), False),  # nobody had it
        ("aaaaaaaaaa", (), False),  # the user had it
        ("aaaaaaaaba", (), True),
        ("abab", (), False),  # of four events none is held out
        ("aaaaaaaaaB", ("buy",), True),
        ("AaaaaaaabA", ("buy",), False),  # what is new was only seen
        ("AaaaaaaBaa", ("buy",), False),  # bought before the end
        ("baaaaaaaaB", ("buy",), True),  # seen before is not chosen before
    ],
)
def test_what_can_be_hit_is_chosen_late_new_to_the_user_and_known(tmp_path, items, choices, hit):
    """A capital is bought, a small letter seen; another user, of the other bucket, saw and bought a and b."""
    rows = [("u", item.lower(), "buy" if item.isupper() else "view") for item in items]
    other = [("v", item, name) for item in "ab" for name in ("view", "buy")]
    refs = written(tmp_path, events([*other, *rows]))
    assert can_hit(refs, TEST, choices) is hit
    assert measurable(a_day(tmp_path, refs, AS_OF, evaluate={"events": choices})) is hit
    assert not measurable(a_day(tmp_path, refs, AS_OF, evaluate={"events": choices, "lift": False}))


def test_a_choice_that_nobody_made_is_refused_with_what_there_is(tmp_path):
    refs = written(tmp_path, events([("u", "a", "view"), ("v", "a", "purchase")]))
    check_choices(refs, ())
    check_choices(refs, ("purchase", "view"))
    with pytest.raises(
        UsageError, match=r"^evaluate\.events: no event is named 'purchse'; there are purchase, view; did"
    ):
        check_choices(refs, ("purchse",))
    with pytest.raises(UsageError, match=r"'like'; there are purchase, view$"):
        check_choices(refs, ("like",))
    with pytest.raises(UsageError, match="the source gives no events"):
        check_choices({}, ("like",))
