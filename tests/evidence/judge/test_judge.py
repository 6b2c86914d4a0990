"""Recorded conversations, written by hand, and what must be found in them."""

from dataclasses import replace

import pytest

from smtpguard.evidence.judge.judge import Ended, Item, Judge, Judged, Lost, Piece, TlsUp, judge, terms_of
from smtpguard.smtp import CATALOGUE, Close, Policy, Profile, Side, TranscriptMode, Verdict, policy_for, table

C, U = Side.CLIENT, Side.UPSTREAM
GREETED = "U 220 mx\nC EHLO client\nU 250-mx|250-PIPELINING|250 CHUNKING\n"
LOCK_STEP = "U 220 mx\nC EHLO client\nU 250 mx\n"
FROM, TO = "MAIL FROM:<a@client.example>", "RCPT TO:<b@mx.example>"
SID = "0123456789AB"


def record(text: str) -> list[Item]:
    """Make a record: a line is a piece, `|` a line end inside of one; octets in Python's spelling."""
    items: list[Item] = []
    for number, line in enumerate(text.strip().splitlines()):
        side, _, said = line.partition(" ")
        octets = said.encode("latin-1").decode("unicode_escape").encode("latin-1").replace(b"|", b"\r\n") + b"\r\n"
        items.append(Piece(float(number), C if side == "C" else U, octets))
    return items


def found(judged: Judged) -> list[tuple[str, bytes, int]]:
    """Return each finding's rule, line, and the number of its command."""
    return [(each.finding.rule.id, each.finding.line, each.finding.sequence) for each in judged.findings]


def ours(rule_id: str) -> str:
    """Return a guard's own answer."""
    answer = CATALOGUE[rule_id].answer
    assert answer is not None
    return answer.spoken(rule_id, SID).decode().removesuffix("\r\n")


def plainly(text: str, policy: Policy | None = None, **settings: bool) -> Judged:
    """Judge a record that begins with the connection."""
    return judge(record(text), policy or policy_for(), start=settings.get("start", True))


# --- what is found ---------------------------------------------------------------------------------------------------


def test_a_session_in_order() -> None:
    """A whole lawful session: nothing is found, and it is complete."""
    judged = plainly(
        f"{GREETED}C {FROM}\nU 250 ok\nC {TO}\nU 250 ok\nC DATA\nU 354 go\nC hi|.\nU 250 ok\nC QUIT\nU 221 x"
    )
    assert judged.findings == ()
    assert (judged.began, judged.judged_from, judged.complete, judged.unjudged) == ("greeting", 0, True, 0)
    assert judged.ended.close is Close.QUIT
    assert judged.ended.accepted_messages == 1


@pytest.mark.parametrize("mode", [False, True], ids=["enforce", "observe"])
def test_state_follows_the_record(mode: bool) -> None:
    """A RCPT that was refused leaves no transaction, whatever the mode of the policy; `enforced` is what counts."""
    judged = plainly(f"{GREETED}C {TO}\nU 503 no\nC {FROM}\nU 250 ok\nC {TO}\nU 250 ok", policy_for(observing=mode))
    assert found(judged) == [("SG102", TO.encode(), 2)]
    (one,) = judged.findings
    assert (one.finding.verdict, one.finding.enforced) == (Verdict.NOTE, Verdict.REFUSE)
    assert (one.piece, one.at, one.octet) == (3, 3.0, 13)
    assert not judged.complete


def test_upstreams_truth() -> None:
    """A server that accepts RCPT without MAIL is followed: DATA is in order then, and the surprise is recorded."""
    judged = plainly(f"{GREETED}C {TO}\nU 250 fine\nC DATA\nU 354 go")
    assert [rule for rule, _, _ in found(judged)] == ["SG102", "SG505"]
    assert judged.findings[1].octet == 13


