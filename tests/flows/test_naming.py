"""A flow run is called as a person called it, else after what it works on."""

import pytest

from flows.naming import called, drawn


def test_the_names_that_prefect_draws_are_known():
    from prefect.utilities.names import generate_slug

    assert all(drawn(generate_slug(2)) for _ in range(500))


@pytest.mark.parametrize("name", ["by-hand", "after the outage", "black-friday", "retrain small", "双十一", "x"])
def test_a_persons_name_is_not_one_of_them(name: str):
    assert not drawn(name)


@pytest.mark.parametrize(("given", "shown"), [("by-hand", "by-hand"), (None, "greet ana"), ("greet ana", "greet ana")])
def test_a_persons_name_is_kept(prefect_harness, given: str | None, shown: str):
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.flow_engine import run_flow

    @flow(flow_run_name=called("greet {who}"))
    def greet(who: str) -> None:
        return None

    with get_client(sync_client=True) as client:
        run = client.create_flow_run(greet, name=given, parameters={"who": "ana"})
        run_flow(greet, flow_run=run, parameters={"who": "ana"})
        assert client.read_flow_run(run.id).name == shown


def test_every_flow_keeps_it():
    from importlib import import_module

    from flows.found import flows

    for one in flows():
        name = getattr(import_module(f"flows.{one.name}"), one.name).flow_run_name
        assert not isinstance(name, str), f"{one.name}: write flow_run_name=called(...), or a person's name is lost"
