"""Golden lines: the operator log word by word."""

import pytest

from smtpguard.record import lines
from smtpguard.record.lines import Level, Line
from smtpguard.smtp import Close, Finding, SessionEnded, State, Verb, Verdict, Waiting
from tests.record.samples import DECLINED, HOST, LINK, NOW, ended, finding, link, noted

FIELDS = "proto=ESMTP helo=<mail.example.net> session=01JDFZ8Q0V7M listener=0.0.0.0:25 state=envelope"
CAUSE = "cause=all-recipients-refused seq=4 count=1"


def end_lines(event: SessionEnded, *, threshold: Level = Level.DEBUG, noticed: bool = False) -> list[tuple[str, str]]:
    """Return level and text of the lines of a session's end."""
    made = lines.ended(LINK, NOW, event, threshold=threshold, noticed=noticed, held_back={})
    return [(line.level.name, line.text) for line in made]


@pytest.mark.parametrize(
    ("event", "level", "text"),
    [
        pytest.param(
            finding(),
            Level.INFO,
            f"NOQUEUE: reject: DATA from {HOST}: 503 5.5.1 <DATA>: Bad sequence of commands: send RCPT first; "
            f"{FIELDS} rule=SG104 {CAUSE} action=answered",
            id="refused",
        ),
        pytest.param(
            finding("SG306", verb=Verb.BDAT, line=b"BDAT  5\x00", verdict=Verdict.CLOSE, enforced=Verdict.CLOSE),
            Level.INFO,
            f"NOQUEUE: reject: BDAT from {HOST}: 501 5.5.4 <BDAT  5\\x00>: Syntax: BDAT size [LAST]; "
            f"{FIELDS} rule=SG306 {CAUSE} action=closed",
            id="closed",
        ),
        pytest.param(
            noted("SG102", Verdict.REFUSE, verb=Verb.RCPT, line=b"RCPT TO:<x@example.com>", detail="two words"),
            Level.INFO,
            f"NOQUEUE: reject_warning: RCPT from {HOST}: 503 5.5.1 <RCPT TO:<x@example.com>>: Bad sequence of "
            f"commands: send MAIL first; {FIELDS} rule=SG102 {CAUSE} detail=<two words> action=relayed",
            id="observed",
        ),
        pytest.param(
            finding("SG101", verb=Verb.MAIL, line=b"MAIL FROM:<a@example.net>"),
            Level.INFO,
            f"NOQUEUE: reject: MAIL from {HOST}: 503 5.5.1 Bad sequence of commands: send EHLO first; "
            f"line=<MAIL FROM:<a@example.net>> {FIELDS} rule=SG101 {CAUSE} action=answered",
            id="mail-has-its-line-behind",
        ),
        pytest.param(
            noted("SG301"),
            Level.INFO,
            f"NOQUEUE: note: DATA from {HOST}: 500 5.5.2 <DATA>: Bare LF received: end every line with CRLF; "
            f"{FIELDS} rule=SG301 {CAUSE} action=relayed",
            id="noted",
        ),
        pytest.param(
            noted("SG201", verb=Verb.GREETING, line=b""),
            Level.INFO,
            f"NOQUEUE: note: CONNECT from {HOST}: 554 5.5.0 SMTP protocol synchronisation error; "
            f"{FIELDS} rule=SG201 {CAUSE} action=relayed",
            id="no-line",
        ),
        pytest.param(
            finding(consequence=True),
            Level.DEBUG,
            f"NOQUEUE: consequence: DATA from {HOST}: 503 5.5.1 <DATA>: Bad sequence of commands: send RCPT first; "
            f"{FIELDS} rule=SG104 {CAUSE} action=answered",
            id="consequence",
        ),
        pytest.param(
            finding("SG304", verb=Verb.CONTENT, line=b"", verdict=Verdict.CLOSE, enforced=Verdict.CLOSE),
            Level.INFO,
            f"NOQUEUE: reject: END-OF-MESSAGE from {HOST}: 550 5.5.2 Message content holds an end of content that is "
            f"not CRLF.CRLF; {FIELDS} rule=SG304 {CAUSE} action=closed",
            id="content",
        ),
        pytest.param(
            noted("SG503", detail="reset"),
            Level.WARNING,
            f"warning: upstream 127.0.0.1:10025: upstream-closed: reset; client={HOST} "
            f"{FIELDS} rule=SG503 {CAUSE} detail=reset action=relayed",
            id="upstream",
        ),
        pytest.param(
            noted("SG505"),
            Level.INFO,
            f"NOQUEUE: note: DATA from {HOST}: <DATA>: UPSTREAM accepted what the order forbids, or answered 500, "
            f"502 or 503 to what is legal; {FIELDS} rule=SG505 {CAUSE} action=relayed",
            id="fact-about-upstream",
        ),
        pytest.param(
            finding("SG501", verb=Verb.GREETING, line=b"", verdict=Verdict.NOTE, enforced=Verdict.NOTE),
            Level.DEBUG,
            f"NOQUEUE: note: CONNECT from {HOST}: 421 4.3.2 Service not available, try again later; "
            f"{FIELDS} rule=SG501 {CAUSE} action=closed",
            id="unreachable-is-summed",
        ),
        pytest.param(
            finding("SG603", verdict=Verdict.CLOSE, enforced=Verdict.CLOSE, line=b""),
            Level.DEBUG,
            f"NOQUEUE: note: DATA from {HOST}: 421 4.4.2 Timeout waiting for a command; "
            f"{FIELDS} rule=SG603 {CAUSE} action=closed",
            id="deadline-is-said-at-the-end",
        ),
    ],
)
def test_found(event: Finding, level: Level, text: str) -> None:
    """Each kind of finding has its word, its level and its fields."""
    assert lines.found(LINK, NOW, event) == Line(NOW, level, text, LINK, event.rule.id)


