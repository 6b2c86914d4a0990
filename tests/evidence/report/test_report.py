"""The report against an audit whose figures are known by heart: see `truth`, whose table is what is expected here."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from smtpguard.evidence.period import Period
from smtpguard.evidence.report.figures import By, Report, Scope, Trend
from smtpguard.evidence.report.report import OVERVIEW, make_report
from smtpguard.evidence.store import Store, StoreError
from smtpguard.smtp import Cause, Verb
from tests.evidence import truth
from tests.evidence.truth import utc

VIENNA = ZoneInfo("Europe/Vienna")
WHOLE = Period(
    since=utc("2026-10-23T00:00:00"), until=utc("2026-10-26T00:00:00"), zone=VIENNA, zone_name="Europe/Vienna"
)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audit of the night, damaged."""
    directory = tmp_path_factory.mktemp("night")
    truth.known_night().write(directory)
    truth.damage(directory)
    return directory


def report(directory: Path, *ways: By, detailed: bool = False, **scope: Any) -> Report:
    """Make a report of the whole night."""
    return make_report(Store(directory), Scope(**{"period": WHOLE, **scope}), ways or OVERVIEW, detailed=detailed)


def figures(made: Report, by: By) -> list[tuple[str, int, int, int]]:
    """Return name, sessions affected, sessions, findings of every row."""
    return [(row.name, row.affected, row.sessions, row.findings) for row in made.tables[by].rows]


def test_the_totals(night: Path) -> None:
    """Every session and every finding of the night is counted once, in its place, and so is what cannot be read."""
    made = report(night)
    totals = made.totals
    assert (totals.sessions, totals.affected, totals.in_order, totals.findings) == (159, 19, 140, 23)
    assert (totals.hosts, totals.hosts_affected) == (7, 5)
    assert dict(totals.visible) == {"full": 98, "until-starttls": 60, "not-ended": 1}
    assert (totals.other_protocol, totals.other_protocol_hosts) == (4, 1)
    assert (totals.consequences, totals.declined) == (2, 1)
    assert [tuple(each) for each in (*totals.upstream, *totals.limits)] == [("SG503", 1, 1, 1), ("SG601", 1, 1, 1)]
    assert made.unreadable == truth.UNREADABLE
    assert made.covered == (utc("2026-10-24T23:00:00"), utc("2026-10-25T03:00:00"))


def test_store_and_report_count_the_same_damage(night: Path) -> None:
    """The slow reader and the fast one find the same lines unreadable, and the same events."""
    store = Store(night)
    actions = Counter(type(event).__name__ for event in store.events())
    assert store.unreadable == truth.UNREADABLE
    assert actions["SessionEndRecord"] == 159 - 1 + 4


EXPECTED = {
    By.HOST: [
        ("198.51.100.7", 8, 40, 8),
        ("2001:db8:1::25", 5, 5, 5),
        ("198.51.100.9", 4, 10, 8),
        ("2001:db8:1:ffff::1", 1, 1, 1),
        ("203.0.113.90", 1, 1, 1),
    ],
    By.NETWORK: [
        ("198.51.100.0/24", 12, 50, 16),
        ("2001:db8:1::/48", 6, 6, 6),
        ("203.0.113.0/24", 1, 103, 1),
    ],
    By.RULE: [("SG104", 9, 159, 9), ("SG201", 6, 159, 6), ("SG105", 4, 159, 7), ("SG102", 1, 159, 1)],
    By.CAUSE: [
        ("all-recipients-refused", 9, 159, 9),
        ("did-not-wait-for-greeting", 6, 159, 6),
        ("pooled-connection", 4, 159, 7),
        ("unknown", 1, 159, 1),
    ],
    By.COMMAND: [("DATA", 9, 159, 9), ("EHLO", 6, 159, 6), ("MAIL", 4, 159, 7), ("RCPT", 1, 159, 1)],
    By.HELO: [
        ("mail.example.net", 14, 54, 18),
        ("<script>alert(1)</script>&amp;\\xe2\\x80\\xae\\xff'\"", 5, 5, 5),
    ],
    By.LISTENER: [("public", 14, 154, 18), ("submission", 5, 5, 5)],
}


