"""A meter whose line stands on the terminal and, as a progress artifact, on the run's page in Prefect."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from tasks.serving.progress import Meter


@contextmanager
def metered(key: str, what: str, unit: str = "") -> Iterator[Meter]:
    """Opens a meter under the key of an artifact (lower case letters, digits, dashes)."""
    shown = cast(UUID, create_progress_artifact(0.0, key, what))
    with closing(Meter(what, lambda percent, line: update_progress_artifact(shown, percent, line), unit)) as meter:
        yield meter
