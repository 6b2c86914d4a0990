"""The transcript at a session's end: written by hand, one conversation a test."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpguard.smtp import CATALOGUE, Close, Limits, Policy, Session, Side, Transcript, TranscriptMode, policy_for
from smtpguard.smtp.replies import SHUTTING_DOWN
from smtpguard.smtp.syntax import parse_command
from smtpguard.smtp.transcript import LINE_KEPT, LINES, REPLY_KEPT, Ring

ID = "1M856DF92690"
C, U = Side.CLIENT, Side.UPSTREAM
OFFERED = b"250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 AUTH PLAIN\r\n"
OPEN = [(U, b"220 mx\r\n"), (C, b"EHLO c\r\n"), (U, OFFERED)]
ENVELOPE = [*OPEN, (C, b"MAIL FROM:<a@x>\r\n"), (U, b"250 ok\r\n")]
RECIPIENTS = [*ENVELOPE, (C, b"RCPT TO:<b@y>\r\n"), (U, b"250 ok\r\n")]
CONTENT = [*RECIPIENTS, (C, b"DATA\r\n"), (U, b"354 go\r\n")]

Said = list[tuple[Side, bytes]]
Shown = list[tuple[str, str, int, tuple[str, ...]]]


def policy(mode: TranscriptMode = TranscriptMode.ALWAYS, *, observing: bool = False) -> Policy:
    """Return the standard policy with a transcript in each session."""
    plain = policy_for(observing=observing)
    return Policy(
        before_auth=plain.before_auth,
        after_auth=plain.after_auth,
        observing=observing,
        limits=Limits(violations=0, empty_commands=0),
        transcript=mode,
    )


def play(said: Said, rules: Policy | None = None, *, close: bool = True) -> Session:
    """Play a conversation, one second between two reads; CLIENT closes at the end."""
    session = Session(rules or policy(), session_id=ID)
    for second, (side, octets) in enumerate(said, 1):
        session.at = float(second)
        session.receive(side, octets)
    if close and not session.over:
        session.receive_eof(C)
    return session


def shown(session: Session) -> Shown:
    """Return the lines: voice, text, piece, rules."""
    return [
        (line.voice.value, line.text.decode("latin-1"), line.piece, line.rules)
        for line in session.ended().transcript.lines
    ]


def texts(session: Session) -> list[str]:
    """Return the lines as `C text`."""
    return [f"{voice} {text}" for voice, text, _, _ in shown(session)]


def test_a_session_line_by_line() -> None:
    """Each line once, a reply of many lines as many; content is counted, and so is its dot."""
    said = [*CONTENT, (C, b"Subject: x\r\n\r\nsecret\r\n.\r\n"), (U, b"250 queued\r\n"), (C, b"QUIT\r\n")]
    session = play([*said, (U, b"221 bye\r\n")])
    assert texts(session) == [
        "U 220 mx",
        "C EHLO c",
        "U 250-mx",
        "U 250-PIPELINING",
        "U 250-CHUNKING",
        "U 250 AUTH PLAIN",
        "C MAIL FROM:<a@x>",
        "U 250 ok",
        "C RCPT TO:<b@y>",
        "U 250 ok",
        "C DATA",
        "U 354 go",
        "C [22 octets of content]",
        "C .",
        "U 250 queued",
        "C QUIT",
        "U 221 bye",
    ]


def test_an_empty_message_is_a_dot() -> None:
    """No octet of content: only the dot is a line."""
    assert texts(play([*CONTENT, (C, b".\r\n"), (U, b"250 ok\r\n")]))[-2:] == ["C .", "U 250 ok"]


def test_when_and_in_which_piece() -> None:
    """A line stands where its turn came, and says when it was read, and with what."""
    group = b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDA"
    said = [*OPEN, (C, group), (C, b"TA\r\n"), (U, b"250 1\r\n"), (U, b"250 2\r\n"), (U, b"550 3\r\n")]
    lines = play(said).ended().transcript.lines
    assert [(line.text, line.at, line.piece) for line in lines[5:]] == [
        (b"250 AUTH PLAIN", 3.0, 2),
        (b"MAIL FROM:<a@x>", 4.0, 2),
        (b"250 1", 6.0, 3),
        (b"RCPT TO:<b@y>", 4.0, 2),
        (b"250 2", 7.0, 4),
        (b"DATA", 5.0, 3),
        (b"550 3", 8.0, 5),
    ]


def test_lines_held_one_octet_at_a_time() -> None:
    """A border inside a line is none; the next line still knows its own read."""
    octets = b"MAIL FROM:<a@x>\r\nRCPT TO:<b%s@y>\r\nDATA\r\n" % (b"b" * 300)
    said: Said = [*OPEN, *((C, octets[at : at + 1]) for at in range(len(octets)))]
    lines = play([*said, (U, b"250 1\r\n"), (U, b"250 2\r\n")]).ended().transcript.lines
    assert [line.piece for line in lines if line.voice.value == "C"] == [1, 18, 333, 339]


def test_lines_held_in_more_reads_than_are_told_apart() -> None:
    """256 reads with a line end each are told apart; what comes after them counts as one."""
    said: Said = [*ENVELOPE, (C, b"NOOP\r\n"), *((C, b"RSET\r\n") for _ in range(300))]
    session = play(said, close=False)
    for _ in range(301):
        session.receive(U, b"250 ok\r\n")
    pieces = [line.piece for line in session.ended().transcript.lines if line.voice.value == "C"]
    assert pieces[-50:] == [254, 255, 256, 257, 258, 259] + [303] * 44


def test_the_offending_line_is_charged() -> None:
    """The refused line bears the rule; our answer stands behind it as ours."""
    session = play([*OPEN, (C, b"RCPT TO:<b@y>\r\n"), (C, b"NOOP\r\n"), (U, b"250 ok\r\n")])
    assert shown(session)[-4:] == [
        ("C", "RCPT TO:<b@y>", 2, ("SG102",)),
        ("G", f"503 5.5.1 Bad sequence of commands: send MAIL first [SG102 {ID}]", 0, ()),
        ("C", "NOOP", 3, ()),
        ("U", "250 ok", 3, ()),
    ]


def test_two_rules_of_one_line() -> None:
    """MAIL before EHLO with a bare LF: both stand beside the line, each once."""
    session = play([(U, b"220 mx\r\n"), (C, b"MAIL FROM:<a@x>\n")])
    assert shown(session)[1][:3] == ("C", "MAIL FROM:<a@x>", 1)
    assert set(shown(session)[1][3]) == {"SG101", "SG301"}


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b"AUTH PLAIN AHUAcGFzcw==\r\n", "AUTH [redacted]"),
        (b"AHUAcGFzcw==\r\n", "[12 octets]"),
        (b"VRFY bob\r\n", "VRFY [redacted]"),
        (b"QUIT now\r\n", "QUIT [redacted]"),
        (b"noop\r\n", "NOOP"),
        (b"BDAT x y z\r\n", "BDAT x y z"),
        (b"BDATs3cret 1\r\n", "[12 octets]"),
        (b"XCLIENT ADDR=192.0.2.1\r\n", "XCLIENT [redacted]"),
    ],
)
def test_what_is_not_shown(line: bytes, kept: str) -> None:
    """Arguments are kept for EHLO, HELO, MAIL, RCPT and BDAT only."""
    assert f"C {kept}" in texts(play([*OPEN, (C, line)]))


def test_an_auth_exchange_leaves_no_credential() -> None:
    """Neither a SASL line nor a reply that quotes one."""
    said = [*OPEN, (C, b"AUTH LOGIN\r\n"), (U, b"334 VXNlcm5hbWU6\r\n"), (C, b"dTE=\r\n"), (U, b"535 no dTE=\r\n")]
    assert texts(play(said))[6:] == ["C AUTH [redacted]", "U 334 [redacted]", "C [redacted]", "U 535 [redacted]"]


@pytest.mark.parametrize(
    ("command", "reply", "kept"),
    [
        (b"RSET\r\n", b"250 flushed\r\n", "250 flushed"),
        (b"RSET s3cret\r\n", b"501 s3cret?\r\n", "501 [redacted]"),
        (b"VRFY bob\r\n", b"252 bob\r\n", "252 [redacted]"),
        (b"s3cret\r\n", b"500-s3cret\r\n500 unknown\r\n", "500-[redacted]"),
    ],
)
def test_a_reply_may_quote_what_it_answers(command: bytes, reply: bytes, kept: str) -> None:
    """So its text is kept only where the command's argument is, or where there was none."""
    assert texts(play([*OPEN, (C, command), (U, reply)]))[-1] == f"U {kept}"


