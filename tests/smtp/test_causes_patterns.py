"""Causes as sessions: each pattern there, and each near miss that must be called something else.

A row is the session so far, the line that breaks a rule, and what the finding says. The patterns themselves, as a
table, are in `test_causes`; here the history comes from what was really said.
"""

from typing import Final, NamedTuple

import pytest

from smtpguard.smtp import Finding, Profile, Session, Side

from .playbook import play
from .stages import (
    ACCEPTED,
    AUTHENTICATED,
    CHUNKING,
    DATA,
    DATA_REFUSED,
    DELIVERED,
    DOT,
    EHLO,
    GREETED,
    HELO,
    MAIL,
    MAIL_REFUSED,
    NO_PIPELINING,
    RCPT,
    RCPT_REFUSED,
    REFUSED,
    transaction,
)

NEXT_MAIL, NEXT_RCPT, NEXT_DATA = "C> MAIL FROM:<c@a.example>\n", "C> RCPT TO:<d@b.example>\n", "C> DATA\n"
RSET: Final = "C>U RSET\nu>c 250 Ok\n"
NOOP: Final = "C>U NOOP\nu>c 250 Ok\n"
EHLO_REFUSED: Final = GREETED + "C>U EHLO bad_name\nu>c 501 5.5.4 Bad host name\n"
HELO_AGAIN: Final = "C>U HELO client.example\nu>c 250 up.example\n"
EHLO_AGAIN: Final = "C>U EHLO client.example\nu>c 250-up.example\nu+c 250 AUTH PLAIN\n"
SECOND: Final = "C>U RCPT TO:<x@b.example>\nu>c 550 5.1.1 Unknown\n"
CONTENT_REFUSED: Final = DOT + "u>c 554 5.6.0 Spam\n"
OUR_CHUNK: Final = "C> BDAT 3 LAST\n! {0} refuse cause={1}\nC> abc\\\nG< 503 5.5.1 {0}\n"
NESTED: Final = "C> MAIL FROM:<c@a.example>\nG< 503 5.5.1 SG105\n! SG105 refuse cause=all-recipients-refused\n"
TWO_THEN_UNFINISHED: Final = DELIVERED + transaction() + ACCEPTED
PIPELINED_UNSERVED: Final = (
    EHLO
    + """
    C> MAIL FROM:<a@a.example>
    C+ RCPT TO:<x@b.example>
    C+ DATA
    U< MAIL FROM:<a@a.example>
    u>c 250 Ok
    U< RCPT TO:<x@b.example>
    u>c 550 Unknown
    G< 554 5.5.1 SG104
    ! SG104 refuse consequence cause=all-recipients-refused
    """
)


class Row(NamedTuple):
    """A finding at the end of a session."""

    before: str
    line: str
    rule: str
    cause: str
    said: str = "503 5.5.1"
    """What smtpguard answers; empty where it only notes and forwards."""