# (a) Lines that the engine answers itself, in every mode: XCLIENT (SG405), a control octet (SG302), BDAT without
# CHUNKING with its payload (SG107). Their recorded replies belong to them and to no other line.
SAFE = {
    "SG405": (b"XCLIENT ADDR=192.0.2.1\r\n", "550 no", ["SG405"]),
    "SG302": (b"NOOP \x01\r\n", "250 ok", ["SG302"]),
    "SG107": (b"BDAT 4\r\nabcd", "503 no", ["SG103", "SG107"]),
}


@pytest.mark.parametrize("rule_id", SAFE)
def test_a_recorded_reply_to_what_the_engine_answers(rule_id: str) -> None:
    """It is dropped; the next reply belongs to the next line."""
    octets, reply, rules = SAFE[rule_id]
    tail = record(f"U {reply}\nC {FROM}\nU 250 ok\nC {FROM}\nU 503 no")
    judged = judge([*record(LOCK_STEP), Piece(3, C, octets), *tail], policy_for(), start=True)
    assert [rule for rule, _, _ in found(judged)] == [*rules, "SG105"]
    assert judged.parted is None


def test_such_lines_pipelined() -> None:
    """Three in one piece between lawful lines, their replies in one piece, too."""
    judged = plainly(
        f"{GREETED}C {FROM}|XCLIENT a=b|{TO}|TURN|DATA\nU 250 ok|502 no|250 ok\nU 502 no\nU 354 go\nC .\nU 250 ok"
    )
    assert found(judged) == [("SG405", b"XCLIENT [redacted]", 3), ("SG405", b"TURN", 5)]
    assert judged.ended.accepted_messages == 1


def test_a_reply_to_a_swallowed_chunk_before_its_end() -> None:
    """The server refuses BDAT as soon as it has read the line; the payload comes later."""
    items = [*record(LOCK_STEP), Piece(1, C, b"BDAT 6\r\nab"), *record("U 503 no"), Piece(2, C, b"cdef")]
    judged = judge([*items, *record(f"C {FROM}\nU 250 ok\nC {FROM}\nU 503 no")], policy_for(), start=True)
    assert [rule for rule, _, _ in found(judged)] == ["SG103", "SG107", "SG105"]


@pytest.mark.parametrize(
    ("rule_id", "line", "octets"),
    [
        ("SG303", "NOOP " + "x" * 5000, 13),
        ("SG306", f"{FROM}|{TO}|BDAT  4", 13 + len(FROM) + len(TO) + 4),
        ("SG205", "STARTTLS|EHLO again", 13),
    ],
)
def test_safe_closes(rule_id: str, line: str, octets: int) -> None:
    """Where the engine closes in every mode, what follows in the record is not judged, and that is said."""
    before = "U 250 ok|250 ok\n" if "MAIL" in line else ""
    judged = plainly(f"{GREETED}C {line}\n{before}U 500 no\nC {TO}\nU 503 no")
    assert [rule for rule, _, _ in found(judged)] == [rule_id]
    assert (judged.unjudged, judged.findings[0].octet) == (3, octets)
    assert judged.ended.close is Close.VIOLATION


def test_a_hidden_end_of_content() -> None:
    """SG304 closes, and points into the content."""
    judged = plainly(f"{GREETED}C {FROM}|{TO}|DATA\nU 250 ok|250 ok|354 go\nC text\\n.\\nMAIL FROM:<x>\nU 250 ok")
    assert [rule for rule, _, _ in found(judged)] == ["SG305", "SG304"]
    assert {each.octet for each in judged.findings} == {13 + len(FROM) + 2 + len(TO) + 2 + 6}


# (b)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_replies_however_cut(size: int) -> None:
    """Replies cut over pieces, or many in one: the findings are the same."""
    whole = record(f"{GREETED}C {TO}\nU 503 no\nC {FROM}\nU 250 ok\nC {FROM}\nU 503 no\nC QUIT\nU 221 bye")
    cut: list[Item] = []
    for one in whole:
        assert isinstance(one, Piece)
        cut += [one._replace(octets=one.octets[at : at + size]) for at in range(0, len(one.octets), size)]
    assert found(judge(cut, policy_for(), start=True)) == found(judge(whole, policy_for(), start=True))
    assert [rule for rule, _, _ in found(judge(cut, policy_for(), start=True))] == ["SG102", "SG105"]


# (c)
def test_the_middle_of_a_session_is_no_evidence() -> None:
    """RCPT without MAIL in a record without a greeting: MAIL may have been before, so nothing is found."""
    judged = judge(record(f"C {TO}\nU 503 no\nC {TO}\nU 503 no"), policy_for())
    assert (judged.began, judged.findings, judged.judged_from) == ("mid-stream", (), 4)


def test_a_hello_is_a_safe_point() -> None:
    """From EHLO and its reply on the state is known, and octets are counted from the record's beginning."""
    judged = judge(record(f"U 250 ok\nC EHLO client\nU 250 mx\nC {TO}\nU 503 no"), policy_for())
    assert (judged.began, judged.judged_from) == ("mid-stream", 1)
    assert found(judged) == [("SG102", TO.encode(), 2)]
    assert judged.findings[0].octet == 13


@pytest.mark.parametrize(
    "text",
    [
        # EHLO in content; pipelined with another line; refused; its reply may be another line's.
        f"C EHLO client\nC .\nU 250 ok\nC {TO}\nU 503 no",
        f"U 250 ok\nC EHLO client|{TO}\nU 250 mx|503 no",
        f"U 250 ok\nC EHLO client\nU 550 no\nC {TO}\nU 503 no",
        f"C .\nC EHLO client\nU 250 ok\nC {TO}\nU 503 no",
        f"U 250 ok\nC EHLO client\nU 250 mx|250 ok\nC {TO}\nU 503 no",
    ],
)
def test_no_safe_point(text: str) -> None:
    """Where the reply to a hello is not certain nothing is judged."""
    judged = judge(record(text), policy_for())
    assert (judged.began, judged.findings) == ("mid-stream", ())


def test_the_greeting_that_was_made_up_is_not_told() -> None:
    """A finding about the hello itself names no reply before it."""
    items = [*record("U 250 ok"), Piece(1, C, b"EHLO client\n"), *record("U 250 mx")]
    judged = judge(items, policy_for())
    assert [(each.finding.rule.id, each.finding.previous) for each in judged.findings] == [("SG301", None)]


def test_a_gap() -> None:
    """Behind missing octets the state is unknown up to the next hello."""
    items = record(f"{GREETED}C {FROM}\nU 250 ok")
    tail = record(f"C {FROM}\nU 503 no\nC EHLO again\nU 250-mx|250 SIZE\nC {TO}\nU 503 no")
    judged = judge([*items, Lost(9, U, 100), *tail], policy_for(), start=True)
    assert [rule for rule, _, _ in found(judged)] == ["SG102"]
    assert (judged.gaps, judged.began) == (1, "greeting")


def test_an_early_talker_is_no_late_capture() -> None:
    """Octets of CLIENT before the greeting: SG201, if the first reply is a 220."""
    judged = judge(record("C EHLO client\nU 220 mx\nU 250 mx"), policy_for())
    assert [(each.finding.rule.id, each.octet) for each in judged.findings] == [("SG201", 0)]


# (d)
@pytest.mark.parametrize(
    ("end", "complete", "rules"),
    [
        ([], False, []),
        ([Ended(9, C)], True, []),
        ([Ended(9, U)], True, ["SG503"]),
        ([Ended(9, C, reset=True)], True, []),
    ],
)
def test_how_it_ends(end: list[Item], complete: bool, rules: list[str]) -> None:
    """A record that stops in the middle of a command says nothing of anybody's leaving."""
    judged = judge([*record(f"{GREETED}C {FROM}"), *end], policy_for(), start=True)
    assert [rule for rule, _, _ in found(judged)] == rules
    # With FIN of CLIENT the reply is still awaited.
    assert judged.complete is (complete and end != [Ended(9, C)])