def test_wire_text_in_a_finding() -> None:
    """What a client sends stands escaped and cut in its line, and cannot make a second one."""
    wire = b"RCPT TO:<\x1b[2J\r\n\xe2\x80\xae" + b"x" * 999
    text = lines.found(LINK, NOW, finding("SG102", verb=Verb.RCPT, line=wire)).text
    assert "<RCPT TO:<\\x1b[2J\\x0d\\x0a\\xe2\\x80\\xaexxx" in text
    assert "xxx...>: Bad sequence" in text
    assert text.isascii()
    assert text.isprintable()


def test_before_any_hello() -> None:
    """A client that has not said hello speaks SMTP, and has no name; one that logged in under TLS speaks ESMTPSA."""
    nameless = lines.found(LINK, NOW, finding(hello=b"", esmtp=False)).text
    assert "; proto=SMTP session=" in nameless
    known = lines.found(LINK, NOW, finding(hello=b"a: b", tls=True, authenticated=True)).text
    assert "; proto=ESMTPSA helo=<a:\\x20b> session=" in known


def test_listener_with_blanks() -> None:
    """A value with a blank stands in angle brackets."""
    assert " listener=<two words> " in lines.found(link(listener="two words"), NOW, finding()).text


def test_small_events() -> None:
    """Connect, a declined command and the end of inspection are debug."""
    assert lines.started(LINK, NOW) == Line(NOW, Level.DEBUG, f"connect from {HOST}", LINK)
    assert lines.inspection_ended(LINK, NOW).text == "session 01JDFZ8Q0V7M: inspection ended at STARTTLS"
    declined = lines.declined(LINK, NOW, DECLINED)
    assert declined.level is Level.DEBUG
    assert declined.text == (
        f"NOQUEUE: declined: STARTTLS from {HOST}: 454 4.7.0 TLS not available; session=01JDFZ8Q0V7M "
        "listener=0.0.0.0:25 state=identified setting=tls.mode seq=2 action=answered"
    )


DISCONNECT = f"disconnect from {HOST} ehlo=1 mail=1 rcpt=1/2 data=1 quit=1 commands=5/6"
SUM = (
    "session 01JDFZ8Q0V7M: listener=0.0.0.0:25 upstream=127.0.0.1:10025 tls=no visible=full violations=0 in=812 "
    "out=404 secs=0.4 close=quit consequences=0 helo=<mail.example.net>"
)


def test_clean_session() -> None:
    """A clean session is one line at info; its sum is debug."""
    assert end_lines(ended(), threshold=Level.INFO) == [("INFO", DISCONNECT)]
    assert end_lines(ended()) == [("INFO", DISCONNECT), ("DEBUG", SUM)]
    assert end_lines(ended(), threshold=Level.WARNING) == []


def test_noticed_session_is_summed() -> None:
    """Where a finding was written, the session's sum is, too."""
    assert end_lines(ended(), threshold=Level.INFO, noticed=True) == [("INFO", DISCONNECT), ("INFO", SUM)]


