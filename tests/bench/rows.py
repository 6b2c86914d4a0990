"""What is measured: the loads, the rows of the table that are taken from them, and the marks of each row."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, assert_never

from tests.bench.programs import Heard, Load

MIB: Final = 1 << 20

SMALL: Final = 13
"""Lines of a small message: 1014 octets."""

BULK: Final = 100 * MIB // 78
"""Lines of a message of 100 MiB."""

IDLE_SESSIONS: Final = 5000

LOADS: Final = {
    "one-1": Load(sessions=200, parallel=1, lines=SMALL),
    "one-20": Load(sessions=600, parallel=20, lines=SMALL),
    "one-200": Load(sessions=800, parallel=200, lines=SMALL),
    "eleven-20": Load(sessions=100, parallel=20, messages=11, lines=SMALL),
    "text": Load(sessions=1, parallel=1, lines=BULK, kind="text"),
    "base64": Load(sessions=1, parallel=1, lines=BULK, kind="base64"),
    "rcpt-1": Load(sessions=20, parallel=1, recipients=50, lines=SMALL),
    "rcpt-20": Load(sessions=80, parallel=20, recipients=50, lines=SMALL),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One load on one peer: CPU of the peer in nanoseconds, and what the load program heard."""

    cpu: int
    heard: Heard


class Measure(Enum):
    """What a row takes from the samples of a round, and its unit."""

    SESSION = "µs CPU/session"
    MESSAGE = "µs CPU/message"
    CONTENT = "ms CPU/100 MiB"
    RCPT_P50 = "µs p50"
    RCPT_P99 = "µs p99"
    MEMORY = "KiB/session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the table.

    Must and goal are times the same figure of the peer named in `against`, or, where that is none, in the row's unit.
    """

    name: str
    title: str
    measure: Measure
    load: str = ""
    against: str | None = "haproxy"
    must: float | None = None
    goal: float | None = None
    extra: bool = False
    """Measured only when asked for."""

    @property
    def loads(self) -> tuple[str, ...]:
        """Name the loads whose samples `value` wants."""
        match self.measure:
            case Measure.MEMORY:
                return ()
            case Measure.MESSAGE:
                return ("one-20", self.load)
            case _:
                return (self.load,)

    def value(self, samples: Mapping[str, Sample]) -> float:
        """Return the row's figure for one peer from its samples of one round, by load."""
        sample = samples[self.load]
        match self.measure:
            case Measure.SESSION:
                return _cpu_of_session(sample) / 1e3
            case Measure.MESSAGE:
                further = sample.heard.messages / sample.heard.sessions - 1
                return (_cpu_of_session(sample) - _cpu_of_session(samples["one-20"])) / further / 1e3
            case Measure.CONTENT:
                return sample.cpu / 1e6 * 100 * MIB / sample.heard.octets
            case Measure.RCPT_P50:
                return sample.heard.rcpt_p50_ns / 1e3
            case Measure.RCPT_P99:
                return sample.heard.rcpt_p99_ns / 1e3
            case Measure.MEMORY:
                raise ValueError("memory is not taken from a load")
        assert_never(self.measure)


def _cpu_of_session(sample: Sample) -> float:
    return sample.cpu / sample.heard.sessions


ROWS: Final = (
    Row(
        name="session-20",
        title="one-message session, 20 at a time",
        measure=Measure.SESSION,
        load="one-20",
        must=2.6,
        goal=2.0,
    ),
    Row(
        name="session-20-naive",
        title="the same against the naive relay",
        measure=Measure.SESSION,
        load="one-20",
        against="naive",
        must=0.6,
    ),
    Row(
        name="session-1",
        title="one-message session, 1 at a time",
        measure=Measure.SESSION,
        load="one-1",
        extra=True,
    ),
    Row(
        name="session-200",
        title="one-message session, 200 at a time",
        measure=Measure.SESSION,
        load="one-200",
        extra=True,
    ),
    Row(
        name="message-20",
        title="further message, 20 sessions",
        measure=Measure.MESSAGE,
        load="eleven-20",
        must=3.0,
        goal=2.2,
    ),
    Row(
        name="content-text",
        title="content, text lines of 76",
        measure=Measure.CONTENT,
        load="text",
        must=1.7,
        goal=1.3,
    ),
    Row(
        name="content-base64",
        title="content, base64 lines of 76",
        measure=Measure.CONTENT,
        load="base64",
        must=1.7,
        goal=1.3,
    ),
    Row(
        name="rcpt-1",
        title="RCPT round trip, 1 session",
        measure=Measure.RCPT_P50,
        load="rcpt-1",
        must=1.7,
        goal=1.4,
    ),
    Row(
        name="rcpt-20",
        title="RCPT round trip, 20 sessions",
        measure=Measure.RCPT_P50,
        load="rcpt-20",
        must=1.7,
        goal=1.4,
    ),
    Row(
        name="rcpt-1-p99",
        title="RCPT round trip, 1 session",
        measure=Measure.RCPT_P99,
        load="rcpt-1",
        extra=True,
    ),
    Row(
        name="rcpt-20-p99",
        title="RCPT round trip, 20 sessions",
        measure=Measure.RCPT_P99,
        load="rcpt-20",
        extra=True,
    ),
    Row(
        name="idle",
        title="memory of an idle session",
        measure=Measure.MEMORY,
        against=None,
        must=16,
        goal=8,
    ),
)

QUICK: Final = 4
"""What the sessions of a load are divided by for a quick look."""


def quick(load: Load) -> Load:
    """Shrink a load: fewer sessions, but never fewer than run at a time; less content where there is one session."""
    if load.sessions == 1:
        return replace(load, lines=load.lines // QUICK)
    return replace(load, sessions=max(load.parallel, load.sessions // QUICK))
