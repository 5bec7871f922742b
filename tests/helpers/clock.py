"""A clock that stands still."""

from datetime import datetime

import pytest


def stopped(patch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Lets every run that opens from now on find `moment` on the clock."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz=None):
            return moment if tz is None else moment.astimezone(tz)

    patch.setattr("flows.steps.datetime", Stopped)