@pytest.mark.parametrize("by", By)
def test_every_table(night: Path, by: By) -> None:
    """Each way to group gives the rows of the truth, in their order."""
    assert figures(report(night, by), by) == EXPECTED[by]


def test_when(night: Path) -> None:
    """First and last seen are the times of the first and the last finding."""
    rows = {row.name: row for row in report(night).tables[By.HOST].rows}
    assert rows["198.51.100.7"].first_seen == truth.NIGHT
    assert rows["198.51.100.7"].last_seen == truth.NIGHT + 7 * 300
    assert rows["2001:db8:1::25"].last_seen == truth.NIGHT + 7204
    # The audit covers 23:00 to 03:00 UTC; what was before 01:00 is the first half.
    assert rows["198.51.100.7"].trend == Trend(8, 0)
    assert rows["2001:db8:1::25"].trend == Trend(0, 5)
    assert rows["198.51.100.9"].rules == ("SG105", "SG104")


def test_two_zones_over_the_end_of_summer_time(night: Path) -> None:
    """The same night by two clocks: in Vienna two hours are 02:00, and their sessions stand under one."""
    vienna = report(night, detailed=True)
    hours = {hour.begins: (hour.sessions, hour.affected) for hour in vienna.hours}
    utc_period = Period(since=WHOLE.since, until=WHOLE.until, zone=ZoneInfo("UTC"), zone_name="UTC")
    in_utc = {hour.begins: hour for hour in report(night, detailed=True, period=utc_period).hours}
    two = [in_utc[datetime(2026, 10, 25, hour)] for hour in (0, 1)]
    assert hours[datetime(2026, 10, 25, 2)] == (sum(each.sessions for each in two), sum(each.affected for each in two))
    assert sorted(hours) == [datetime(2026, 10, 25, hour) for hour in (1, 2, 3)]
    assert sum(sessions for sessions, _ in hours.values()) == 159
    assert sum(hour.findings for hour in vienna.rule_hours) == 23
    assert {(hour.begins.hour, hour.rule): hour.findings for hour in vienna.rule_hours} == {
        (1, "SG104"): 6,
        (1, "SG102"): 1,
        (2, "SG104"): 3,
        (2, "SG105"): 7,
        (2, "SG201"): 6,
    }


def test_one_host(night: Path) -> None:
    """`--host` leaves nothing of the others, in the totals neither."""
    made = report(night, host=ip_network("198.51.100.9"))
    assert (made.totals.sessions, made.totals.affected, made.totals.consequences) == (10, 4, 0)
    assert figures(made, By.RULE) == [("SG105", 4, 10, 7), ("SG104", 1, 10, 1)]


def test_one_network(night: Path) -> None:
    """A network of IPv6 has both its hosts, however their addresses are spelt."""
    made = report(night, By.HOST, host=ip_network("2001:0db8:0001::/48"))
    assert figures(made, By.HOST) == [("2001:db8:1::25", 5, 5, 5), ("2001:db8:1:ffff::1", 1, 1, 1)]


def test_one_rule(night: Path) -> None:
    """`--rule` leaves its findings only; the sessions of which the share is told stay all."""
    made = report(night, rule="SG104")
    assert (made.totals.sessions, made.totals.affected, made.totals.findings) == (159, 9, 9)
    assert figures(made, By.HOST) == [("198.51.100.7", 8, 40, 8), ("198.51.100.9", 1, 10, 1)]


def test_a_host_of_another_protocol_only(night: Path) -> None:
    """It is no offender, and it was there: no error, and no rank."""
    made = report(night, host=ip_network("192.0.2.66"))
    assert (made.totals.sessions, made.totals.other_protocol) == (0, 4)
    assert made.tables[By.HOST].rows == ()