def test_a_chunk_and_a_refused_chunk_are_counted() -> None:
    """BDAT: the line, the octets, then the reply; those of a refused chunk are swallowed and counted as well."""
    said = [*RECIPIENTS, (C, b"BDAT 4 LAST\r\nab"), (C, b"c\n"), (U, b"250 ok\r\n"), (C, b"BDAT 3\r\nxyz")]
    assert [line[:2] for line in shown(play(said))[10:15]] == [
        ("C", "BDAT 4 LAST"),
        ("C", "[4 octets of chunk]"),
        ("U", "250 ok"),
        ("C", "BDAT 3"),
        ("C", "[3 octets of chunk]"),
    ]
    assert shown(play(said))[13][3] == ("SG103",)


def test_a_hidden_end_is_charged_to_the_content() -> None:
    """The dot guard's finding stands beside the octets it was found in, before our answer."""
    session = play([*CONTENT, (C, b"a\r\n\n.\r\nMAIL FROM:<e@x>\r\n")])
    content, answer = shown(session)[-2:]
    assert content == ("C", "[24 octets of content]", 5, ("SG305", "SG304"))
    assert answer[:2] == ("G", f"550 5.5.2 {answer[1][10:]}")


def test_a_bare_newline_is_charged_to_the_content() -> None:
    """Noted while content goes on: the rule waits for the line that content becomes."""
    assert shown(play([*CONTENT, (C, b"a\nb\r\n.\r\n"), (U, b"250 ok\r\n")]))[-3:] == [
        ("C", "[5 octets of content]", 5, ("SG305",)),
        ("C", ".", 5, ()),
        ("U", "250 ok", 6, ()),
    ]


