"""Replay: the same sessions under two sets of rules, and the sums."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smtpguard.evidence.judge.pieces import Piece
from smtpguard.evidence.replay.replay import (
    Change,
    Court,
    Played,
    Ruled,
    Ruling,
    pairs,
    ruled_by_table,
    with_the_rest,
)
from smtpguard.evidence.replay.sums import Row, Summary, meets
from smtpguard.smtp import Limits, Policy, Profile, Verdict, policy_for
from tests.evidence.packets import CLIENT, Line
from tests.evidence.replays import (
    EHLO,
    LENIENT,
    OK,
    STANDARD,
    STRICT,
    C,
    U,
    asked,
    capture,
    nested,
    one_of,
    rules,
    verdicts,
)


@pytest.mark.parametrize(
    ("now", "proposed", "expected"),
    [
        pytest.param(STANDARD, STANDARD, [("SG105", "refuse", "refuse")], id="the same"),
        pytest.param(STANDARD, rules(SG105=Verdict.NOTE), [("SG105", "refuse", "note")], id="one rule"),
        pytest.param(STANDARD, rules(SG105=Verdict.OFF), [("SG105", "refuse", "off")], id="switched off"),
        pytest.param(rules(SG105=Verdict.OFF), STANDARD, [("SG105", "off", "refuse")], id="switched on"),
        pytest.param(rules(SG105=Verdict.OFF), rules(SG105=Verdict.OFF), [], id="off and off"),
        pytest.param(STANDARD, rules(observing=True), [("SG105", "refuse", "note")], id="observe"),
        pytest.param(STANDARD, LENIENT, [("SG105", "refuse", "note")], id="another profile"),
    ],
)
def test_a_capture_is_ruled_on_twice(
    now: Policy, proposed: Policy, expected: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    """One play, two verdicts: each side says what it makes of the same finding."""
    played = one_of(capture(tmp_path, nested()), asked(now, proposed))
    assert verdicts(played) == expected
    assert (played.host, played.port, played.seen, played.name) == (CLIENT[0], 40001, "whole", "#1")


def test_behind_an_answer_that_closes_nothing_is_reached(tmp_path: Path) -> None:
    """MAIL ahead of EHLO's reply closes under strict; the nested MAIL behind it would never have come."""
    line = Line().open().said(b"220 mx\r\n", b"HELO x\r\nMAIL FROM:<a@x>\r\n", b"250 mx\r\n250 ok\r\n")
    line.said(b"", b"MAIL FROM:<b@x>\r\n", b"503 no\r\n").close()
    played = one_of(capture(tmp_path, line), asked(STANDARD, STRICT))
    assert verdicts(played) == [
        ("SG202", "note", "close"),
        ("SG203", "note", "note"),
        ("SG105", "refuse", "unreached"),
    ]


def test_what_is_safe_keeps_its_verdict_in_every_set_of_rules(tmp_path: Path) -> None:
    """A hidden end of content closes, observe or not."""
    line = Line().open().said(
        b"220 mx\r\n", EHLO, b"250 mx\r\n", b"MAIL FROM:<a@x>\r\n", OK, b"RCPT TO:<b@x>\r\n", OK, b"DATA\r\n",
        b"354 go\r\n", b"x\r\n\0.\r\n", b"250 ok\r\n",
    )  # fmt: skip
    played = one_of(capture(tmp_path, line), asked(STANDARD, rules(Profile.LENIENT, observing=True)))
    assert verdicts(played) == [("SG304", "close", "close")]


def test_rules_that_differ_in_a_limit_are_played_twice(tmp_path: Path) -> None:
    """A line of 600 octets is too long for one side only."""
    short = Policy(before_auth=STANDARD.before_auth, after_auth=STANDARD.after_auth, limits=Limits(command_line=512))
    line = Line().open().said(b"220 mx\r\n", b"NOOP " + b"x" * 600 + b"\r\n", b"250 mx\r\n").close()
    played = one_of(capture(tmp_path, line), asked(STANDARD, short))
    assert verdicts(played) == [("SG303", "off", "close")]
    assert len(Court.of(STANDARD, short).terms) == 2
    assert len(Court.of(STANDARD, STRICT).terms) == 1


def test_a_refused_line_of_an_exchange_closes() -> None:
    """UPSTREAM waits for that line and for no other (SASL), so a refusal is a close there."""
    strict = rules(SG301=Verdict.REFUSE)
    court = Court.of(STANDARD, strict)
    (judge,) = court.judges(start=True)
    for side, octets in (
        (U, b"220 mx\r\n"), (C, EHLO), (U, b"250-mx\r\n250 AUTH PLAIN\r\n"), (C, b"AUTH PLAIN\r\n"), (U, b"334 \r\n"),
        (C, b"AA==\n"), (U, b"235 ok\r\n"),
    ):  # fmt: skip
        judge.take(Piece(0, side, octets))
    now, proposed = court.rulings([judge.end()])
    assert [one.verdict for one in now.findings] == ["note"]
    assert [one.verdict for one in proposed.findings] == ["close"]