def test_the_limit(night: Path) -> None:
    """A table says how many rows there are beyond its last."""
    table = report(night, limit=2).tables[By.HOST]
    assert ([row.name for row in table.rows], table.groups) == (["198.51.100.7", "2001:db8:1::25"], 5)


def test_the_period_cuts(night: Path) -> None:
    """A session counts where it ended, a finding where it was born; to the millisecond."""
    period = Period(since=truth.NIGHT + 300, until=truth.NIGHT + 601, zone=VIENNA, zone_name="Europe/Vienna")
    made = report(night, host=ip_network("198.51.100.7"), period=period)
    # Of the three sessions at 0, 300 and 600 s, two end 2 s later, inside; the last one's end is outside.
    assert (made.totals.sessions, made.totals.affected, made.totals.findings) == (2, 2, 2)
    assert dict(made.totals.visible) == {"full": 1, "not-ended": 1}


def test_details_of_a_host(night: Path) -> None:
    """Each thing that a host did, with the latest session of it, and what it calls itself."""
    host = next(each for each in report(night, detailed=True).hosts if each.row.name == "198.51.100.9")
    assert [(each.rule, each.cause, each.findings, each.affected) for each in host.offences] == [
        ("SG105", "pooled-connection", 7, 4),
        ("SG104", "all-recipients-refused", 1, 1),
    ]
    assert host.offences[0].session == "01JDFZ8Q0044"
    assert (host.helos, host.listeners) == (("mail.example.net",), ("public",))


def test_nothing_in_the_period(night: Path) -> None:
    """An empty period and an unknown host are told, with what the audit holds: 66."""
    later = Period(since=utc("2026-11-01T00:00:00"), until=utc("2026-11-02T00:00:00"), zone=VIENNA, zone_name="Vienna")
    with pytest.raises(
        StoreError, match=r"nothing from 2026-11-01.*holds 2026-10-25 01:00 to 2026-10-25 04:00"
    ) as raised:
        report(night, period=later)
    assert raised.value.code == 66
    with pytest.raises(StoreError, match=r"nothing of 192\.0\.2\.1 from") as raised:
        report(night, host=ip_network("192.0.2.1"))
    assert raised.value.code == 66
    # A quarter of an hour of the file's hour in which nothing was: the file is read, and is empty for us.
    quiet = Period(since=utc("2026-10-24T23:00:00"), until=utc("2026-10-24T23:15:00"), zone=VIENNA, zone_name="Vienna")
    with pytest.raises(StoreError, match="nothing from") as raised:
        report(night, period=quiet)
    assert raised.value.code == 66


def test_an_empty_audit(tmp_path: Path) -> None:
    """A guard that wrote nothing yet."""
    (tmp_path / "events").mkdir()
    with pytest.raises(StoreError, match="no event was written yet") as raised:
        report(tmp_path)
    assert raised.value.code == 66


def test_while_a_guard_writes(tmp_path: Path) -> None:
    """Lines that come while reports are made are counted from the moment they are whole, and no report fails."""
    folder = tmp_path / "events" / "2026-10-25"
    folder.mkdir(parents=True)
    lines = [line for lines in truth.known_night().pages.values() for line in lines if b'"198.51.100.7"' in line]
    with (folder / "mx1-w0-00.jsonl").open("ab", buffering=0) as segment:
        known = 0
        for place, line in enumerate(lines[:30]):
            segment.write(line[:100])
            made = report(tmp_path, By.HOST) if place else None
            segment.write(line[100:])
            if made:
                assert made.totals.sessions >= known
                assert made.unreadable == 1
                known = made.totals.sessions
    assert report(tmp_path, By.HOST).unreadable == 0


