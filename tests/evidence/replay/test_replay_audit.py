"""Replay of the audit: what was recorded, against what the proposed rules give."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from smtpguard.evidence.judge.pieces import Piece
from smtpguard.evidence.replay.audit import AuditSessions
from smtpguard.evidence.replay.replay import (
    Book,
    pairs,
)
from smtpguard.evidence.replay.sources import Asked, SourceError, source_of
from smtpguard.evidence.replay.sums import Row
from smtpguard.evidence.replay.transcript import items_of
from smtpguard.record import TranscriptRecord
from smtpguard.smtp import Verdict
from tests.evidence.replays import (
    CHARGE,
    LENIENT,
    NESTED,
    STANDARD,
    STRICT,
    C,
    U,
    asked,
    book,
    end,
    finding,
    one_of,
    rules,
    said,
    stored,
    summed,
    verdicts,
)


def test_a_stored_session_is_what_was_recorded_against_what_would_be(tmp_path: Path) -> None:
    """Its transcript is played under the proposed rules; today's are those that were recorded."""
    audit = stored(tmp_path, CHARGE, end("1M85FEK6375Z", NESTED, rules={"SG105": 1}))
    played = one_of(audit, asked(STANDARD, LENIENT))
    assert verdicts(played) == [("SG105", "refuse", "note")]
    assert (played.seen, played.name, played.host, played.listener) == ("whole", "1M85FEK6375Z", "192.0.2.7", "mx")
    assert played.at == 1795428000.0


def test_a_segment_alone_will_do(tmp_path: Path) -> None:
    """Gzipped, and copied from somewhere: the same session."""
    audit = stored(tmp_path, CHARGE, end("1M85FEK6375Z", NESTED))
    copy = tmp_path / "segment.jsonl.gz"
    copy.write_bytes(gzip.compress((audit / "events/2026-11-23/mx-w0-10.jsonl").read_bytes()))
    assert verdicts(one_of(copy, asked(STANDARD, LENIENT))) == [("SG105", "refuse", "note")]


def test_the_play_finds_what_was_off(tmp_path: Path) -> None:
    """Two commands in one piece behind HELO: lenient did not record it, strict would close."""
    transcript = said(
        (0.0, "U", "220 mx", 1), (0.1, "C", "HELO c", 1), (0.2, "U", "250 mx", 2),
        (0.3, "C", "MAIL FROM:<a@x>", 2), (0.4, "U", "250 ok", 3), (0.4, "C", "RCPT TO:<b@x>", 2),
        (0.5, "U", "250 ok", 4),
    )  # fmt: skip
    played = one_of(stored(tmp_path, end("1M85FEK6375Z", transcript)), asked(LENIENT, STRICT))
    assert verdicts(played) == [("SG202", "off", "close")]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(end("1M85FEK6375Z"), id="no transcript"),
        pytest.param(end("1M85FEK6375Z", NESTED, omitted=7), id="not from its beginning"),
        pytest.param(end("1M85FEK6375Z", NESTED[:5]), id="without what was found"),
        pytest.param(None, id="no end"),
    ],
)
def test_what_cannot_be_played_is_looked_up(event: dict[str, Any] | None, tmp_path: Path) -> None:
    """The verdicts of the findings that were recorded; nothing else is known."""
    audit = stored(tmp_path, CHARGE, *([event] if event else []))
    played = one_of(audit, asked(STANDARD, LENIENT))
    assert (played.seen, verdicts(played)) == ("by-table", [("SG105", "refuse", "note")])


def test_facts_and_limits_are_looked_up(tmp_path: Path) -> None:
    """No transcript shows why UPSTREAM could not be reached; a rule that is known no more keeps its verdict."""
    charges = [
        finding("1M85FEK6375Z", rule, verdict, 0, "QUIT") for rule, verdict in (("SG603", "close"), ("SG999", "note"))
    ]
    audit = stored(tmp_path, CHARGE, *charges, end("1M85FEK6375Z", NESTED))
    played = one_of(audit, asked(STANDARD, rules(SG603=Verdict.NOTE)))
    assert verdicts(played) == [("SG105", "refuse", "refuse"), ("SG603", "close", "note"), ("SG999", "note", "note")]


def test_of_many_findings_the_last_stands_for_the_rest(tmp_path: Path) -> None:
    """The session's end says 30, two were kept one by one."""
    charges = [finding("1M85FEK6375Z", "SG301", "note", n, "NOOP") for n in (2, 3)]
    (summary, _) = summed(stored(tmp_path, *charges, end("1M85FEK6375Z", rules={"SG301": 30})), asked(STANDARD, STRICT))
    assert dict(summary.findings) == {Row("192.0.2.7", "SG301", "note", "refuse"): 30}


def test_several_sessions_and_what_a_setting_declined(tmp_path: Path) -> None:
    """A declined command is no finding."""
    declined = finding("1M85FEK63751", "SG105", "refuse", 3, "STARTTLS")
    del declined["rule"]
    audit = stored(tmp_path, declined, end("1M85FEK63751", NESTED[:3]), end("1M85FEK63752", NESTED[:3]))
    assert [verdicts(played) for played in source_of(audit, asked(STANDARD))] == [[], []]


def test_a_consequence_of_the_audit_is_counted(tmp_path: Path) -> None:
    """And not compared."""
    charge = finding("1M85FEK6375Z", "SG102", "refuse", 3, "RCPT TO:<b@x>", consequence=True)
    played = one_of(stored(tmp_path, charge, end("1M85FEK6375Z")), asked(STANDARD))
    assert (list(pairs(played)), played.now.consequences) == ([], 1)


