"""`${NAME}` references to environment variables: resolved at the last moment, never shown."""

import os
import re
from collections.abc import Mapping

from schemas.errors import UsageError

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PASSWORD = re.compile(r"(://[^\s/@:]*):[^\s/@]*@")


def resolve(text: str) -> str:
    """The text with each reference replaced.

    Raises:
        UsageError: a variable is not set; only its name is told.
    """

    def value(match: "re.Match[str]") -> str:
        if (found := os.environ.get(match[1])) is None:
            raise UsageError(f"the environment variable {match[1]} is not set, but the config refers to it")
        return found

    return _REFERENCE.sub(value, text)


def resolve_all(options: Mapping[str, str]) -> dict[str, str]:
    """Each value of a mapping, resolved."""
    return {name: resolve(text) for name, text in options.items()}


def redact(message: str, *texts: str) -> str:
    """One line of a message, without the values that the texts' references stand for and without passwords."""
    for text in texts:
        for name in _REFERENCE.findall(text):
            if value := os.environ.get(name):
                message = message.replace(value, f"${{{name}}}")
    return _PASSWORD.sub(r"\1:***@", " ".join(message.split()))[:300]
