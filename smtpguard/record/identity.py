"""Names that sort: one ULID per audit event, which says where in which run of the program it was born.

A ULID is 26 characters of Crockford's base 32: ten of milliseconds, sixteen that must not repeat. Ours are no noise:

    01JDFZ8Q0V 7M2K5N 0000000042
    time       boot   sequence: ten decimal digits, which are base 32 digits too

`boot` is drawn once per run (30 random bits); `sequence` counts that run's events from 1. So ids sort by time, never
meet another machine's, and a missing number is a hole in the evidence: `right(event.id, 10)` is the number."""

import secrets
from typing import Final

from smtpguard.record.clock import whole_microseconds

_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(high + low for high in _DIGITS for low in _DIGITS)
_BOOT_BITS: Final = 30
_TIME_BITS: Final = 50
"""Ten characters; the ULID's 48 bits of milliseconds with two zeros before them."""


def _base32(value: int, bits: int) -> str:
    """Spell a number, two characters for each ten bits."""
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(bits - 10, -1, -10)])


class Numbering:
    """The counter of one run."""

    __slots__ = ("_millisecond", "_stamp", "boot", "sequence")

    def __init__(self, boot: str = "") -> None:
        """Draw a boot id, or take one of six characters."""
        self.boot = boot or _base32(secrets.randbits(_BOOT_BITS), _BOOT_BITS)
        self.sequence = 0
        self._millisecond = -1
        self._stamp = ""

    def next_id(self, at: float) -> str:
        """Count one event born at `at` (seconds since the epoch) and return its ULID."""
        self.sequence += 1
        millisecond = whole_microseconds(at) // 1000
        if millisecond != self._millisecond:
            self._millisecond, self._stamp = millisecond, _base32(millisecond, _TIME_BITS)
        return f"{self._stamp}{self.boot}{self.sequence:010d}"
