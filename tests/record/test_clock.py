"""Times as text, and what is derived from one of them agrees."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from smtpguard.record.clock import HOUR, day_and_hour, elapsed, hour_of, microseconds, milliseconds
from tests.record.samples import NOW


def test_forms() -> None:
    """The log has microseconds with an offset, the audit milliseconds with a Z."""
    assert microseconds(NOW) == "2026-11-23T18:20:01.482113+00:00"
    assert milliseconds(NOW) == "2026-11-23T18:20:01.482Z"
    assert day_and_hour(hour_of(NOW)) == ("2026-11-23", "18")


@given(st.floats(min_value=0, max_value=4e9))
def test_line_event_and_file_agree(at: float) -> None:
    """The datetime module reads both back as the same time, and the file is that of its hour."""
    whole = datetime.fromisoformat(microseconds(at))
    assert abs(whole.timestamp() - at) < 1e-6
    assert datetime.fromisoformat(milliseconds(at)) == whole.replace(microsecond=whole.microsecond // 1000 * 1000)
    assert day_and_hour(hour_of(at)) == (f"{whole:%Y-%m-%d}", f"{whole:%H}")


def test_last_microsecond_of_an_hour() -> None:
    """A time that rounds into the next hour is in the next hour's file too."""
    at = datetime(2026, 11, 23, 19, tzinfo=UTC).timestamp() - 1e-7
    assert microseconds(at).startswith("2026-11-23T19:00:00")
    assert hour_of(at) == hour_of(at + 1) == int(at + 1) // HOUR


def test_elapsed_is_never_negative() -> None:
    """A clock that was set back makes a session of no length."""
    assert elapsed(10.0, 11.23456) == 1.235
    assert elapsed(10.0, 9.0) == 0.0
