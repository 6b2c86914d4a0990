"""Upstream: greetings, SG501 to SG503, SG505, and UPSTREAM closing anywhere."""

import pytest

from smtpguard.smtp import Finding, Profile

from .playbook import play
from .stages import ACCEPTED, CHUNKING, DATA, DOT, EHLO, GREETED, HELO, MAIL, NO_PIPELINING, RCPT, transaction

EVERY_PROFILE = pytest.mark.parametrize("profile", Profile)
EVERY_CUT = pytest.mark.parametrize("cut", [0, 1, 3])
OUT = "G< 421 4.3.0 SG502\n! SG502 note violations=0\n= out-of-step cut"


# --- greetings --------------------------------------------------------------------------------------------------------


@EVERY_CUT
@pytest.mark.parametrize(
    "greeting", ["u>c 220 up\n", "u>c 220\n", "u>c 220-up\nu+c 220-\nu+c 220 ESMTP\n", "u>c 220-a\nu+c 220\n"]
)
def test_a_220_greeting(greeting: str, cut: int) -> None:
    """A greeting of one line or many is handed on whole."""
    play(greeting + "C>U EHLO a\nu>c 250 up", cut=cut)


@EVERY_CUT
@pytest.mark.parametrize("greeting", ["u>c 554 no\n", "u>c 450-no\nu+c 450 later\n", "u>c 500 what\n"])
def test_a_refusing_greeting(greeting: str, cut: int) -> None:
    """A 4xx or 5xx greeting is handed on; the session waits for QUIT."""
    play(greeting + "? state=refused-greeting\nC>U QUIT\nu>c 221 Bye\n= quit", cut=cut)


@EVERY_CUT
def test_a_421_greeting(cut: int) -> None:
    """421 is handed on and ends the session."""
    play("u>c 421 4.3.2 Busy\n= 421", cut=cut)


@pytest.mark.parametrize("greeting", ["250 up", "221 bye", "354 go", "120 wait", "hello", "", "22 up", "220_up", "\\0"])
def test_no_greeting(greeting: str) -> None:
    """Anything but 220, 4xx, 5xx is out of step: 421 instead of it."""
    play(f"u> {greeting}\n{OUT}")


def test_nothing_is_forwarded_before_the_greeting() -> None:
    """Rule 7: CLIENT's lines wait for UPSTREAM's greeting."""
    play(
        "C> EHLO a\n? waiting=greeting\nu> 220-up\n? waiting=greeting\nu> 220 up\nc< 220-up\nc< 220 up\nU< EHLO a",
        Profile.LENIENT,
    )


def test_no_greeting_in_time() -> None:
    """SG501: UPSTREAM sent no greeting within its deadline."""
    play("? waiting=greeting\n-- expire\nG< 421 4.3.2 SG501\n! SG501 note\n= unreachable")


def test_upstream_closes_before_its_greeting() -> None:
    """The greeting is a reply owed from the start: SG503."""
    for loss in ("u: eof", "u: lost"):
        play(f"{loss}\nG< 421 4.3.0 SG503\n! SG503 note\n= upstream-gone")
        play(f"u> 220-up\n{loss}\nG< 421 4.3.0 SG503\n! SG503 note\n= upstream-gone")


# --- out of step ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["EHLO a", "HELO a", "NOOP", "RSET", "VRFY a", "EXPN a", "HELP", "ETRN a", "XYZZY", "QUIT", ""]
)
@pytest.mark.parametrize("reply", ["354 Go", "334 x", "300 y", "150 wait", "100 Continue"])
def test_3xx_and_1xx_are_out_of_step(line: str, reply: str) -> None:
    """Rule 16: 3xx belongs to DATA and AUTH only, 1xx to nobody."""
    play(EHLO + f"C>U {line}\nu> {reply}\n{OUT}")


@pytest.mark.parametrize(("stage", "line"), [(EHLO, "MAIL FROM:<a@a.example>"), (MAIL, "RCPT TO:<b@b.example>")])
@pytest.mark.parametrize("reply", ["354 Go", "334 x", "123 y"])
def test_mail_and_rcpt_take_2xx(stage: str, line: str, reply: str) -> None:
    """Rule 16: a 354 to RCPT would turn commands into content."""
    play(stage + f"C>U {line}\nu> {reply}\n{OUT}")


