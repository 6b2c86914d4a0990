"""What is wrong with a configuration: `file:line: key = value: what is allowed; did you mean …`.

Values and keys are shown with control octets and everything beyond ASCII escaped, and cut: a configuration may be any
file at all. How pydantic's findings become these words is `wording`'s.
"""

import re
from dataclasses import dataclass
from typing import Final

SHOWN: Final = 80
"""Characters of a value, or of one part of a key, in a message."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


def shown_value(value: object) -> str:
    """Return a value as a message shows it."""
    if isinstance(value, dict):
        return "{…}"
    text = str(value).lower() if isinstance(value, bool) else ascii(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def shown_key(path: tuple[str | int, ...]) -> str:
    """Return a key path as a message shows it: `policy.rules.SG104`, `listen[1]`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_shown_part(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def _shown_part(part: str) -> str:
    return part if _BARE_KEY.fullmatch(part) else shown_value(part)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One line for the person who wrote it."""

    source: str
    """The file's name, or the option."""
    allowed: str
    """What is allowed, or what is wrong with the source as a whole."""
    line: int = 0
    """Line of the file, from 1; 0: no line."""
    key: str = ""
    shown: str = ""
    """The value as it is shown; empty: there is none."""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        setting = " = ".join(part for part in (self.key, self.shown) if part)
        return ": ".join(part for part in (place, setting, self.allowed) if part)


class ConfigError(Exception):
    """The configuration cannot be used; `mistakes` holds all that is wrong with it."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes
