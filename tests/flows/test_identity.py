"""Segments keep their identity through the whole flow; what is planted between two dates is told."""

import pytest

from flows.config import parse
from tests.helpers.configs import planted

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]


@pytest.fixture(scope="module")
def lineages(tmp_path_factory: pytest.TempPathFactory, prefect_harness):
    """Per planted change: champion's segments, the published assignments before and after, and the second summary."""
    from flows.retrain import retrain
    from tasks.stores import pointer, tables

    def run(name: str, **change):
        with pytest.MonkeyPatch.context() as patch:
            home = tmp_path_factory.mktemp(name)
            patch.setenv("FENQUN_HOME", str(home))
            first = retrain(parse(planted(0), name))
            before = tables.read(str(home), "planted", "assignments")
            second = retrain(parse(planted(1, **change), name))
            live = pointer.read(str(home), "planted").live
            after = tables.read(str(home), "planted", "assignments", live.tables["assignments"])
            moves = tables.read(str(home), "planted", "transitions")
            return first, before, second, after, moves

    return {
        "nothing": run("nothing"),
        "appear": run("appear", new_users=0.25, changes=[{"signal": "interest", "kind": "appear"}]),
    }


def moved_share(before, after) -> float:
    both = before.join(after, on="user_id", suffix="_after")
    return (both["segment_id"] != both["segment_id_after"]).fill_null(True).mean()


def test_a_retrain_with_new_users_and_another_seed_moves_next_to_nobody(lineages):
    first, before, second, after, _ = lineages["nothing"]
    assert second.promoted, [gate for gate in second.verdict.gates if not gate.passed]
    assert {p.segment_id for p in second.profiles} == {p.segment_id for p in first.profiles}
    assert {p.segment_id: p.name for p in second.profiles} == {p.segment_id: p.name for p in first.profiles}
    assert moved_share(before, after) <= 0.02
    assert len(after) > len(before)


def test_transitions_tell_who_entered(lineages):
    _, before, second, after, moves = lineages["nothing"]
    newcomers = set(after["user_id"]) - set(before["user_id"])
    rows = moves.filter(moves["model_version"] == second.model_version)
    entered = rows.filter(rows["from_segment_id"].is_null() & rows["to_segment_id"].is_not_null())
    assigned = set(after.filter(after["segment_id"].is_not_null())["user_id"])
    assert newcomers & assigned <= set(entered["user_id"])


def test_a_planted_new_segment_is_born_and_the_old_ones_stay(lineages):
    first, before, second, after, _ = lineages["appear"]
    old, new = {p.segment_id for p in first.profiles}, {p.segment_id for p in second.profiles}
    assert second.promoted, [gate for gate in second.verdict.gates if not gate.passed]
    assert old < new
    assert len(new - old) == 1
    newcomers = after.filter(~after["user_id"].is_in(before["user_id"].to_list()))
    assert (newcomers["segment_id"] == next(iter(new - old))).mean() > 0.9
    assert moved_share(before, after) <= 0.02