@pytest.mark.parametrize("reply", ["200 x", "211 x", "251 fwd", "252 perhaps", "299 y"])
def test_any_2xx_is_an_acceptance(reply: str) -> None:
    """All others take any 2xx: 251 to RCPT is a recipient."""
    play(MAIL + f"C>U RCPT TO:<b@b.example>\nu>c {reply}\nC>U DATA\nu>c 354 Go", Profile.STRICT)


@pytest.mark.parametrize("reply", ["250 Ok", "334 x", "221 Bye"])
def test_data_takes_354(reply: str) -> None:
    """Rule 16: DATA's positive reply is 354 and no other."""
    play(RCPT + f"C>U DATA\nu> {reply}\n{OUT}")


@pytest.mark.parametrize("reply", ["354 Go", "334 x"])
def test_the_dot_takes_2xx(reply: str) -> None:
    """Rule 16: the verdict is 2xx, 4xx or 5xx."""
    play(DOT + f"u> {reply}\n{OUT}")


@pytest.mark.parametrize("reply", ["220 Go ahead", "354 Go", "334 x"])
@pytest.mark.parametrize("line", ["XYZZY", "", "XEXDATA", "TLS"])
def test_unknown_verbs_that_open_something(line: str, reply: str) -> None:
    """Rule 14: a 3xx or 220 to an unknown verb means that we no longer know what follows."""
    play(EHLO + f"C>U {line}\nu> {reply}\n{OUT}")


def test_220_to_known_verbs_is_no_sign() -> None:
    """220 to NOOP is a 2xx as any."""
    play(EHLO + "C>U NOOP\nu>c 220 Ok")


@EVERY_CUT
@pytest.mark.parametrize("said", ["250 Ok", "220 up", "550 no", "221 bye", "354 go", "451 x", "garbage", "\\0\\"])
def test_unsolicited(said: str, cut: int) -> None:
    """Rule 16: what nobody asked for is out of step, in whatever state."""
    play(EHLO + f"u> {said}\n{OUT}", cut=cut)
    play(RCPT + f"u> {said}\n{OUT}", cut=cut)


@EVERY_CUT
def test_unsolicited_421(cut: int) -> None:
    """Rule 16: an unsolicited 421 is handed on, and the session ends without a word of ours."""
    play(EHLO + "u>c 421 4.4.2 Timeout\n= 421", cut=cut)
    play(MAIL + "u>c 421-4.3.2 Going\nu+c 421 4.3.2 down\n= 421", cut=cut)
    play(EHLO + "C>U AUTH LOGIN\nu>c 334 x\nu>c 421 Bye\n= 421 cut", cut=cut)


@pytest.mark.parametrize("line", ["NOOP", "MAIL FROM:<a@a.example>", "EHLO a", "QUIT", "HELP"])
def test_421_to_a_command(line: str) -> None:
    """Rule 16: after a 421 no word of ours follows."""
    play(EHLO + f"C>U {line}\nC+ DATA\nu>c 421 4.3.2 Bye\n= 421")


def test_421_to_data_and_to_the_dot() -> None:
    """421 to DATA and as verdict is handed on and ends the session; nothing is said of what was held."""
    play(RCPT + "C>U DATA\nu>c 421 Bye\n= 421")
    play(DOT + "u>c 421 Bye\n= 421")


@pytest.mark.parametrize(
    "reply",
    [
        "250-a\nu+ 251 b",
        "250-a\nu+ 550 b",
        "250-a\nu+ b",
        "250 a\\n\\",
        "250 a\\r\\\nu+ b",
        "250 \\0",
        "2500 a",
        "25 a",
        " 250 a",
        "250-a\\n\\\nu+ 250 b",
        "250-\\r",
        "250\ta\\\nu+",
        "999 x",
        "600 x",
        "000 x",
        "+250 x",
        "\\xb2\\xb50 x",
        "250_a",
    ],
)
def test_malformed_replies(reply: str) -> None:
    """Rule 16: same code on all lines, CRLF, no NUL, no bare CR, no bare LF."""
    play(EHLO + f"C>U NOOP\nu> {reply}\n{OUT}")