def test_consequences_are_counted_and_not_compared(tmp_path: Path) -> None:
    """RCPT and DATA pipelined behind a refused MAIL: nobody's fault."""
    line = Line().open().said(
        b"220 mx\r\n", EHLO, b"250-mx\r\n250 PIPELINING\r\n", b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n",
        b"550 no\r\n503 no\r\n503 no\r\n", b"QUIT\r\n", b"221 Bye\r\n",
    ).close()  # fmt: skip
    played = one_of(capture(tmp_path, line), asked(STANDARD, STRICT))
    assert (list(pairs(played)), played.proposed.consequences) == ([], 2)


# --- how far a session was judged -------------------------------------------------------------------------------------


def test_starttls_goes_opaque_and_is_followed_no_further(tmp_path: Path) -> None:
    """What is said inside TLS is nobody's to read, and a hole in it is none."""
    line = (
        Line()
        .open()
        .said(b"220 mx\r\n", EHLO, b"250-mx\r\n250 STARTTLS\r\n", b"STARTTLS\r\n", b"220 go\r\n", b"\x16\x03\x01hello")
    )
    line.client_seq += 500
    line.up(b"\x17\x03\x03more").__len__()
    line.down(b"\x17\x03\x03answer")
    played = one_of(capture(tmp_path, line.close()), asked(STANDARD))
    assert (played.seen, played.remark, verdicts(played)) == ("until-starttls", "", [])


def test_a_session_with_a_hole_is_judged_up_to_it(tmp_path: Path) -> None:
    """The nested MAIL behind the hole is not charged; the place of the hole is said."""
    line = nested()
    del line.packets[6]
    played = one_of(capture(tmp_path, line), asked(STANDARD))
    assert (played.seen, verdicts(played)) == ("until-hole", [])
    assert played.remark == "hole of 17 octets at 16 from CLIENT: the connection ended before it was filled"


def test_a_connection_of_which_nothing_was_captured_is_a_session_too(tmp_path: Path) -> None:
    """Its octets were acknowledged, and are missing; one on which nothing was said is none."""
    lost = Line().open()
    lost.client_seq += 40
    lost.up(b"RCPT TO:<b@x>\r\n")
    silent = Line((CLIENT[0], 9)).open().reset(up=True)
    played = one_of(capture(tmp_path, lost.close(), silent), asked(STANDARD))
    assert (played.seen, verdicts(played)) == ("until-hole", [])
    assert played.remark.startswith("hole of 40 octets at 0 from CLIENT")


def test_a_reset_is_an_end(tmp_path: Path) -> None:
    """Whoever resets: the session is over."""
    line = Line().open().said(b"220 mx\r\n", EHLO, b"250 mx\r\n").reset(up=True)
    assert one_of(capture(tmp_path, line), asked(STANDARD)).seen == "whole"


def test_conflicting_copies_are_said(tmp_path: Path) -> None:
    """The first copy was judged."""
    line = Line().open().said(b"220 mx\r\n", EHLO)
    again = line.packets[-1].replace(b"c.example", b"X.example")
    line.packets += [again, again]
    played = one_of(capture(tmp_path, line), asked(STANDARD))
    assert played.remark == "conflicting: 2 second copies differ from the first"
    line.packets.pop()
    assert one_of(capture(tmp_path, line), asked(STANDARD)).remark.endswith("1 second copy differs from the first")


def test_a_session_that_goes_on_when_the_capture_ends_is_unfinished(tmp_path: Path) -> None:
    """Nobody is gone; what was said is judged."""
    line = nested()
    del line.packets[-5:]
    played = one_of(capture(tmp_path, line), asked(STANDARD))
    assert (played.seen, verdicts(played)) == ("unfinished", [("SG105", "refuse", "refuse")])


def test_a_session_in_its_middle_is_judged_from_a_hello_on(tmp_path: Path) -> None:
    """What state it was in before is not guessed."""
    line = Line().open().said(b"250 x\r\n", b"RCPT TO:<b@x>\r\n", b"250 ok\r\n", EHLO, b"250 mx\r\n")
    line.said(b"", b"RCPT TO:<b@x>\r\n", b"503 no\r\n")
    del line.packets[:3]
    played = one_of(capture(tmp_path, line), asked(STANDARD))
    assert (played.seen, verdicts(played)) == ("mid-stream", [("SG102", "refuse", "refuse")])


# --- sums -------------------------------------------------------------------------------------------------------------


def made(number: int, *changes: tuple[str, str, str]) -> Played:
    """Return a session of which only findings matter."""
    rulings = [
        Ruling(
            tuple(Ruled(rule, verdicts_of[side], 1, "") for rule, *verdicts_of in changes if verdicts_of[side] != "off")
        )
        for side in (0, 1)
    ]
    return Played(
        source="x", name=f"#{number}", host=f"192.0.2.{number % 250}", port=number, at=float(number), seen="whole",
        now=rulings[0], proposed=rulings[1],
    )  # fmt: skip


