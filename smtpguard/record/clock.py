"""Seconds since the epoch -> RFC 3339 in UTC, for a great many events of the same second.

The text of a second is made once and kept; the fraction is put behind it. All that is made of a time is made of its
whole microseconds, so that a line, its event, its id and its file agree on the second and the hour.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

HOUR: Final = 3600
"""Seconds."""

_SECOND: Final = 1_000_000
"""Microseconds."""


@lru_cache(maxsize=256)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def whole_microseconds(at: float) -> int:
    """Return the microseconds since the epoch; a float of today is good for a quarter of one."""
    return round(at * _SECOND)


def microseconds(at: float) -> str:
    """Return rsyslog's high-precision form: `2026-11-23T18:20:01.482113+00:00`."""
    second, fraction = divmod(whole_microseconds(at), _SECOND)
    return f"{_second(second)}.{fraction:06d}+00:00"


def milliseconds(at: float) -> str:
    """Return the form of the audit: `2026-11-23T18:20:01.482Z`."""
    second, fraction = divmod(whole_microseconds(at), _SECOND)
    return f"{_second(second)}.{fraction // 1000:03d}Z"


def elapsed(since: float, at: float) -> float:
    """Return the seconds between, to the millisecond; a clock that was set back gives 0."""
    return max(0.0, round(at - since, 3))


def hour_of(at: float) -> int:
    """Return the number of the hour since the epoch; its file is `segments`' business."""
    return whole_microseconds(at) // (HOUR * _SECOND)


def day_and_hour(hour: int) -> tuple[str, str]:
    """Return `2026-11-23` and `18` for the number of an hour."""
    day, _, time = _second(hour * HOUR).partition("T")
    return day, time[:2]