def test_another_protocol_is_octets() -> None:
    """Nothing of its text is kept."""
    session = play([(U, b"220 mx\r\n"), (C, b"GET / HTTP/1.0\r\n\r\n")])
    assert shown(session)[1] == ("C", "[18 octets]", 1, ("SG401",))
    assert shown(session)[2][0] == "G"


def test_an_early_talker_is_charged_for_its_first_line() -> None:
    """SG201 is found before the line is taken."""
    session = play([(C, b"EHLO c\r\n"), (U, b"220 mx\r\n"), (U, b"250 ok\r\n")])
    assert shown(session)[:2] == [("U", "220 mx", 1, ()), ("C", "EHLO c", 1, ("SG201",))]


def test_octets_behind_quit_are_counted() -> None:
    """What is discarded behind QUIT is charged as what it is."""
    session = play([*OPEN, (C, b"QUIT\r\nRSET\r\n"), (U, b"221 bye\r\n")])
    assert shown(session)[-2:] == [("U", "221 bye", 3, ()), ("C", "[6 octets]", 2, ("SG206",))]


def test_content_that_is_refused_before_its_end() -> None:
    """UPSTREAM's verdict comes in the middle: what was sent so far stands before it."""
    session = play([*CONTENT, (C, b"abc"), (U, b"552 too big\r\n")])
    assert texts(session)[-2:] == ["C [3 octets of content]", "U 552 too big"]


def test_content_that_never_ends() -> None:
    """CLIENT is gone in the middle of it."""
    session = play([*CONTENT, (C, b"abc")], close=False)
    session.lost(C)
    assert texts(session)[-1] == "C [3 octets of content]"


def test_upstream_closes() -> None:
    """A fact about UPSTREAM is charged to our answer, not to CLIENT."""
    session = play([*OPEN, (C, b"MAIL FROM:<a@x>\r\n")], close=False)
    session.at = 9.0
    session.receive_eof(U)
    last = session.ended().transcript.lines[-1]
    assert (last.voice.value, last.at, last.rules) == ("G", 9.0, ("SG503",))
    assert shown(session)[-2] == ("C", "MAIL FROM:<a@x>", 2, ())


def test_an_unsolicited_421_and_a_dismissal() -> None:
    """Both are said without a command before them."""
    assert texts(play([*OPEN, (U, b"421 going\r\n")]))[-1] == "U 421 going"
    session = play(OPEN, close=False)
    session.dismiss(SHUTTING_DOWN, Close.SHUTDOWN)
    assert texts(session)[-1].startswith("G 421 ")


def test_a_line_that_is_too_long() -> None:
    """Of the line only its first word is kept; it is the one that is charged."""
    session = play([*OPEN, (C, b"MAIL FROM:<" + b"a" * 5000 + b"\r\n")])
    assert shown(session)[6] == ("C", "MAIL", 2, ("SG303",))


def test_lines_and_replies_are_cut() -> None:
    """512 octets of a line; of a reply 1024, less the word that would be cut."""
    long = b"MAIL FROM:<" + b"a" * 1000 + b">\r\n"
    reply = b"".join(b"250-%02d %s %s\r\n" % (n, b"b" * 600, b"c" * 9) for n in range(9)) + b"250 end\r\n"
    lines = play([*OPEN, (C, long), (U, reply)]).ended().transcript.lines[6:]
    assert lines[0].text == long[:LINE_KEPT]
    assert [line.text for line in lines[1:]] == [b"250-00 %s %s" % (b"b" * 600, b"c" * 9), b"250-01"]


def test_content_with_a_command_behind_it() -> None:
    """What stands behind the dot is no content, though it came in the same piece."""
    session = play([*CONTENT, (C, b"ab\r\n.\r\nQUIT\r\n"), (U, b"250 ok\r\n"), (U, b"221 bye\r\n")])
    assert texts(session)[-5:] == ["C [4 octets of content]", "C .", "U 250 ok", "C QUIT", "U 221 bye"]