def test_sums_go_by_host_rule_and_both_verdicts() -> None:
    """Findings, the sessions that have them, and what changes."""
    summary = Summary()
    summary.add(made(1, ("SG105", "refuse", "note"), ("SG105", "refuse", "note"), ("SG101", "note", "note")))
    summary.add(made(1, ("SG105", "refuse", "note")))
    row = Row("192.0.2.1", "SG105", "refuse", "note")
    assert (summary.findings[row], summary.affected[row]) == (3, 2)
    assert (summary.changed_findings, summary.changed_sessions) == (3, 2)
    assert [one.rule for one in summary.rows()] == ["SG105", "SG101"]
    assert (summary.first, summary.last) == (1.0, 1.0)


def test_sums_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many rows the hosts are summed, beyond so many changes sessions are only counted."""
    monkeypatch.setattr("smtpguard.evidence.replay.sums.ROWS_MAX", 3)
    monkeypatch.setattr("smtpguard.evidence.replay.sums.CHANGES_KEPT", 2)
    summary = Summary()
    for number in range(1, 11):
        summary.add(made(number, ("SG105", "refuse", "note")))
    assert summary.findings[Row("others", "SG105", "refuse", "note")] == 7
    assert (len(summary.changes), summary.changed_sessions, len(summary.hosts)) == (2, 10, 3)


@pytest.mark.parametrize(
    ("change", "met"),
    [
        pytest.param(("SG105", "refuse", "refuse"), {"any", "violation", "SG105"}, id="as before"),
        pytest.param(("SG105", "refuse", "note"), {"any", "change", "SG105"}, id="milder"),
        pytest.param(("SG105", "refuse", "off"), {"change"}, id="off"),
        pytest.param(("SG105", "note", "unreached"), {"change"}, id="unreached"),
        pytest.param(("SG503", "close", "close"), {"any"}, id="no fault of the client"),
        pytest.param(("SG999", "close", "close"), {"any"}, id="a rule of another version"),
    ],
)
def test_fail_on_asks_for_what_the_proposed_rules_find(change: tuple[str, str, str], met: set[str]) -> None:
    """A rule, a change, a violation, anything."""
    summary = Summary()
    summary.add(made(1, change))
    assert {wanted for wanted in ("any", "change", "violation", "SG105") if meets(summary, wanted)} == met


def lists(*sides: tuple[str, ...]) -> Iterator[list[Ruled]]:
    """Return findings of one rule, `note*5` standing for five."""
    for side in sides:
        ruled = []
        for word in side:
            verdict, _, times = word.partition("*")
            ruled.append(Ruled("SG105", verdict, 1, "", int(times or 1)))
        yield ruled


@pytest.mark.parametrize(
    ("now", "proposed", "expected"),
    [
        pytest.param(("note",), ("refuse",), ["note refuse 1"], id="one"),
        pytest.param(("note", "note*5"), ("refuse", "refuse*5"), ["note refuse 1", "note refuse 5"], id="both counted"),
        pytest.param(
            ("note*3",), ("refuse",) * 3, ["note refuse 1", "note refuse 1", "note refuse 1"], id="one counted"
        ),
        pytest.param(("refuse",) * 2, ("note*4",), ["refuse note 1", "refuse note 1", ""][:2], id="more than kept"),
        pytest.param(("note",), (), ["note off 1"], id="gone"),
        pytest.param((), ("note*7",), ["off note 7"], id="new"),
    ],
)
def test_findings_that_were_only_counted_are_paired_with_those_that_were_kept(
    now: tuple[str, ...], proposed: tuple[str, ...], expected: list[str]
) -> None:
    """Of what is noted 20 are kept, of what is refused all: a session has as many either way."""
    sides = [Ruling(tuple(side)) for side in lists(now, proposed)]
    played = made(1)
    changes = pairs(
        Played(
            source="", name="", host="", port=0, at=None, seen="whole", now=sides[0], proposed=sides[1],
            remark=played.remark,
        )
    )  # fmt: skip
    told = [f"{one.now.verdict} {one.proposed.verdict} {one.times}" for one in changes]
    assert told[: len(expected) - 1] == expected[:-1]
    assert told[-1].split()[:2] == expected[-1].split()[:2]
    assert sum(int(one.split()[2]) for one in told) == max(sum(each.times for each in side.findings) for side in sides)


def test_the_rest_goes_to_the_last_of_each_rule() -> None:
    """And a rule without a rest stays as it is."""
    some = [Ruled("SG301", "note", 1, ""), Ruled("SG105", "note", 2, ""), Ruled("SG301", "note", 3, "")]
    assert [one.times for one in with_the_rest(some, {"SG301": 4})] == [1, 1, 5]


def test_a_table_knows_every_rule_of_today() -> None:
    """And leaves a rule of another version as it was."""
    some = [Ruled("SG105", "refuse", 1, ""), Ruled("SG999", "note", 1, "")]
    assert [one.verdict for one in ruled_by_table(some, policy_for(Profile.LENIENT))] == ["note", "note"]


def test_a_change_is_one_of_verdicts() -> None:
    """The line may be told otherwise."""
    one = Ruled("SG105", "note", 1, "x")
    assert not Change(one, one._replace(line="y")).changed
