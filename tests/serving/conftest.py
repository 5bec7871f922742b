"""Two registered versions, for all tests of what is live: making them takes seconds."""

import shutil

import pytest

from tests.serving import models


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    """A state folder with two registered versions, the users' tables, and the ledger."""
    home = tmp_path_factory.mktemp("home")
    bundle, bucket = models.fitted()
    first, ledger = models.registered(home, bundle, bucket)
    second, _ = models.registered(home, models.shifted(models.turned(bundle)), bucket)
    return home, (first, second), bucket, ledger


@pytest.fixture
def shop(registry):
    """The same with nothing live."""
    home, versions, bucket, ledger = registry
    shutil.rmtree(home / "segmentations", ignore_errors=True)
    return home, versions, bucket, ledger
