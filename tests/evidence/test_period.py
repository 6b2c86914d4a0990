"""Words for times, zones and their changes."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from smtpguard.evidence import period
from smtpguard.evidence.period import Period, local_zone, parse, shifts, zone_called

VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 11, 24, 3, 20, tzinfo=UTC).timestamp()


def shown(text: str, now: float = NOW) -> str:
    """Return what a text means, in UTC."""
    return datetime.fromtimestamp(parse(text, now, VIENNA), UTC).isoformat()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7d", "2026-11-17T03:20:00+00:00"),
        ("12h", "2026-11-23T15:20:00+00:00"),
        ("30 m", "2026-11-24T02:50:00+00:00"),
        ("90S", "2026-11-24T03:18:30+00:00"),
        ("2w", "2026-11-10T03:20:00+00:00"),
        ("now", "2026-11-24T03:20:00+00:00"),
        ("today", "2026-11-23T23:00:00+00:00"),
        (" Yesterday ", "2026-11-22T23:00:00+00:00"),
        ("2026-11-23", "2026-11-22T23:00:00+00:00"),
        ("2026-11-23T10:00", "2026-11-23T09:00:00+00:00"),
        ("2026-11-23 10:00:30", "2026-11-23T09:00:30+00:00"),
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00+00:00"),
        ("2026-11-23t10:00:00.5-05:00", "2026-11-23T15:00:00.500000+00:00"),
        # Summer time in Vienna ends on 2026-10-25 at 01:00 UTC: 02:30 is there twice, and the day has 25 hours.
        ("2026-10-25", "2026-10-24T22:00:00+00:00"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00+00:00"),
        ("2026-10-26", "2026-10-25T23:00:00+00:00"),
        # It begins on 2026-03-29 at 01:00 UTC: 02:30 is never, and is what 01:30 UTC would have been.
        ("2026-03-29T02:30", "2026-03-29T01:30:00+00:00"),
    ],
)
def test_times(text: str, meant: str) -> None:
    """Every form means what a person means by it."""
    assert shown(text) == meant


def test_yesterday_is_a_day_of_the_calendar() -> None:
    """On the day after a day of 25 hours, yesterday began 25 hours before today."""
    now = datetime(2026, 10, 26, 12, tzinfo=UTC).timestamp()
    assert shown("yesterday", now) == "2026-10-24T22:00:00+00:00"
    assert parse("today", now, VIENNA) - parse("yesterday", now, VIENNA) == 25 * 3600


@pytest.mark.parametrize(
    "text", ["", "7", "d7", "7y", "-7d", "20261123", "2026-W48", "2026-11-31", "soon", "24:00", "9999999d"]
)
def test_no_times(text: str) -> None:
    """What means no time is refused with the forms that do."""
    with pytest.raises(ValueError, match=r"is no time; write 7d, 12h") as raised:
        parse(text, NOW, UTC)
    assert repr(text) in str(raised.value)


def test_zones() -> None:
    """A zone is found by its name in any letter case; of a wrong one the near one is told, by its city too."""
    assert zone_called("europe/vienna").key == "Europe/Vienna"
    with pytest.raises(ValueError, match=r"did you mean Europe/Vienna\?"):
        zone_called("Vienna")
    with pytest.raises(ValueError, match=r"did you mean America/New_York\?"):
        zone_called("new york")
    with pytest.raises(ValueError, match=r"'xyzzy'; names are like"):
        zone_called("xyzzy")
    with pytest.raises(ValueError, match="no time zone"):
        zone_called("../../etc/passwd")


def test_the_local_zone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TZ speaks first, then the link of /etc/localtime; what neither names is the offset of now."""
    monkeypatch.setenv("TZ", ":Asia/Kathmandu")
    assert local_zone() == (ZoneInfo("Asia/Kathmandu"), "Asia/Kathmandu")
    monkeypatch.setenv("TZ", "NONSENSE-3")
    assert local_zone()[1].startswith("UTC")
    monkeypatch.delenv("TZ")
    target = tmp_path / "zoneinfo" / "Europe" / "Vienna"
    target.parent.mkdir(parents=True)
    target.touch()
    link = tmp_path / "localtime"
    link.symlink_to(target)
    monkeypatch.setattr(period, "_LOCALTIME", link)
    assert local_zone() == (VIENNA, "Europe/Vienna")
    monkeypatch.setattr(period, "_LOCALTIME", tmp_path / "none")
    zone, _ = local_zone()
    assert datetime.now(zone).utcoffset() == datetime.now().astimezone().utcoffset()


def test_shifts() -> None:
    """The offsets of a period, each with the second from which on it holds."""
    since, until = (datetime(2026, *day, tzinfo=UTC).timestamp() for day in ((3, 1), (11, 30)))
    spring, autumn = (datetime(2026, *day, 1, tzinfo=UTC).timestamp() for day in ((3, 29), (10, 25)))
    assert shifts(since, until, VIENNA) == [(since, 3600), (spring, 7200), (autumn, 3600)]
    assert shifts(since, until, UTC) == [(since, 0)]
    assert shifts(since, since + 1, timezone(timedelta(hours=-3, minutes=-30))) == [(since, -12600)]
    kathmandu = ZoneInfo("Asia/Kathmandu")
    assert shifts(since, until, kathmandu) == [(since, 20700)]


def test_a_period_in_words() -> None:
    """A period says its zone, since no time means anything without."""
    said = Period(since=NOW - 3600, until=NOW, zone=VIENNA, zone_name="Europe/Vienna")
    assert str(said) == "2026-11-24 03:20 to 2026-11-24 04:20 (Europe/Vienna)"