def test_half_closed() -> None:
    """FIN of CLIENT with a reply owed: the reply is heard, then it is over."""
    judged = judge([*record(f"{GREETED}C {TO}"), Ended(9, C), *record("U 503 no")], policy_for(), start=True)
    assert (found(judged), judged.complete) == ([("SG102", TO.encode(), 2)], True)


# (e)
def test_starttls_is_opaque() -> None:
    """What follows a TLS record is not read; where it begins is said."""
    text = f"{GREETED}C STARTTLS\nU 220 go\nC \\x16\\x03\\x01\nU \\x16\\x03\\x03\nC {TO}"
    judged = plainly(text)
    assert (judged.findings, judged.opaque_from, judged.ended.opaque) == ((), 5, True)


def test_inside_tls() -> None:
    """Where the record shows what was said inside, the hello is forgotten (RFC 3207 §4.2)."""
    items = [*record(f"{GREETED}C STARTTLS\nU 220 go"), TlsUp(5), *record(f"C {FROM}\nU 503 no")]
    judged = judge(items, policy_for(), start=True)
    assert [(each.finding.rule.id, each.finding.cause.value) for each in judged.findings] == [
        ("SG101", "no-ehlo-after-starttls")
    ]


# (g) A guard's own answers.
def test_a_chunk_refused_by_a_guard_opened_no_chunking() -> None:
    """MAIL behind it is in order; behind a server's refusal it is not."""
    tail = f"C {FROM}\nU 250 ok"
    by_guard = plainly(f"{GREETED}C BDAT 0\nU {ours('SG103')}\n{tail}")
    by_server = plainly(f"{GREETED}C BDAT 0\nU 503 no\n{tail}")
    assert [rule for rule, _, _ in found(by_guard)] == ["SG103"]
    assert [rule for rule, _, _ in found(by_server)] == ["SG103", "SG106", "SG505"]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (f"{GREETED}U {ours('SG603')}", ["SG603"]),
        (f"{GREETED}C {FROM}|{TO}|DATA\nU 250 x|250 x|354 x\nC text\nU {ours('SG604')}", ["SG604"]),
        (f"{GREETED}C NOOP\nU {ours('SG602')}", []),
        (f"{GREETED}C {TO}\nU {ours('SG601')}\nC {TO}", ["SG102", "SG601"]),
        (f"U {ours('SG501')}", ["SG501"]),
        (f"{GREETED}C {FROM}\nU {ours('SG503')}", ["SG503"]),
        (f"{GREETED}C {FROM}\nU {ours('SG502')}", ["SG502"]),
        (f"C EHLO a\nU {ours('SG201')}\nC x", ["SG201"]),
        (f"U 220 mx\nC GET / HTTP/1.1|Host: x|\nU {ours('SG401')}", ["SG401"]),
        (f"{GREETED}C {FROM}|{TO}|DATA|text\nU 250 x|250 x\nU {ours('SG204')}", ["SG204"]),
    ],
)
def test_what_a_guards_answer_tells(text: str, rules: list[str]) -> None:
    """What only the answer tells is found; what CLIENT sent behind an answer that closed is not judged."""
    judged = plainly(text, policy_for(Profile.STRICT))
    assert [rule for rule, _, _ in found(judged)] == rules
    assert judged.complete


def test_a_refusal_by_a_guard_is_no_surprise() -> None:
    """A 500 to a MAIL in bare LF was the guard's own; the same 500 of a server to a lawful line is SG505."""
    items = [*record(GREETED), Piece(3, C, FROM.encode() + b"\n")]
    by_guard = judge([*items, *record(f"U {ours('SG301')}")], policy_for(Profile.STRICT), start=True)
    by_server = judge([*items, *record("U 500 no")], policy_for(Profile.STRICT), start=True)
    assert [rule for rule, _, _ in found(by_guard)] == ["SG301"]
    assert [rule for rule, _, _ in found(by_server)] == ["SG301", "SG505"]


