"""Never a finding, however odd it looks: lawful sessions pass octet for octet, in strict, with no event."""

import pytest

from smtpguard.smtp import Profile

from .playbook import play
from .stages import (
    ACCEPTED,
    ALL,
    AUTHENTICATED,
    CHUNKING,
    DATA_REFUSED,
    DELIVERED,
    DOT,
    EHLO,
    GREETED,
    HELO,
    MAIL,
    MAIL_REFUSED,
    RCPT,
    RCPT_REFUSED,
    ehlo,
    transaction,
)

IN_ANY_STATE = pytest.mark.parametrize(
    "stage",
    [GREETED, HELO, EHLO, AUTHENTICATED, MAIL_REFUSED, MAIL, RCPT, RCPT_REFUSED, CHUNKING, DATA_REFUSED, DELIVERED],
)
EVERY_CUT = pytest.mark.parametrize("cut", [0, 1, 2, 7])


@IN_ANY_STATE
@pytest.mark.parametrize("hello", ["EHLO x", "HELO x", "ehlo [127.0.0.1]"])
@pytest.mark.parametrize("reply", ["250 up", "501 5.5.4 bad name"])
def test_a_hello_at_any_time(stage: str, hello: str, reply: str) -> None:
    """A second EHLO or HELO, EHLO then HELO, HELO then EHLO, EHLO after AUTH: all lawful."""
    play(stage + f"C>U {hello}\nu>c {reply}", Profile.STRICT)


@IN_ANY_STATE
@pytest.mark.parametrize(
    "line", ["RSET", "NOOP", "NOOP x", "VRFY a", "EXPN list", "HELP", "HELP mail", "rset", " NOOP"]
)
@pytest.mark.parametrize("reply", ["250 Ok", "502 5.5.1 no"])
def test_commands_of_any_state(stage: str, line: str, reply: str) -> None:
    """RSET, NOOP, VRFY, EXPN and HELP are lawful in any state."""
    surprise = reply.startswith("502") and line.strip().upper()[:4] in ("RSET", "NOOP")
    play(stage + f"C>U {line}\nu>c {reply}\n" + ("! SG505 note" if surprise else ""), Profile.STRICT)


@IN_ANY_STATE
def test_quit_at_any_time(stage: str) -> None:
    """QUIT is lawful at any time: its 221 ends the session."""
    play(stage + "C>U QUIT\nu>c 221 2.0.0 Bye\n= quit", Profile.STRICT)


@IN_ANY_STATE
@pytest.mark.parametrize(
    "line", ["", "\\x20\\x20", "XYZZY", "MAIL:x", "AUHT", "VERB", "XADR", "\\xe4\\xf6 \\xff", "X-LINK2STATE"]
)
def test_unknown_verbs_are_forwarded(stage: str, line: str) -> None:
    """Unknown verbs, the empty line among them, are UPSTREAM's to answer, but right behind a refused DATA."""
    if stage is not DATA_REFUSED:
        play(stage + f"C>U {line}\nu>c 500 5.5.2 What?", Profile.STRICT)


@pytest.mark.parametrize(
    "stage", [MAIL_REFUSED, DELIVERED, RCPT + "C>U RSET\nu>c 250 Ok\n", DOT + "u>c 554 5.6.0 Spam\n"]
)
def test_mail_again(stage: str) -> None:
    """MAIL after a refused MAIL, after a final reply, after RSET."""
    play(stage + transaction() + ACCEPTED + "C>U DATA\nu>c 354 Go", Profile.STRICT)


def test_rcpt_and_data_again() -> None:
    """RCPT after a refused RCPT; RCPT and DATA again after a refused DATA."""
    play(RCPT_REFUSED + ACCEPTED, Profile.STRICT)
    play(DATA_REFUSED + ACCEPTED + "C>U DATA\nu>c 354 Go\nC>U .\nu>c 250 Ok", Profile.STRICT)
    play(DATA_REFUSED + "C>U DATA\nu>c 354 Go\nC>U .\nu>c 250 Ok", Profile.STRICT)


@pytest.mark.parametrize("between", ["NOOP", "RSET", "VRFY a"])
def test_commands_between_chunks(between: str) -> None:
    """NOOP and RSET between chunks are lawful; so is the next chunk behind NOOP."""
    play(CHUNKING + f"C>U {between}\nu>c 250 Ok", Profile.STRICT)
    play(CHUNKING + "C>U NOOP\nu>c 250 Ok\nC>U BDAT 2 LAST\nC>U de\\\nu>c 250 Queued\n" + transaction(), Profile.STRICT)


@EVERY_CUT
def test_commands_behind_the_final_dot(cut: int) -> None:
    """Commands pipelined behind the final dot wait for its verdict and are lawful, a whole new group too."""
    play(
        RCPT
        + """
        C>U DATA
        u>c 354 Go
        C>U Subject: x
        C+U .
        C+ MAIL FROM:<c@c.example>
        C+ RCPT TO:<d@d.example>
        C+ QUIT
        u>c 250 2.0.0 Queued
        U< MAIL FROM:<c@c.example>
        u>c 250 Ok
        U< RCPT TO:<d@d.example>
        u>c 250 Ok
        U< QUIT
        u>c 221 Bye
        = quit
        """,
        Profile.STRICT,
        cut=cut,
    )