def test_sessions_without_an_end_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard that was killed leaves them; memory is bounded, and they are ruled on all the same."""
    monkeypatch.setattr("smtpguard.evidence.replay.audit.OPEN_MAX", 1)
    import msgspec

    from smtpguard.record import FindingRecord

    events = [
        msgspec.convert(finding(f"1M85FEK6375{n}", "SG105", "refuse", 3, "MAIL FROM:<b@x>"), FindingRecord)
        for n in range(3)
    ]
    played = list(AuditSessions("x", events, book(STANDARD)))
    assert [one.name for one in played] == ["1M85FEK63750", "1M85FEK63751", "1M85FEK63752"]


def test_a_period_leaves_the_rest_out(tmp_path: Path) -> None:
    """Both for a directory and for a segment; where nothing is left it is said, 66."""
    audit = stored(tmp_path, CHARGE, end("1M85FEK6375Z", NESTED))
    for path in (audit, audit / "events/2026-11-23/mx-w0-10.jsonl"):
        with pytest.raises(SourceError, match="in the period of --since") as error:
            list(source_of(path, asked(STANDARD, since=1795500000.0)))
        assert error.value.code == 66
        assert len(list(source_of(path, asked(STANDARD, since=1795000000.0, until=1796000000.0)))) == 1


def test_the_listener_says_which_rules_hold(tmp_path: Path) -> None:
    """Each session its own listener's, unless one is asked for; the first where the name is none."""
    audit = stored(tmp_path, CHARGE, end("1M85FEK6375Z", NESTED))
    both = Book({"other": STRICT, "mx": LENIENT})
    for name, verdict in (("", "note"), ("other", "refuse"), ("none", "refuse")):
        what = Asked(now=both, proposed=both, ports=frozenset({25}), listener=name)
        assert verdicts(one_of(audit, what)) == [("SG105", "refuse", verdict)]


# --- transcripts of the audit -----------------------------------------------------------------------------------------


def records(*lines: tuple[Any, ...]) -> list[TranscriptRecord]:
    """Return the lines of a transcript."""
    return [
        TranscriptRecord(t=at, dir=side, line=line, piece=piece, rules=tuple(rules_of))
        for at, side, line, piece, *rules_of in lines
    ]


def test_lines_of_one_piece_stand_where_they_were_read() -> None:
    """The second line of a piece is judged behind a reply, and was read before it."""
    items = items_of(records((0.1, "C", "HELO c", 1), (0.2, "U", "250 mx", 1), (0.1, "C", "NOOP", 1)))
    assert items == [Piece(0.1, C, b"HELO c\r\nNOOP\r\n"), Piece(0.2, U, b"250 mx\r\n")]


def test_a_piece_that_was_read_before_a_reply_stands_before_it() -> None:
    """By its time; and in the same millisecond where a rule or a finding says so."""
    replies = ((0.2, "U", "250-mx", 1), (0.2, "U", "250 HELP", 1))
    early = items_of(records(*replies, (0.15, "C", "NOOP", 2)))
    assert [item.side for item in early if isinstance(item, Piece)] == [C, U]
    same = items_of(records(*replies, (0.2, "C", "NOOP", 2)))
    assert [item.side for item in same if isinstance(item, Piece)] == [U, C]
    ruled = items_of(records(*replies, (0.201, "C", "NOOP", 2, "SG203")))
    assert [item.side for item in ruled if isinstance(item, Piece)] == [C, U]
    found = items_of(records(*replies, (0.2, "C", "DATA", 2, "SG104")), {("SG104", "DATA")})
    assert [item.side for item in found if isinstance(item, Piece)] == [C, U]


@pytest.mark.parametrize(
    ("line", "rules_of", "octets"),
    [
        pytest.param("MAIL FROM:<a\\x00\\xe4@x>", (), b"MAIL FROM:<a\0\xe4@x>\r\n", id="escaped"),
        pytest.param("NOOP", ("SG301",), b"NOOP\n", id="bare lf"),
        pytest.param("BDAT 4 LAST", ("SG306",), b"BDAT 4 LAST\n", id="bdat in a bare lf"),
        pytest.param("BDAT  4", ("SG306",), b"BDAT  4\r\n", id="bdat with two blanks"),
        pytest.param("AUTH [redacted]", (), b"AUTH PLAIN cmVkYWN0ZWQ=\r\n", id="auth"),
        pytest.param("[redacted]", (), b"cmVkYWN0ZWQ=\r\n", id="sasl"),
        pytest.param("[5 octets]", (), b"XXXXX\r\n", id="a word"),
        pytest.param("[5 octets]", ("SG401",), b"GET / HTTP/1.1\r\n", id="another protocol"),
        pytest.param("[1234 octets of content]", (), b"x\r\n", id="content"),
        pytest.param("[1234 octets of content]", ("SG304",), b"x\r\n\0.\r\n", id="hidden end"),
        pytest.param("[9 octets of content]", ("SG304", "SG305"), b"x\nx\r\nx\r\n\0.\r\n", id="both"),
        pytest.param("[7 octets of chunk]", (), b"xxxxxxx", id="chunk"),
    ],
)
def test_what_a_transcript_left_out_is_made_up_to_the_same_effect(
    line: str, rules_of: tuple[str, ...], octets: bytes
) -> None:
    """Redacted lines, content, chunks, line ends."""
    assert items_of(records((0.1, "C", line, 1, *rules_of))) == [Piece(0.1, C, octets)]


def test_a_large_chunk_comes_in_parts() -> None:
    """Its size is what counts; its octets are not in memory all at once."""
    items = items_of(records((0.1, "C", "[200000 octets of chunk]", 1)))
    assert sum(len(item.octets) for item in items if isinstance(item, Piece)) == 200_000
    assert len(items) == 4
    assert len(items_of(records((0.1, "C", "[131072 octets of chunk]", 1)))) == 2
