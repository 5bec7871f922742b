"""`${NAME}` references to environment variables: how a secret is written; resolved at the last moment, never shown."""

import os
import re
from collections.abc import Mapping

from schemas.errors import UsageError

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PASSWORD = re.compile(r"(://[^\s/@:]*):([^\s@]*)@")
_WORDS = r"pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|api_?key|access_?key|account_?key|signature|sig|sas"
_ASSIGNED = re.compile(rf"(?i)\b((?:[a-z0-9_-]*[_-])?(?:{_WORDS}))=([^\s&;,'\")]+)")
_OPTION = re.compile(rf"(?i)(?:^|[_-])(?:key|connection_?string|auth|{_WORDS})$")
_HARMLESS = {"true", "false", "none", "anon", "cloud", "google_default", "cache", "browser", ""}
"""Values of such options that are no secrets; a path to a file of credentials is none either."""


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
    plain = _PASSWORD.sub(r"\1:***@", " ".join(message.split()))
    return _ASSIGNED.sub(r"\1=***", plain)[:300]


def no_secret(text: str) -> str:
    """An address, if no password or token stands in it in clear.

    Raises:
        ValueError: one does; it is not told. In a config, pydantic makes it a message about the key.
    """
    bare = _REFERENCE.sub("", text)
    if any(match[2] for pattern in (_PASSWORD, _ASSIGNED) for match in pattern.finditer(bare)):
        raise ValueError("a secret stands in clear; write ${NAME}, the name of an environment variable that holds it")
    return text


def no_secrets(options: Mapping[str, str]) -> Mapping[str, str]:
    """Options of a file system, if none of those that are secrets stands in clear; see `no_secret`."""
    for name, value in options.items():
        left = _REFERENCE.sub("", value)
        if _OPTION.search(name) and left.lower() not in _HARMLESS and not left.endswith((".json", ".pem")):
            raise ValueError(f"{name} stands in clear; write ${{NAME}}, the name of an environment variable")
        no_secret(value)
    return options
