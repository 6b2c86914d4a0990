"""Words for a time -> seconds since the epoch, as a person at a terminal says them.

    7d  12h  30m  90s  2w        that long ago
    now  today  yesterday        the beginning of the day, in the zone
    2026-11-23                   the beginning of that day, in the zone
    2026-11-23T10:00             that time, in the zone; seconds and a blank instead of T are fine
    2026-11-23T10:00:00Z         RFC 3339: that time, wherever one is

A time that the zone has twice, when summer time ends, is the earlier one; one that it never has, when summer time
begins, is what a clock not put forward yet would show.
"""

import difflib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN: Final = re.compile(r"(\d{1,6})\s*([smhdw])")
_LOCALTIME: Final = Path("/etc/localtime")
_WORDS: Final = ("now", "today", "yesterday")


_STEP: Final = 6 * 3600
"""Seconds; no zone changed its offset twice within so short a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From `since` up to `until`, which is not in it any more; seconds since the epoch."""

    since: float
    until: float
    zone: tzinfo
    zone_name: str

    def shown(self, at: float) -> str:
        """Return a time as a person reads it, to the minute, in the period's zone; the zone is not said."""
        return datetime.fromtimestamp(at, self.zone).strftime("%Y-%m-%d %H:%M")

    def __str__(self) -> str:
        """Return the period with its zone."""
        return f"{self.shown(self.since)} to {self.shown(self.until)} ({self.zone_name})"


def shifts(since: float, until: float, zone: tzinfo) -> list[tuple[float, int]]:
    """Return when which offset from UTC holds in a period: the time from which on, and the seconds; at least one."""
    found = [(since, _offset(since, zone))]
    at = since
    while at < until:
        after = min(at + _STEP, until)
        if _offset(after, zone) != found[-1][1]:
            found.append((_change(at, after, zone), _offset(after, zone)))
        at = after
    return found


def _offset(at: float, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def _change(before: float, after: float, zone: tzinfo) -> float:
    """Return the first whole second of a new offset, by halving."""
    low, high, new = int(before), int(after), _offset(after, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(middle, zone) == new else (middle, high)
    return float(high)


def parse(text: str, now: float, zone: tzinfo) -> float:
    """Return the seconds since the epoch that a text means.

    Args:
        text: see the module.
        now: seconds since the epoch.
        zone: where days begin, and what a time without an offset is in.

    Raises:
        ValueError: it means none; the sentence says what would.
    """
    word = text.strip()
    if span := _SPAN.fullmatch(word.lower()):
        return now - int(span[1]) * _UNITS[span[2]]
    if word.lower() in _WORDS:
        return _named(word.lower(), now, zone)
    try:
        time = datetime.fromisoformat(word.upper())
        # Only what begins like a date: fromisoformat takes `20261123` and week dates too, which nobody means.
        if not re.match(r"\d{4}-\d{2}-\d{2}", word):
            raise ValueError
        return (time if time.tzinfo else time.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time; write 7d, 12h, 30m, today, yesterday, 2026-11-23, or 2026-11-23T10:00"
        ) from None


def _named(word: str, now: float, zone: tzinfo) -> float:
    if word == "now":
        return now
    midnight = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    # Days of the calendar, not of 24 hours: the subtraction is one of wall clocks.
    return (midnight - timedelta(days=word == "yesterday")).timestamp()


def zone_called(name: str) -> ZoneInfo:
    """Return the zone of a name of the tz database, in any letter case.

    Raises:
        ValueError: there is none; the sentence says which one may have been meant.
    """
    names = {each.casefold(): each for each in available_timezones()}
    exact = names.get(name.strip().casefold())
    if exact:
        return ZoneInfo(exact)
    raise ValueError(f"there is no time zone {name!r};{_meant(name, names)} names are like Europe/Vienna or UTC")


def _meant(name: str, names: dict[str, str]) -> str:
    wanted = name.strip().casefold().replace(" ", "_")
    # Most people know the city: `Vienna`.
    cities = {each.rpartition("/")[2]: each for each in sorted(names)}
    near = difflib.get_close_matches(wanted, names, n=1) or [
        cities[city] for city in difflib.get_close_matches(wanted, cities, n=1)
    ]
    return f" did you mean {names[near[0]]}?" if near else ""


def local_zone() -> tuple[tzinfo, str]:
    """Return this machine's zone and its name: TZ, else what /etc/localtime links to, else UTC.

    A fixed offset would be wrong over a change to or from summer time, so the zone's own rules are looked for first.
    """
    if name := os.environ.get("TZ", "").removeprefix(":"):
        try:
            zone = zone_called(name)
        except ValueError:
            return _offset_now()
        return zone, zone.key
    _, found, key = str(_LOCALTIME.resolve()).partition("/zoneinfo/")
    if found:
        try:
            zone = zone_called(key.removeprefix("posix/").removeprefix("right/"))
        except ValueError:
            return _offset_now()
        return zone, zone.key
    return _offset_now()


def _offset_now() -> tuple[tzinfo, str]:
    now = datetime.now(UTC).astimezone()
    return now.tzinfo or UTC, now.strftime("UTC%z") if now.utcoffset() else "UTC"
