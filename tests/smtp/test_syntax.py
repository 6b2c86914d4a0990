"""One line -> Command, one reply -> Reply: words, flaws, BDAT's exact shape, what is redacted, EHLO keywords."""

import pytest

from smtpguard.smtp import Command, Reply, ReplyClass, Verb
from smtpguard.smtp.syntax import (
    keywords,
    may_be_long,
    parse_command,
    parse_overlong,
    parse_sasl,
    without_starttls,
)


@pytest.mark.parametrize(
    ("raw", "verb", "word"),
    [
        (b"EHLO a\r\n", Verb.EHLO, b"EHLO"),
        (b"ehlo\ta\r\n", Verb.EHLO, b"EHLO"),
        (b" \tQuit\r\n", Verb.QUIT, b"QUIT"),
        (b"MAIL FROM:<a>\n", Verb.MAIL, b"MAIL"),
        (b"x-exps x\r\n", Verb.AUTH, b"X-EXPS"),
        (b"X-AnonymousTLS\r\n", Verb.STARTTLS, b"X-ANONYMOUSTLS"),
        (b"xclient a\r\n", Verb.FORBIDDEN, b"XCLIENT"),
        (b"lhlo\n", Verb.FORBIDDEN, b"LHLO"),
        (b"MAIL:a\r\n", Verb.UNKNOWN, b"MAIL:A"),
        (b"\r\n", Verb.UNKNOWN, b""),
        (b"\n", Verb.UNKNOWN, b""),
        (b"   \r\n", Verb.UNKNOWN, b""),
        (b"QU\xc4T\r\n", Verb.UNKNOWN, b"QU\xc4T"),
        (b"qu\xe4t\r\n", Verb.UNKNOWN, b"QU\xe4T"),
        (b"GREETING\r\n", Verb.UNKNOWN, b"GREETING"),
        (b"CONTENT\r\n", Verb.UNKNOWN, b"CONTENT"),
        (b"SASL\r\n", Verb.UNKNOWN, b"SASL"),
        (b"UNKNOWN\r\n", Verb.UNKNOWN, b"UNKNOWN"),
        (b"FORBIDDEN\r\n", Verb.UNKNOWN, b"FORBIDDEN"),
        (b"RCPT \0\r\n", Verb.RCPT, b"RCPT"),
    ],
)
def test_verbs(raw: bytes, verb: Verb, word: bytes) -> None:
    """Words split at SP and HT only; only ASCII letters have a case; what is no word of the wire is unknown."""
    command = parse_command(raw)
    assert (command.raw, command.verb, command.word) == (raw, verb, word)


@pytest.mark.parametrize("code", range(256))
def test_every_octet_in_a_line(code: int) -> None:
    """0x00-0x08, 0x0B-0x1F and 0x7F are control octets; HT and 0x80-0xFF are none."""
    if code == 0x0A:
        return
    flaw = parse_command(b"NOOP a" + bytes([code]) + b"b\r\n").flaw
    control = code <= 0x08 or 0x0B <= code <= 0x1F or code == 0x7F
    assert (flaw.id if flaw else None) == ("SG302" if control else None)
    sasl = parse_sasl(b"a" + bytes([code]) + b"b\r\n")
    assert (sasl.verb, sasl.flaw.id if sasl.flaw else None) == (Verb.SASL, "SG302" if control else None)


@pytest.mark.parametrize(
    ("raw", "size", "last"),
    [
        (b"BDAT 0\r\n", 0, False),
        (b"bdat 5 last\r\n", 5, True),
        (b"BDAT 2147483647\r\n", 2147483647, False),
        (b"BDAT 0000000012 LAST\r\n", 12, True),
    ],
)
def test_bdat(raw: bytes, size: int, last: bool) -> None:
    """The exact shape of design rule 13."""
    command = parse_command(raw)
    assert (command.verb, command.size, command.last, command.flaw) == (Verb.BDAT, size, last, None)


@pytest.mark.parametrize(
    "raw",
    [
        b"BDAT 2147483648\r\n",
        b"BDAT 99999999999\r\n",
        b"BDAT\r\n",
        b"BDAT 5 LAST LAST\r\n",
        b"\tBDAT 5\r\n",
        b"BDATA\r\n",
        b"\x01BDAT 5\n",
    ],
)
def test_malformed_bdat(raw: bytes) -> None:
    """Any other line that begins with BDAT has no size that anybody may believe."""
    command = parse_command(raw)
    assert command.flaw is not None
    assert (command.verb, command.flaw.id, command.size) == (Verb.BDAT, "SG306", 0)


def test_a_bdat_further_on_is_none() -> None:
    """Only the first word counts."""
    assert parse_command(b"NOOP BDAT 5\r\n").verb is Verb.NOOP
    assert parse_command(b"NOOP \0BDAT 5\n").verb is Verb.NOOP
    assert parse_command(b"XBDAT 5\r\n").verb is Verb.UNKNOWN


@pytest.mark.parametrize(
    ("raw", "last"),
    [
        (b"BURL imap://x LAST\r\n", True),
        (b"BURL imap://x last \r\n", True),
        (b"BURL imap://x\r\n", False),
        (b"BURL x LASTING\r\n", False),
        (b"BURL x last\n", True),
    ],
)
def test_burl_last(raw: bytes, last: bool) -> None:
    """BURL is read generously: LAST is its last word."""
    assert parse_command(raw).last is last


