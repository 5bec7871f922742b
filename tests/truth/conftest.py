"""Runs of these tests draw no Data Docs: a fifth of a small run's time, and nothing that a number here is of."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the seeds beyond `--seeds`."""
    beyond = [one for one in items if isinstance(one, pytest.Function) and _seed(one) >= config.getoption("--seeds")]
    config.hook.pytest_deselected(items=beyond)
    items[:] = [one for one in items if one not in beyond]


def _seed(item: pytest.Function) -> int:
    ours = "/tests/truth/" in item.path.as_posix() and hasattr(item, "callspec")
    return item.callspec.params.get("seed", 0) if ours else 0


@pytest.fixture(autouse=True)
def without_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.validation.run.docs", lambda context, folder, results: folder / "index.html")
