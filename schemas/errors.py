"""The two ways a run can go wrong that a user can mend."""


class FenqunError(Exception):
    """Something failed that the user can mend. The message is one line: what, where (file, column) and the fix."""

    exit_code = 1


class UsageError(FenqunError):
    """The command or its config is wrong: nothing was run."""

    exit_code = 2


class DataError(FenqunError):
    """The data cannot be used as it is: which file, which column, what to do."""