@pytest.mark.parametrize("reply", ["250 \\xe4\\xff", "250", "250\\x20", "250 a\\tb", "250 \\{4090*x}", "250-\nu+c 250"])
def test_odd_replies_that_are_none(reply: str) -> None:
    """8-bit text, a bare code, HT, and a line of 4096 octets with its end are lawful."""
    play(EHLO + f"C>U NOOP\nu>c {reply}")


def test_endless_replies() -> None:
    """Rule 16: 4096 octets a line, 64 KiB and 500 lines a reply; over them the session ends, in mid line too."""
    play(EHLO + f"C>U NOOP\nu> 250 \\{{4091*x}}\n{OUT}")
    play(EHLO + f"C>U NOOP\nu> 250 \\{{4096*x}}\\\n{OUT}")
    lines = "u>c 250-x\n" + "u+c 250-x\n" * 498
    play(EHLO + "C>U HELP\n" + lines + "u+c 250 x\n")
    play(EHLO + "C>U HELP\n" + lines.replace("u>c", "u>").replace("u+c", "u+") + f"u+ 250-x\nu+ 250 x\n{OUT}")
    big = "u>c 250-\\{4000*x}\n" + "u+c 250-\\{4000*x}\n" * 15
    play(EHLO + "C>U HELP\n" + big + "u+c 250 x\n")
    play(EHLO + "C>U HELP\n" + big.replace("u>c", "u>").replace("u+c", "u+") + f"u+ 250-\\{{4000*x}}\\\n{OUT}")


def test_octets_behind_a_complete_reply() -> None:
    """Rule 16: with nothing else in flight, the reply is handed on, the rest never."""
    play(EHLO + f"C>U NOOP\nu>c 250 Ok\nu+ 250 More\n{OUT}")
    play(EHLO + f"C>U NOOP\nu>c 250 Ok\nu+ 25\\\n{OUT}")
    play(DOT + f"u>c 250 Queued\nu+ 250 More\n{OUT}")
    play(EHLO + "C>U NOOP\nu>c 250 Ok\nu+c 421 Bye\n= 421")
    play(EHLO + "C>U QUIT\nu>c 221 Bye\nu+ 250 More\n= quit")


def test_octets_behind_a_reply_do_not_answer_what_was_held() -> None:
    """A reply too many is not taken for the reply to a command that was still held."""
    play(NO_PIPELINING + f"C>U NOOP\nC+ RSET\nu>c 250 Ok\nu+ 250 More\n{OUT}", Profile.LENIENT)


def test_replies_to_rcpts_in_flight_in_any_pieces() -> None:
    """With others in flight the octets behind a reply are the next reply."""
    play(
        MAIL
        + """
        C>U RCPT TO:<b@b.example>
        C+U RCPT TO:<c@b.example>
        u> 250 b\\r\\n25\\
        c< 250 b
        u> 0 c
        c< 250 c
        C>U DATA
        u>c 354 Go
        """,
        Profile.STRICT,
    )


# --- UPSTREAM closes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["u: eof", "u: lost"])
@pytest.mark.parametrize("stage", [GREETED, EHLO, MAIL, RCPT, CHUNKING])
def test_upstream_closes_with_nothing_owed(stage: str, loss: str) -> None:
    """Rule 16: passed on as a close, silently."""
    play(stage + f"{loss}\n= upstream-gone")


@pytest.mark.parametrize("loss", ["u: eof", "u: lost"])
@pytest.mark.parametrize(
    "owed",
    [
        EHLO + "C>U NOOP\n",
        EHLO + "C>U QUIT\n",
        EHLO + "C>U NOOP\nu> 250-a\n",
        RCPT + "C>U DATA\n",
        DOT,
        MAIL + "C>U RCPT TO:<b@b>\nC+U RCPT TO:<c@b>\n",
        RCPT + "C>U BDAT 3 LAST\nC+U abc\\\n",
    ],
)
def test_upstream_closes_with_a_reply_owed(owed: str, loss: str) -> None:
    """SG503: with a command unanswered CLIENT hears 421 4.3.0, once."""
    play(owed + f"{loss}\nG< 421 4.3.0 SG503\n! SG503 note violations=0\n= upstream-gone")