def test_a_cut_gzip_stream_and_a_line_without_end(tmp_path: Path) -> None:
    """What DuckDB would refuse as a whole gives what it has; each damage is one line."""
    truth.known_night().write(tmp_path)
    whole = report(tmp_path).totals
    day = tmp_path / "events" / "2026-10-25"
    packed = day / "mx1-w1-00.jsonl.gz"
    octets = gzip.decompress(packed.read_bytes())
    packed.write_bytes(gzip.compress(octets + json.dumps({"filler": "x" * 90_000}).encode())[:-60])
    with (day / "mx1-w0-00.jsonl").open("ab") as segment:
        segment.write(b"x" * 40_000_000 + b"\n")
    (day / "mx1-w7-01.jsonl.gz").write_bytes(b"")
    (day / "mx1-w8-01.jsonl.gz").write_bytes(b"no gzip")
    made = report(tmp_path)
    assert made.totals == whole
    assert made.unreadable == 3


def test_odd_names(tmp_path: Path) -> None:
    """A directory whose name would be a pattern is read as it is spelt."""
    directory = tmp_path / "mx [a-z]*{1,2}?'"
    truth.known_night().write(directory)
    assert report(directory).totals.sessions == 159


def test_nothing_is_written_beside_the_audit(night: Path) -> None:
    """Names, sizes and times of the audit's files are the same after a report."""

    def state() -> Iterator[tuple[str, int, int]]:
        for file in sorted(night.rglob("*")):
            yield str(file), file.stat().st_size, file.stat().st_mtime_ns

    before = list(state())
    report(night, detailed=True)
    assert list(state()) == before


@pytest.mark.parametrize(
    ("earlier", "later", "word"),
    [
        (0, 0, "too few"),
        (1, 1, "too few"),
        (0, 3, "new"),
        (3, 0, "stopped"),
        (8, 9, "steady"),
        (8, 10, "more"),
        (10, 8, "fewer"),
        (10, 9, "steady"),
    ],
)
def test_trends(earlier: int, later: int, word: str) -> None:
    """A quarter more or less is a trend; of fewer than three findings none is told."""
    assert Trend(earlier, later).word == word


def test_more_findings_than_events(tmp_path: Path) -> None:
    """Of thirty bare LFs twenty are kept one by one; the session's end knows all, and the last event has the rest."""
    book = truth.Book()
    noted = {"rule_id": "SG301", "cause": Cause.BARE_LF_CLIENT, "verb": Verb.RCPT}
    last = {**noted, "verb": Verb.DATA, "cause": Cause.UNKNOWN}
    consequence = {**noted, "consequence": True}
    at = truth.NIGHT
    book.session("198.51.100.7", at, *[noted] * 19, last, rules={"SG301": 30, "SG101": 1})
    # The cap is of events, consequences among them: 15 of 18 findings were kept.
    book.session("198.51.100.8", at, *[consequence] * 5, *[noted] * 15, rules={"SG301": 18})
    # Below the cap events are all there is: what the end counts more fell out of the period.
    book.session("198.51.100.9", at, *[noted] * 19, rules={"SG301": 40})
    # No end, or an end that has the rule under `more`: what was kept is what is known.
    book.session("198.51.100.10", at, *[noted] * 20, end=False)
    book.session("198.51.100.11", at, *[noted] * 20, rules={"more": 40})
    book.write(tmp_path)
    made = report(tmp_path, *By, detailed=True)
    assert made.totals.findings == 30 + 18 + 19 + 20 + 20
    assert {row.name: (row.findings, sum(row.trend)) for row in made.tables[By.HOST].rows} == {
        "198.51.100.7": (30, 30),
        "198.51.100.8": (18, 18),
        "198.51.100.9": (19, 19),
        "198.51.100.10": (20, 20),
        "198.51.100.11": (20, 20),
    }
    assert figures(made, By.COMMAND) == [("RCPT", 5, 5, 96), ("DATA", 1, 5, 11)]
    assert figures(made, By.CAUSE) == [("bare-lf-client", 5, 5, 96), ("unknown", 1, 5, 11)]
    for by in (By.NETWORK, By.HELO, By.LISTENER, By.RULE):
        assert sum(row.findings for row in made.tables[by].rows) == 107
    assert sum(hour.findings for hour in made.rule_hours) == 107
    assert sum(offence.findings for host in made.hosts for offence in host.offences) == 107
    assert made.totals.consequences == 5
