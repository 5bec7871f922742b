"""A segment keeps its colour; a new one gets one that is free."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.segments.colours import PALETTE, colours

IDS = st.lists(st.integers(1, 60).map(lambda n: f"s{n:03d}"), unique=True, max_size=50)


@given(IDS, IDS)
def test_who_stays_keeps_its_colour_and_no_colour_is_given_twice_while_one_is_free(before, after):
    known = colours(before, {})
    found = colours(after, known)
    assert found.keys() == set(after)
    assert {name: found[name] for name in after if name in known} == {n: known[n] for n in after if n in known}
    new = [found[name] for name in after if name not in known]
    kept = {found[name] for name in after if name in known}
    free = len(set(PALETTE) - kept)
    assert len({*new[:free]} - kept) == len(new[:free])


def test_a_first_model_takes_the_palette_in_order():
    assert list(colours(["s001", "s002"], {}).values()) == [*PALETTE[:2]]