@pytest.mark.parametrize("loss", ["u: eof", "u: lost"])
@pytest.mark.parametrize("stage", [DATA + "C>U a\n", RCPT + "C>U BDAT 9\nC+U a\\\n", EHLO + "C>U AUTH LOGIN\n"])
def test_upstream_closes_in_content_in_a_chunk_and_in_auth(stage: str, loss: str) -> None:
    """SG503 while CLIENT sends: 421 4.3.0."""
    play(stage + f"{loss}\nG< 421 4.3.0 SG503\n! SG503 note\n= upstream-gone cut")


def test_upstream_closes_between_sasl_lines() -> None:
    """Between 334 and the SASL line nothing is owed by UPSTREAM: a close is a close."""
    play(EHLO + "C>U AUTH LOGIN\nu>c 334 x\nu: eof\n= upstream-gone cut")


def test_reply_deadlines() -> None:
    """SG503 too: UPSTREAM stayed silent past the deadline for a reply or a verdict."""
    play(EHLO + "C>U NOOP\n? waiting=reply\n-- expire\nG< 421 4.3.0 SG503\n! SG503 note\n= deadline")
    play(DOT + "? waiting=verdict\n-- expire\nG< 421 4.3.0 SG503\n! SG503 note\n= deadline")


# --- SG505 ------------------------------------------------------------------------------------------------------------


@EVERY_PROFILE
@pytest.mark.parametrize("code", [500, 502, 503])
def test_a_lawful_command_called_out_of_order(code: int, profile: Profile) -> None:
    """SG505: 500, 502 or 503 to what is legal is a fact about UPSTREAM, not CLIENT's fault."""
    for stage, line in (
        (GREETED, "EHLO a"),
        (GREETED, "HELO a"),
        (HELO, "MAIL FROM:<a@a>"),
        (MAIL, "RCPT TO:<b@b>"),
        (RCPT, "DATA"),
        (EHLO, "RSET"),
        (EHLO, "NOOP"),
        (EHLO, "STARTTLS"),
        (EHLO, "AUTH PLAIN x"),
        (EHLO, "QUIT"),
    ):
        play(stage + f"C>U {line}\nu>c {code} no\n! SG505 note violations=0", profile)


@pytest.mark.parametrize("reply", ["501 x", "504 x", "550 x", "451 x", "554 x"])
def test_other_refusals_are_no_surprise(reply: str) -> None:
    """Policy and syntax are UPSTREAM's own business."""
    play(EHLO + f"C>U MAIL FROM:<a@a.example>\nu>c {reply}")


@pytest.mark.parametrize("line", ["VRFY a", "EXPN a", "HELP", "XYZZY"])
def test_optional_commands_may_be_missing(line: str) -> None:
    """502 to what a server need not implement is no surprise."""
    play(EHLO + f"C>U {line}\nu>c 502 no")


def test_accepted_against_the_order() -> None:
    """SG505 in observe: what was accepted against the order is recorded, and the state follows (rule 3)."""
    play(
        EHLO
        + """
        C>U RCPT TO:<b@b.example>
        ! SG102 note
        u>c 250 Ok
        ! SG505 note
        C>U DATA
        u>c 354 Go
        C>U .
        u>c 250 Queued
        """,
        observing=True,
    )
    play(
        EHLO + "C>U DATA\n! SG103 note\nu>c 354 Go\n! SG505 note\nC>U .\nu>c 250 Queued\n" + transaction() + ACCEPTED,
        observing=True,
    )


def test_a_command_meets_the_beginning_of_a_421() -> None:
    """Half a 421 is pending when a command comes: it is not taken for the command's reply."""
    play(EHLO + f"u> 42\\\nC> NOOP\n{OUT}")
    play(EHLO + "u> 42\\\nu> 1 Bye\nc< 421 Bye\n= 421")


def test_upstream_unreachable() -> None:
    """SG501 from outside: CLIENT hears 421 4.3.2; said once."""
    session = play("C> QUIT")
    out = session.unreachable("refused")
    assert b"".join(out.down).startswith(b"421 4.3.2 ")
    assert [event.rule.id for event in out.events if isinstance(event, Finding)] == ["SG501"]
    assert session.unreachable("refused") == ((), (), ())