# (h)
def test_a_line_that_was_held() -> None:
    """Judged with the reply that it waited for; its place is its own, and it was sent ahead."""
    judged = plainly(f"{LOCK_STEP}C {FROM}|{TO}\nU 250 ok\nU 250 ok")
    (one,) = judged.findings
    assert (one.finding.rule.id, one.piece, one.octet, one.finding.sent_ahead) == ("SG202", 4, 13 + len(FROM) + 2, True)


def test_a_consequence() -> None:
    """DATA pipelined behind refused recipients blames nobody; sent afterwards it does."""
    at_once = plainly(f"{GREETED}C {FROM}|{TO}|DATA\nU 250 ok|550 no|554 no")
    after = plainly(f"{GREETED}C {FROM}\nU 250 ok\nC {TO}\nU 550 no\nC DATA\nU 554 no")
    assert [each.finding.consequence for each in (*at_once.findings, *after.findings)] == [True, False]


def test_out_of_step() -> None:
    """A reply too many, or none at all, ends it at the piece that is named."""
    for reply in ("250 more", "250-x|251 y", "nonsense"):
        judged = plainly(f"{GREETED}U {reply}\nC {TO}")
        assert [rule for rule, _, _ in found(judged)] == ["SG502"]
        assert (judged.parted, judged.unjudged) == (3, 1)


def test_policy_counts() -> None:
    """`enforced` follows the policy that is asked about; what it switches off is not found."""
    text = f"U 220 mx\nC {FROM}\nU 503 no"
    off = table(Profile.STANDARD, observing=False, changes={"SG101": Verdict.OFF})
    assert [each.finding.enforced.value for each in plainly(text).findings] == ["refuse"]
    assert [each.finding.enforced.value for each in plainly(text, policy_for(Profile.LENIENT)).findings] == ["note"]
    assert plainly(text, Policy(before_auth=off, after_auth=off)).findings == ()


def test_a_refused_line_of_an_exchange_closes() -> None:
    """Enforce cannot refuse a SASL line alone, so there it closes."""
    items = [*record(f"{GREETED}C AUTH LOGIN\nU 334 x"), Piece(5, C, b"YQ==\n"), *record("U 535 no")]
    judged = judge(items, policy_for(Profile.STRICT), start=True)
    assert [(each.finding.rule.id, each.finding.enforced) for each in judged.findings] == [("SG301", Verdict.CLOSE)]


def test_the_transcript_of_a_record() -> None:
    """Where the policy wants one, the sums hold a transcript with the record's times."""
    judged = plainly(f"{GREETED}C {TO}\nU 503 no")
    lines = judged.ended.transcript.lines
    assert [(line.at, line.voice.value, line.rules) for line in lines[-2:]] == [(3.0, "C", ("SG102",)), (4.0, "U", ())]


def test_memory() -> None:
    """Content is not kept, nor is what an upstream never answers, beyond a bound."""
    judging = Judge(terms_of(policy_for()), start=True)
    for one in record(f"{GREETED}C {FROM}|{TO}|DATA\nU 250 ok|250 ok|354 go"):
        judging.take(one)
    for _ in range(300):
        judging.take(Piece(0, C, b"x" * 65534 + b"\r\n"))
    assert judging._unread == b""
    held = Judge(policy_for(), start=True)
    for _ in range(300):
        held.take(Piece(0, C, b"NOOP\r\n" * 10000))
    assert (held.end().gaps, held._unread) == (1, b"")


def test_transcripts_can_be_left_out() -> None:
    """A policy without transcripts keeps none, which is what a replay of millions wants."""
    policy = replace(policy_for(), transcript=TranscriptMode.NEVER)
    assert plainly(f"{GREETED}C {TO}\nU 503 no", policy).ended.transcript.lines == ()
