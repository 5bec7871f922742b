"""One bundle for all tests of models."""

import pytest

from tests.helpers import fitted_bundles


@pytest.fixture(scope="session")
def fitted():
    """The bundle, its users' tables and their training vectors."""
    return fitted_bundles.fitted()