def test_behind_the_dot_without_pipelining() -> None:
    """The dot ends no command group (RFC 2920 §3.1): no finding where PIPELINING is not offered either."""
    play(
        HELO
        + transaction()
        + ACCEPTED
        + "C>U DATA\nu>c 354 Go\nC>U .\nC+ QUIT\nu>c 250 Ok\nU< QUIT\nu>c 221 Bye\n= quit",
        Profile.STRICT,
    )


@EVERY_CUT
@pytest.mark.parametrize(
    "line", ["QUIT", "RSET", "DATA", "BDAT 99999 LAST", "STARTTLS", "PROXY", "MAIL FROM:<a>", "", "."]
)
def test_sasl_lines_that_look_like_verbs(line: str, cut: int) -> None:
    """Behind 334 every line is a SASL line, whatever it spells."""
    play(
        EHLO + f"C>U AUTH LOGIN\nu>c 334 VXNlcm5hbWU6\nC>U {line}\nu>c 334 UGFzc3dvcmQ6\nC>U {line}\nu>c 535 5.7.8 No",
        Profile.STRICT,
        cut=cut,
    )


@pytest.mark.parametrize(
    "line",
    [
        "MAIL FROM: <a@a.example>",
        "mail from:<>",
        "Mail  FROM:<a@a> SIZE=9 X=y",
        "\\tMAIL\\tFROM:<a>",
        " MAIL FROM:<\\xc3\\xbc@a> SMTPUTF8",
    ],
)
@EVERY_CUT
def test_generous_reading(line: str, cut: int) -> None:
    """A blank behind the colon, any case, leading blanks and 8-bit octets are read and forwarded verbatim."""
    play(EHLO + f"C>U \\x20{line}\nu>c 250 Ok\n" + ACCEPTED + "C>U data\nu>c 354 Go", Profile.STRICT, cut=cut)


@EVERY_CUT
def test_lines_longer_than_512_octets(cut: int) -> None:
    """Up to 4096 octets with its line end a command line passes, 12288 for AUTH and SASL lines."""
    if cut != 1:
        play(EHLO + "C>U MAIL FROM:<a@a.example> X=\\{4065*x}\nu>c 250 Ok", Profile.STRICT, cut=cut)
        play(EHLO + "C>U NOOP \\{4089*x}\nu>c 250 Ok", Profile.STRICT, cut=cut)
        play(EHLO + "C>U AUTH PLAIN \\{12275*A}\nu>c 235 Ok", Profile.STRICT, cut=cut)
    play(EHLO + "C>U NOOP \\{600*x}\nu>c 250 Ok", Profile.STRICT, cut=cut)
    play(EHLO + "C>U AUTH PLAIN\nu>c 334\nC>U \\{12286*A}\nu>c 235 Ok", Profile.STRICT, cut=cut or 5000)


@EVERY_CUT
def test_a_pipelined_group_with_mixed_recipients(cut: int) -> None:
    """MAIL, RCPTs and DATA in one segment: RCPTs go out together behind the MAIL, DATA behind their replies."""
    play(
        EHLO
        + """
        C> MAIL FROM:<a@a.example>
        C+ RCPT TO:<b@b.example>
        C+ RCPT TO:<x@b.example>
        C+ RCPT TO:<c@b.example>
        C+ DATA
        U< MAIL FROM:<a@a.example>
        u>c 250 Ok
        U< RCPT TO:<b@b.example>
        U< RCPT TO:<x@b.example>
        U< RCPT TO:<c@b.example>
        u>c 250 Ok
        u>c 550 Unknown
        u>c 250 Ok
        U< DATA
        u>c 354 Go
        C>U Subject: x
        C+U
        C+U ..x
        C+U .
        u>c 250 Queued
        """,
        Profile.STRICT,
        cut=cut,
    )


def test_replies_come_as_they_are_cut() -> None:
    """Replies split anywhere, and several in one segment, are handed on in order."""
    play(
        GREETED
        + ehlo(*ALL)
        + """
        C>U MAIL FROM:<a@a.example>
        u> 25\\
        u> 0 O\\
        u> k
        c< 250 Ok
        C>U RCPT TO:<b@b.example>
        C+U RCPT TO:<c@b.example>
        u>c 250 Ok
        u+c 250 Ok
        """,
        Profile.STRICT,
    )


def test_burl_and_binarymime_messages() -> None:
    """BURL LAST is a whole message; a BINARYMIME message goes by BDAT; SIZE, DSN and SMTPUTF8 parameters pass."""
    play(
        RCPT + "C>U BURL imap://x LAST\nu>c 250 Queued\n" + transaction(" SIZE=5 RET=HDRS ENVID=q SMTPUTF8"),
        Profile.STRICT,
    )
    play(
        EHLO
        + transaction(" BODY=BINARYMIME")
        + ACCEPTED
        + "C>U BDAT 4\nC>U \\0\\r\\n.\\\nu>c 250 Ok\nC>U BDAT 0 LAST\nu>c 250 Queued",
        Profile.STRICT,
    )