REFUSED_BY_RULE: Final = {
    # The commonest cause of a 503, and what looks like it.
    "data refused, then mail": Row(DATA_REFUSED, NEXT_MAIL, "SG105", "no-rset-after-refused-data"),
    "data refused, noop, then mail": Row(DATA_REFUSED + NOOP, NEXT_MAIL, "SG105", "no-rset-after-refused-data"),
    "data refused, one more rcpt, then mail": Row(
        DATA_REFUSED + ACCEPTED, NEXT_MAIL, "SG105", "no-rset-after-refused-data"),
    "data refused in a group, then mail": Row(
        PIPELINED_UNSERVED, NEXT_MAIL, "SG105", "no-rset-after-refused-data"),
    "data refused in a later message, then mail": Row(
        DELIVERED + DATA_REFUSED.removeprefix(EHLO), NEXT_MAIL, "SG105", "no-rset-after-refused-data"),
    "chunk refused by us, then mail": Row(
        HELO + transaction() + ACCEPTED + OUR_CHUNK.format("SG107", "helo-then-esmtp"), NEXT_MAIL, "SG105",
        "no-rset-after-refused-data"),
    "chunk behind refused recipients, then mail": Row(
        RCPT_REFUSED + OUR_CHUNK.format("SG104", "all-recipients-refused"), NEXT_MAIL, "SG105",
        "no-rset-after-refused-data"),
    "chunk refused by us, rset, then mail twice": Row(
        RCPT_REFUSED + OUR_CHUNK.format("SG104", "all-recipients-refused") + RSET + transaction(), NEXT_MAIL, "SG105",
        "unknown"),
    "data refused, rset, then mail twice": Row(
        DATA_REFUSED + RSET + transaction(), NEXT_MAIL, "SG105", "unknown"),
    "data refused, ehlo, then mail twice": Row(
        DATA_REFUSED + EHLO_AGAIN + transaction(), NEXT_MAIL, "SG105", "unknown"),
    "message refused behind its dot, then mail twice": Row(
        CONTENT_REFUSED + transaction(), NEXT_MAIL, "SG105", "unknown"),
    "no rset behind all recipients": Row(RCPT_REFUSED, NEXT_MAIL, "SG105", "all-recipients-refused"),
    "some recipients refused, then mail": Row(RCPT + SECOND, NEXT_MAIL, "SG105", "pooled-connection"),
    "some recipients refused, rset, then mail twice": Row(
        RCPT + SECOND + RSET + transaction(), NEXT_MAIL, "SG105", "unknown"),
    "mail twice": Row(MAIL, NEXT_MAIL, "SG105", "unknown"),
    "rcpt, then mail": Row(RCPT, NEXT_MAIL, "SG105", "unknown"),
    # A connection used before.
    "reuse behind a message": Row(TWO_THEN_UNFINISHED, NEXT_MAIL, "SG105", "pooled-connection"),
    "reuse behind a message, no rcpt": Row(DELIVERED + transaction(), NEXT_MAIL, "SG105", "pooled-connection"),
    "reuse behind refused recipients": Row(
        DELIVERED + transaction() + SECOND, NEXT_MAIL, "SG105", "all-recipients-refused"),
    # All recipients refused.
    "data behind a refused rcpt": Row(RCPT_REFUSED, NEXT_DATA, "SG104", "all-recipients-refused"),
    "data behind no rcpt": Row(MAIL, NEXT_DATA, "SG104", "unknown"),
    "data behind a refused rcpt and a nested mail": Row(
        RCPT_REFUSED + NESTED, NEXT_DATA, "SG104", "all-recipients-refused"),
    "data behind a nested mail": Row(MAIL + NESTED.replace("all-recipients-refused", "unknown"), NEXT_DATA, "SG104",
        "ignored-refusal"),
    "data behind rset and no rcpt": Row(RCPT_REFUSED + RSET + transaction(), NEXT_DATA, "SG104", "unknown"),
    # A refusal ignored.
    "rcpt behind a refused mail": Row(MAIL_REFUSED, NEXT_RCPT, "SG102", "ignored-refusal"),
    "data behind a refused mail": Row(MAIL_REFUSED, NEXT_DATA, "SG103", "ignored-refusal"),
    "rcpt behind a refused mail and noop": Row(MAIL_REFUSED + NOOP, NEXT_RCPT, "SG102", "ignored-refusal"),
    "rcpt behind a refused mail and rset": Row(MAIL_REFUSED + RSET, NEXT_RCPT, "SG102", "unknown"),
    "rcpt behind a refused mail and ehlo": Row(MAIL_REFUSED + EHLO_AGAIN, NEXT_RCPT, "SG102", "unknown"),
    "rcpt behind a message": Row(DELIVERED, NEXT_RCPT, "SG102", "unknown"),
    "data behind a message": Row(DELIVERED, NEXT_DATA, "SG103", "unknown"),
    "data, a refused mail, then a good one": Row(MAIL_REFUSED + transaction(), NEXT_DATA, "SG104", "unknown"),
    "mail behind a refused chunk": Row(
        RCPT + "C>U BDAT 3\nC>U abc\\\nu>c 452 4.3.1 Full\n", NEXT_MAIL, "SG106", "ignored-refusal"),
    "mail behind an accepted chunk": Row(CHUNKING, NEXT_MAIL, "SG106", "unknown"),
    "ehlo behind a refused greeting": Row(REFUSED, "C> EHLO client.example\n", "SG115", "ignored-refusal"),
    # Hello.
    "mail first of all": Row(GREETED, NEXT_MAIL, "SG101", "no-hello-at-all"),
    "noop, then mail": Row(GREETED + NOOP, NEXT_MAIL, "SG101", "no-hello-at-all"),
    "rcpt first of all": Row(GREETED, NEXT_RCPT, "SG102", "no-hello-at-all"),
    "data first of all": Row(GREETED, NEXT_DATA, "SG103", "no-hello-at-all"),
    "rcpt behind ehlo": Row(EHLO, NEXT_RCPT, "SG102", "unknown"),
    "mail behind a refused ehlo": Row(EHLO_REFUSED, NEXT_MAIL, "SG101", "hello-refused-and-ignored"),
    "mail behind a refused ehlo and rset": Row(EHLO_REFUSED + RSET, NEXT_MAIL, "SG101", "hello-refused-and-ignored"),
    "rcpt behind a refused ehlo and a good one": Row(EHLO_REFUSED + EHLO_AGAIN, NEXT_RCPT, "SG102", "unknown"),
    # Logins.
    "a second login": Row(AUTHENTICATED, "C> AUTH PLAIN SECRET\n", "SG112", "second-login"),
    "a login in a transaction": Row(MAIL, "C> AUTH PLAIN SECRET\n", "SG111", "unknown"),
}  # fmt: skip

