"""Every line that the product's Auditor makes in any test, held against the schema that it publishes.

`watch` is called once, by `conftest`, and puts itself around the Auditor's methods; `wrong` says what was found since
it was asked last. The published schema lets a later smtpguard add names; here a name that is not in it is a mistake.

`validator` is for tests that read lines which another process wrote.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from smtpguard.record import audit_schema
from smtpguard.record.audit import Auditor

METHODS: Final = ("finding", "declined", "session_end")
"""Each makes one line."""

_WRONG: Final[list[str]] = []

_SEEN: Final[set[bytes]] = set()
"""Lines that were right, their longer numbers taken out: a test that writes a thousand times the same is not slow."""


def watch() -> None:
    """Look at each line from now on."""
    for name in METHODS:
        setattr(Auditor, name, _watched(getattr(Auditor, name)))


def wrong() -> list[str]:
    """Return what is wrong with the lines since the last call."""
    found, _WRONG[:] = _WRONG[:], []
    return found


def mistakes(line: bytes) -> list[str]:
    """Return what a line says against the schema; nothing where that cannot be told, for want of jsonschema."""
    check = validator()
    if check is None:
        return []
    return [f"{error.json_path}: {error.message}" for error in check.iter_errors(json.loads(line))]


@cache
def validator() -> Any:
    """Return the validator of the schema with no further names allowed; None without jsonschema."""
    try:
        import jsonschema  # type: ignore[import-untyped]  # ships no types
    except ImportError:
        return None
    schema = audit_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(_closed(schema))


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    for part in schema["$defs"].values():
        if "properties" in part:
            part["additionalProperties"] = False
    return schema


def _watched(method: Callable[..., bytes]) -> Callable[..., bytes]:
    def made(*arguments: Any, **named: Any) -> bytes:
        line = method(*arguments, **named)
        # The schema has no number of two digits in it, so none can make a line wrong.
        likeness = re.sub(rb"[0-9]{2,}", b"00", line)
        if likeness not in _SEEN:
            found = mistakes(line)
            _WRONG.extend(f"{text} in {line[:300]!r}" for text in found)
            if not found:
                _SEEN.add(likeness)
        return line

    return made
