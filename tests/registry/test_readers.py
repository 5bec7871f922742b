"""What readers are told of the published tables."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tasks.registry.readers import chained
from tests.helpers.versions import AS_OF


@given(st.data())
def test_steps_of_one_moment_are_put_in_the_order_they_were_made(data):
    places = data.draw(st.lists(st.sampled_from(["s001", "s002", "s003", "s004", None]), unique=True, min_size=2))
    where = [None, *(place for place in places if place)]
    steps = [(AS_OF, a, b, str(i)) for i, (a, b) in enumerate(itertools.pairwise(where))]
    assert chained(data.draw(st.permutations(steps))) == tuple(steps)