CHUNKS: Final = {
    "chunk behind helo": Row(HELO + transaction() + ACCEPTED, "C> BDAT 3 LAST\nC> abc\\\n", "SG107", "helo-then-esmtp"),
    "chunk behind ehlo, then helo": Row(
        EHLO + HELO_AGAIN + transaction() + ACCEPTED, "C> BDAT 3 LAST\nC> abc\\\n", "SG107", "helo-then-esmtp"),
    "chunk where ehlo offered none": Row(
        NO_PIPELINING + transaction() + ACCEPTED, "C> BDAT 3 LAST\nC> abc\\\n", "SG107", "unknown"),
    "chunk where a later ehlo was refused": Row(
        NO_PIPELINING + EHLO_REFUSED.removeprefix(GREETED) + transaction() + ACCEPTED, "C> BDAT 3 LAST\nC> abc\\\n",
        "SG107", "unknown"),
    "chunk where helo, then ehlo offered none": Row(
        HELO + EHLO_AGAIN + transaction() + ACCEPTED, "C> BDAT 3 LAST\nC> abc\\\n", "SG107", "unknown"),
    "chunk behind a refused rcpt": Row(
        RCPT_REFUSED, "C> BDAT 3 LAST\nC> abc\\\n", "SG104", "all-recipients-refused"),
    "chunk behind a refused mail": Row(MAIL_REFUSED, "C> BDAT 3 LAST\nC> abc\\\n", "SG103", "ignored-refusal"),
    "chunk behind ehlo": Row(EHLO, "C> BDAT 3 LAST\nC> abc\\\n", "SG103", "unknown"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_BY_RULE)
def test_a_line_that_is_refused(name: str) -> None:
    """The finding about a refused line names the cause that the session shows, and no other."""
    row = REFUSED_BY_RULE[name]
    play(f"{row.before}\n{row.line}G< {row.said} {row.rule}\n! {row.rule} refuse cause={row.cause}")


@pytest.mark.parametrize("name", CHUNKS)
def test_a_chunk_that_is_refused(name: str) -> None:
    """The same of a chunk: the finding is there with its line, the answer behind its payload."""
    row = CHUNKS[name]
    command, payload = row.line.split("\n", 1)
    play(f"{row.before}\n{command}\n! {row.rule} refuse cause={row.cause}\n{payload}G< {row.said} {row.rule}\n")


NOTED: Final = {
    "auth behind helo": (HELO, "AUTH PLAIN SECRET", "SG113", "helo-then-esmtp"),
    "starttls behind helo": (HELO, "STARTTLS", "SG114", "helo-then-esmtp"),
    "auth behind ehlo, then helo": (EHLO + HELO_AGAIN, "AUTH PLAIN SECRET", "SG113", "helo-then-esmtp"),
    "auth behind a refused ehlo, then helo": (
        EHLO_REFUSED + HELO_AGAIN, "AUTH PLAIN SECRET", "SG113", "helo-then-esmtp"),
    "auth first of all": (GREETED, "AUTH PLAIN SECRET", "SG113", "no-hello-at-all"),
    "starttls first of all": (GREETED, "STARTTLS", "SG114", "no-hello-at-all"),
    "auth behind a refused ehlo": (EHLO_REFUSED, "AUTH PLAIN SECRET", "SG113", "hello-refused-and-ignored"),
    "starttls behind a refused ehlo": (EHLO_REFUSED, "STARTTLS", "SG114", "hello-refused-and-ignored"),
    "starttls in a transaction": (MAIL, "STARTTLS", "SG110", "unknown"),
    "etrn in a transaction": (MAIL, "ETRN b.example", "SG116", "unknown"),
    "a line in a bare lf": (EHLO, "NOOP\\n\\", "SG301", "bare-lf-client"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTED)
def test_a_line_that_is_noted(name: str) -> None:
    """What goes on to UPSTREAM has its cause, too."""
    before, line, rule, cause = NOTED[name]
    play(f"{before}\nC>U {line}\n! {rule} note cause={cause}")


def test_a_client_that_does_not_wait_for_the_greeting() -> None:
    """Octets before the greeting; the same EHLO behind it is no finding."""
    play("""
        C> EHLO client.example
        u>c 220 up.example ESMTP
        U< EHLO client.example
        ! SG201 note cause=did-not-wait-for-greeting
    """)
    play(EHLO)


def test_a_client_that_does_not_wait_for_354() -> None:
    """Content in one piece with its DATA; content behind 354 is no finding."""
    play(
        RCPT
        + """
        C> DATA
        C+ Subject: x
        C+ .
        U< DATA
        u>c 354 Go ahead
        U< Subject: x
        U< .
        ! SG204 note cause=did-not-wait-for-354
        """
    )
    play(DATA + "C>U Subject: x\nC>U .\nu>c 250 Ok\n")


def test_content_behind_a_refused_data_has_two_causes() -> None:
    """Sent with DATA: it did not wait. Sent behind the refusal: it had it in hand, and ignored it."""
    closes = "G< 554 5.5.0 SG204\n! SG204 close cause={}\n= violation\n"
    together = "C> DATA\nC+ Subject: x\nU< DATA\nu>c 451 Not now\n"
    play(RCPT + together + closes.format("did-not-wait-for-354"))
    play(DATA_REFUSED + "C> Subject: x\n" + closes.format("ignored-refusal"))
    play(DATA_REFUSED + RSET)


@pytest.mark.parametrize("commands_too", [True, False])
def test_bare_lf_in_content(commands_too: bool) -> None:
    """Of a client whose commands end in bare LF it is the same fault; of another one it is not known."""
    before = EHLO + ("C>U NOOP\\n\\\n! SG301 note cause=bare-lf-client\nu>c 250 Ok\n" if commands_too else "")
    rest = DATA.removeprefix(EHLO) + "C>U one\\ntwo\n! SG305 note cause={0}\nC> \\n.\\r\\n\\\n! SG304 close cause={0}\n"
    cause = "bare-lf-client" if commands_too else "unknown"
    play(before + rest.format(cause) + "U< \\n\\\nG< 550 5.5.2 SG304\n= violation cut\n")


def test_a_bdat_line_in_a_bare_lf() -> None:
    """It is malformed for the line end that all of this client's lines have; another malformed one is not known."""
    play(RCPT + "C> BDAT 3 LAST\\n\\\nG< 501 5.5.4 SG306\n! SG306 close cause=bare-lf-client\n= violation\n")
    play(RCPT + "C> BDAT  3 LAST\nG< 501 5.5.4 SG306\n! SG306 close cause=unknown\n= violation\n")


@pytest.mark.parametrize(
    ("line", "rule", "cause"),
    [
        ("GET /health HTTP/1.1", "SG401", "health-check"),
        ("HEAD / HTTP/1.0", "SG401", "health-check"),
        ("OPTIONS * HTTP/1.1", "SG401", "health-check"),
        ("GET /index.php HTTP/1.1", "SG401", "scanner"),
        ("POST /health HTTP/1.1", "SG401", "scanner"),
        ("\\x16\\x03\\x01\\x02\\0\\x01\\0", "SG402", "scanner"),
        ("SSH-2.0-OpenSSH_9.2", "SG403", "scanner"),
    ],
)
def test_another_protocol(line: str, rule: str, cause: str) -> None:
    """A request as balancers make it is a health check, whatever else a scanner."""
    play(f"{GREETED}C> {line}\nG< 554 5.5.1 {rule}\n! {rule} close cause={cause}\n= violation\n")


def in_tls() -> Session:
    """Return a session in which TLS came up behind STARTTLS."""
    session = play(EHLO + "C>U STARTTLS\nu>c 220 Go ahead\n")
    session.tls_up()
    return session


def cause_of(session: Session, line: bytes) -> tuple[str, str]:
    """Say one line; return the rule and the cause of its one finding."""
    (finding,) = session.receive(Side.CLIENT, line).events
    assert isinstance(finding, Finding)
    return finding.rule.id, finding.cause.value


def test_no_ehlo_behind_starttls() -> None:
    """MAIL or AUTH right behind the handshake; a hello refused there, or TLS from the start, is another case."""
    assert cause_of(in_tls(), b"MAIL FROM:<a@a.example>\r\n") == ("SG101", "no-ehlo-after-starttls")
    assert cause_of(in_tls(), b"AUTH PLAIN SECRET\r\n") == ("SG113", "no-ehlo-after-starttls")
    session = in_tls()
    session.receive(Side.CLIENT, b"EHLO bad_name\r\n")
    session.receive(Side.UPSTREAM, b"501 Bad host name\r\n")
    assert cause_of(session, b"MAIL FROM:<a@a.example>\r\n") == ("SG101", "hello-refused-and-ignored")
    session = in_tls()
    session.receive(Side.CLIENT, b"EHLO client.example\r\n")
    session.receive(Side.UPSTREAM, b"250 up.example\r\n")
    assert session.receive(Side.CLIENT, b"MAIL FROM:<a@a.example>\r\n").events == ()
    session = play(GREETED, Profile.STANDARD, tls=True)
    assert cause_of(session, b"MAIL FROM:<a@a.example>\r\n") == ("SG101", "no-hello-at-all")