def test_lines_that_wait_are_not_counted_as_octets() -> None:
    """Our answer is said while another line is held: that line has its turn, and stands once."""
    session = play([*OPEN, (C, b"RCPT TO:<b@y>\r\nNOOP\r\n"), (U, b"250 ok\r\n")])
    assert [text[:13] for text in texts(session)[-4:]] == ["C RCPT TO:<b@", "G 503 5.5.1 B", "C NOOP", "U 250 ok"]


def test_a_line_is_charged_after_others_were_dropped() -> None:
    """Numbers go on where the ring begins anew; of what went, each line counts, also those of a long reply."""
    noise: Said = []
    for _ in range(200):
        noise += [(C, b"NOOP\r\n"), (U, b"250 ok\r\n")]
    tail: Said = [(C, b"DATA\r\n"), *noise[:102], (C, b"QUIT\r\nx"), (U, b"221 bye\r\n")]
    transcript = play([*OPEN, *noise, *tail]).ended().transcript
    assert [(line.text, line.rules) for line in transcript.lines if line.rules] == [
        (b"DATA", ("SG103",)),
        (b"[1 octets]", ("SG206",)),
    ]
    assert transcript.omitted + len(transcript.lines) == 1 + 1 + 4 + 400 + 2 + 102 + 3


def test_where_none_is_wanted_nothing_is_kept() -> None:
    """The ring itself stays empty."""
    ring = Ring(kept=False)
    command = parse_command(b"NOOP\r\n")
    ring.said(command, 1.0, 1)
    ring.heard(command, b"250 ok\r\n", 1.0, 1)
    ring.spoke(b"503 no\r\n", 1.0)
    ring.charge(CATALOGUE["SG206"], unread=True)
    ring.ended_content(10, 1.0, 1)
    assert ring.transcript() == Transcript()


def test_a_ring_of_long_lines_is_small() -> None:
    """A thousand lines of 4 KiB and replies of 60 KiB leave no more than 256 entries of the sizes that are kept."""
    reply = b"".join(b"250-%d\r\n" % number for number in range(6000)) + b"250 end\r\n"
    tracemalloc.start()
    ring = Ring()
    for number in range(1000):
        ring.said(parse_command(b"MAIL FROM:<%d%s\r\n" % (number, b"a" * 4000)), 1.0, 1)
        ring.heard(parse_command(b"EHLO\r\n"), b"%d%s" % (number, reply), 1.0, 1)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 128 * (LINE_KEPT + 200) + 128 * (REPLY_KEPT + 200)


def test_the_oldest_lines_go() -> None:
    """200 lines are kept, and those before them counted, each line of a long reply."""
    said: Said = [*OPEN]
    for _ in range(99):
        said += [(C, b"NOOP\r\n"), (U, b"250 ok\r\n")]
    transcript = play(said).ended().transcript
    assert len(transcript.lines) == LINES
    assert transcript.omitted == 1 + 1 + 4 + 198 - LINES
    assert [line.text for line in transcript.lines[:3]] == [b"250-CHUNKING", b"250 AUTH PLAIN", b"NOOP"]


@pytest.mark.parametrize("mode", [TranscriptMode.ON_FINDING, TranscriptMode.NEVER])
@pytest.mark.parametrize(
    ("said", "bad"),
    [
        ([*OPEN, (C, b"QUIT\r\n"), (U, b"221 bye\r\n")], False),
        (OPEN, False),
        ([*OPEN, (C, b"DATA\r\n")], True),
        (ENVELOPE, True),
        ([*CONTENT, (C, b"a\nb\r\n.\r\n"), (U, b"250 ok\r\n")], True),
        ([*OPEN, (U, b"421 going\r\n")], True),
        ([*OPEN, (C, b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n"), (U, b"550 no\r\n")], True),
    ],
)
def test_when_it_is_handed_out(mode: TranscriptMode, said: Said, bad: bool) -> None:
    """On a finding, a consequence too, and on a bad end: lost inside a transaction, 421."""
    transcript = play(said, policy(mode)).ended().transcript
    assert bool(transcript.lines) == (bad and mode is TranscriptMode.ON_FINDING)


@given(st.lists(st.sampled_from([b"NOOP\r\n", b"x\r\n", b"MAIL FROM:<a@x>\r\n", b"EHLO c\r\n", b"\n"]), max_size=40))
def test_every_line_of_client_is_there_once(lines: list[bytes]) -> None:
    """Whatever was taken is in the transcript, in its order, before its answer."""
    session = Session(policy(observing=True), session_id=ID)
    session.receive(U, b"220 mx\r\n")
    for line in lines:
        session.receive(C, line)
        session.receive(U, b"250 ok\r\n")
    transcript = session.ended().transcript
    assert len([line for line in transcript.lines if line.voice.value == "C"]) == len(lines)
    assert len([line for line in transcript.lines if line.voice.value == "U"]) == len(lines) + 1