def test_probe_is_debug() -> None:
    """A balancer's check says nothing at info."""
    probe = ended(probe=True, commands={}, last_verb=None, close=Close.CLIENT_GONE, hello=b"")
    assert end_lines(probe, threshold=Level.INFO) == []
    assert [level for level, _ in end_lines(probe)] == ["DEBUG"] * 3
    assert end_lines(probe)[1][1] == f"disconnect from {HOST} commands=0"


def test_held_back_findings() -> None:
    """Findings without a line of their own are counted in one."""
    made = lines.ended(LINK, NOW, ended(), threshold=Level.INFO, noticed=True, held_back={"SG104": 130, "SG102": 7})
    assert next(iter(made)).text == "session 01JDFZ8Q0V7M: 137 more findings: SG102=7 SG104=130"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"close": Close.CLIENT_GONE, "last_verb": Verb.RCPT}, "lost connection after RCPT"),
        ({"close": Close.CLIENT_GONE, "last_verb": None}, "lost connection after CONNECT"),
        ({"close": Close.CLIENT_GONE, "waiting_for": Waiting.CONTENT.value}, "lost connection after DATA"),
        ({"close": Close.CLIENT_GONE, "waiting_for": Waiting.VERDICT.value}, "lost connection after END-OF-MESSAGE"),
        ({"close": Close.CLIENT_GONE, "last_verb": Verb.DATA}, "lost connection after END-OF-MESSAGE"),
        (
            {"close": Close.CLIENT_GONE, "last_verb": Verb.DATA, "commands": {Verb.DATA: (0, 1)}},
            "lost connection after DATA",
        ),
        (
            {"close": Close.CLIENT_GONE, "last_verb": Verb.DATA, "state": State.RECIPIENTS},
            "lost connection after DATA",
        ),
        ({"close": Close.DEADLINE, "last_verb": Verb.MAIL, "rules": {"SG603": 1}}, "timeout after MAIL"),
        ({"close": Close.LIMIT, "last_verb": Verb.DATA, "rules": {"SG601": 1}}, "too many errors after END-OF-MESSAGE"),
    ],
)
def test_farewells(changes: dict[str, object], words: str) -> None:
    """Postfix's three farewells come before `disconnect`, and nothing stands behind the host."""
    assert end_lines(ended(**changes))[0] == ("INFO", f"{words} from {HOST}")


@pytest.mark.parametrize(
    "changes",
    [{"close": Close.DEADLINE, "rules": {"SG503": 1}}, {"close": Close.LIMIT, "rules": {"SG602": 1}}],
    ids=["upstream-too-late", "other-limit"],
)
def test_no_farewell(changes: dict[str, object]) -> None:
    """A deadline of UPSTREAM is not the client's timeout, and not every limit is about errors."""
    assert end_lines(ended(**changes))[0][1].startswith("disconnect from ")


def test_sum_of_an_opaque_and_of_a_foreign_session() -> None:
    """The sum says how far the session was seen."""
    opaque = end_lines(ended(opaque=True, tls=True))[-1][1]
    assert " tls=yes visible=until-starttls " in opaque
    foreign = end_lines(ended(not_smtp=True, hello=b"a b\x1b"))[-1][1]
    assert " tls=no visible=none " in foreign
    assert foreign.endswith("helo=<a b\\x1b>")


def test_every_verb_that_is_a_command_has_its_column() -> None:
    """No command is missing in `disconnect`."""
    counted = [verb for verb in Verb if verb not in (Verb.GREETING, Verb.CONTENT, Verb.SASL)]
    text = end_lines(ended(commands={verb: (0, 2) for verb in counted}))[0][1]
    assert all(f" {verb.value.lower()}=0/2" in text for verb in counted)
    assert text.endswith(f"commands=0/{2 * len(counted)}")
    assert text.index(" helo=") < text.index(" ehlo=") < text.index(" mail=") < text.index(" quit=")


def test_unreachable_upstream() -> None:
    """One line a tick, however many sessions met it."""
    one = lines.unreachable(NOW, "127.0.0.1:10025", "connection refused", 1)
    text = "warning: upstream 127.0.0.1:10025: connection refused; 1 session answered 421"
    assert one == Line(NOW, Level.WARNING, text, None, "SG501")
    assert lines.unreachable(NOW, "mx:25", "", 12).text.endswith("mx:25: unreachable; 12 sessions answered 421")


def test_priorities() -> None:
    """Syslog's numbers."""
    assert {level.name: level.priority for level in Level} == {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3}