@pytest.mark.parametrize(
    ("raw", "bare"),
    [(b"NOOP\n", True), (b"NOOP\r\n", False), (b"\n", True), (b"NOOP\r\r\n", False), (b"BDAT 3\n", True)],
)
def test_bare_lf(raw: bytes, bare: bool) -> None:
    """A bare LF is seen whatever else is wrong."""
    assert parse_command(raw).bare_lf is bare
    assert parse_sasl(raw).bare_lf is bare


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        (b"BODY=BINARYMIME", True),
        (b"SIZE=1 body=binarymime X=y", True),
        (b"BODY=8BITMIME", False),
        (b"XBODY=BINARYMIME", False),
        (b"BODY=BINARYMIMEX", False),
    ],
)
def test_binarymime(parameters: bytes, found: bool) -> None:
    """The parameter stands alone, in any case."""
    assert parse_command(b"MAIL FROM:<a> " + parameters + b"\r\n").binarymime is found
    assert parse_command(b"MAIL FROM:<a> " + parameters + b"\n").binarymime is found


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"EHLO a.example\r\n", b"EHLO a.example"),
        (b"mail FROM:<a@b> SIZE=1\r\n", b"mail FROM:<a@b> SIZE=1"),
        (b"RCPT TO:<\xff>\n", b"RCPT TO:<\xff>"),
        (b"BDAT 5 LAST\r\n", b"BDAT 5 LAST"),
        (b"AUTH PLAIN SECRET\r\n", b"AUTH [redacted]"),
        (b"auth\r\n", b"AUTH"),
        (b"X-EXPS NTLM SECRET\r\n", b"X-EXPS [redacted]"),
        (b"VRFY SECRET\r\n", b"VRFY [redacted]"),
        (b"NOOP\r\n", b"NOOP"),
        (b" noop \r\n", b"NOOP"),
        (b"XCLIENT LOGIN=SECRET\r\n", b"XCLIENT [redacted]"),
        (b"AHTU PLAIN SECRET\r\n", b"[17 octets]"),
        (b"SECRET\n", b"[6 octets]"),
        (b"\r\n", b"[0 octets]"),
    ],
)
def test_redacted(raw: bytes, shown: bytes) -> None:
    """Rule 22: arguments of EHLO, HELO, MAIL, RCPT and BDAT; of others the word; of unknown ones the length."""
    assert parse_command(raw).redacted == shown


@pytest.mark.parametrize("raw", [b"SECRET\r\n", b"*\r\n", b"EHLO SECRET\n"])
def test_sasl_lines_are_redacted_whole(raw: bytes) -> None:
    """Whatever a SASL line spells, nothing of it is kept."""
    assert parse_sasl(raw).redacted == b"[redacted]"


def test_argument() -> None:
    """What stands behind the first word, without blanks."""
    assert parse_command(b"  EHLO \t a b \r\n").argument == b"a b"
    assert parse_command(b"EHLO\r\n").argument == b""


@pytest.mark.parametrize("head", [b"AUTH PLAIN", b"auth ", b" AUTH", b"X-EXPS N", b"AUTH\tX"])
def test_lines_that_may_be_long(head: bytes) -> None:
    """AUTH and X-EXPS take an initial response."""
    assert may_be_long(head)
    assert parse_overlong(head).verb is Verb.AUTH


@pytest.mark.parametrize("head", [b"AUTHX ", b"MAIL FROM", b"", b"A" * 64])
def test_lines_that_may_not(head: bytes) -> None:
    """No other word does."""
    assert not may_be_long(head)


def test_a_reply() -> None:
    """The class of a reply is its first digit's."""
    classes = {code: Reply(b"%d x\r\n" % code, code).reply_class for code in (220, 354, 450, 554)}
    assert list(classes.values()) == list(ReplyClass)


def test_keywords() -> None:
    """The first line is none, case is ignored, parameters are left out, an empty line is none."""
    raw = b"250-PIPELINING\r\n250-size 100\r\n250-\r\n250-Auth PLAIN\r\n250 8BITMIME\r\n"
    assert keywords(raw) == {b"SIZE", b"AUTH", b"8BITMIME"}
    assert keywords(b"250 CHUNKING\r\n") == frozenset()


def test_without_starttls() -> None:
    """Nothing to take out: the same object; else the last line has its blank."""
    raw = b"250-up\r\n250-DSN\r\n250 HELP\r\n"
    assert without_starttls(raw) is raw
    assert without_starttls(b"250-up\r\n250-DSN\r\n250 STARTTLS\r\n") == b"250-up\r\n250 DSN\r\n"
    assert without_starttls(b"250-up\r\n250-STARTTLS\r\n250 \r\n") == b"250-up\r\n250 \r\n"


def test_a_command_is_a_value() -> None:
    """Two commands of the same octets are equal."""
    assert parse_command(b"NOOP\r\n") == Command(b"NOOP\r\n", Verb.NOOP, b"NOOP")
