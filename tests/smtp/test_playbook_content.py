"""Content: SG204, SG205 (STARTTLS has a file of its own), SG304, SG305 and the way of a message."""

import pytest

from smtpguard.smtp import Profile

from .playbook import play
from .stages import ACCEPTED, DATA, DATA_REFUSED, DOT, EHLO, MAIL, RCPT, RCPT_REFUSED, transaction

EVERY_PROFILE = pytest.mark.parametrize("profile", Profile)
OBSERVING = pytest.mark.parametrize("observing", [False, True])
AHEAD = "C>U DATA\nC+ Subject: x\nC+ .\n"


@pytest.mark.parametrize("profile", [Profile.STANDARD, Profile.LENIENT])
def test_content_before_354_is_noted(profile: Profile) -> None:
    """SG204, 354 half: noted, and what was held is content."""
    play(
        RCPT
        + AHEAD
        + """
        u>c 354 Go
        U< Subject: x
        U< .
        ! SG204 note cause=did-not-wait-for-354
        u>c 250 Queued
        """,
        profile,
    )


def test_content_before_354_is_closed_where_strict() -> None:
    """SG204 strict: our 554 instead of the 354, and UPSTREAM, which waits for content, is cut."""
    play(
        RCPT + AHEAD + "u> 354 Go\nG< 554 5.5.0 SG204\n! SG204 close cause=did-not-wait-for-354\n= violation cut",
        Profile.STRICT,
    )


def test_content_before_354_in_observe() -> None:
    """SG204, 354 half, is not safe: strict in observe only notes."""
    play(
        RCPT + AHEAD + "u>c 354 Go\nU< Subject: x\nU< .\n! SG204 note enforced=close\nu>c 250 Queued",
        Profile.STRICT,
        observing=True,
    )


@EVERY_PROFILE
@OBSERVING
@pytest.mark.parametrize("held", ["Subject: x", "RSET", "QUIT", "MAIL FROM:<a@a.example>", ".", "", "x\\"])
def test_anything_held_behind_a_refused_data(profile: Profile, held: str, *, observing: bool) -> None:
    """SG204 is safe behind a refusal: it is said, then 554 and close, whatever the held octets spell."""
    play(
        RCPT
        + f"C>U DATA\nC+ {held}\n"
        + "u>c 451 4.3.0 Not now\nG< 554 5.5.0 SG204\n! SG204 close enforced=close forwarded=no\n= violation",
        profile,
        observing=observing,
    )


@EVERY_PROFILE
def test_anything_held_behind_a_data_that_we_refused(profile: Profile) -> None:
    """Rule 6: our refusal, a consequence too, makes what is behind DATA untrusted."""
    play(
        RCPT_REFUSED
        + """
        C> DATA
        C+ Subject: x
        G< 503 5.5.1 SG104
        G< 554 5.5.0 SG204
        ! SG104 refuse
        ! SG204 close
        = violation
        """,
        profile,
    )
    play(
        EHLO
        + """
        C> MAIL FROM:<a@a.example>
        C+ RCPT TO:<b@b.example>
        C+ DATA
        C+ RSET
        U< MAIL FROM:<a@a.example>
        u>c 550 No
        G< 503 5.5.1 SG102
        G< 503 5.5.1 SG103
        G< 554 5.5.0 SG204
        ! SG102 refuse consequence
        ! SG103 refuse consequence
        ! SG204 close
        = violation
        """,
        profile,
    )


@EVERY_PROFILE
@OBSERVING
@pytest.mark.parametrize("line", ["Subject: x", ".", "", "From me", "Received: by x"])
def test_late_content(profile: Profile, line: str, *, observing: bool) -> None:
    """The next line after a refused DATA must begin with a verb; any other is late content."""
    play(
        DATA_REFUSED
        + f"C> {line}\nG< 554 5.5.0 SG204\n! SG204 close cause=ignored-refusal previous=DATA:451\n= violation",
        profile,
        observing=observing,
    )


def test_late_content_behind_our_refusal() -> None:
    """The same behind a DATA that we refused."""
    play(MAIL + "C> DATA\nG< 503 5.5.1 SG104\n! SG104 refuse\nC> Hello\nG< 554 5.5.0 SG204\n! SG204 close\n= violation")


@pytest.mark.parametrize("line", ["RSET", "rset", "NOOP", "EHLO x", " HELP"])
def test_a_verb_behind_a_refused_data_opens_the_session_again(line: str) -> None:
    """Only the next line is looked at: behind it unknown verbs are UPSTREAM's again."""
    play(DATA_REFUSED + f"C>U \\x20{line}\nu>c 250 Ok\nC>U XYZZY\nu>c 500 What?")


@EVERY_PROFILE
@pytest.mark.parametrize("cut", [0, 1, 2, 5])
def test_a_message_passes_octet_for_octet(profile: Profile, cut: int) -> None:
    """Dots, 8-bit octets, NUL and long lines pass unchanged; the end is CRLF.CRLF."""
    play(
        DATA
        + """
        C>U Subject: x
        C+U
        C+U ..stuffed
        C+U .x
        C+U a.
        C+U \\xff\\xfe\\0\\{1200*x}
        C+U .
        u>c 250 Queued
        """,
        profile,
        cut=cut,
    )


def test_the_empty_message() -> None:
    """Rule 10: `.` CRLF right behind 354 is the lawful empty message, a DATA line in bare LF before it too."""
    play(DATA + "C>U .\nu>c 250 Queued", Profile.STRICT)
    play(RCPT + "C>U DATA\\n\\\n! SG301 note\nu>c 354 Go\nC>U .\nu>c 250 Queued")


@pytest.mark.parametrize("verdict", ["250 Queued", "550 Spam", "451 Later"])
def test_any_verdict_ends_the_transaction(verdict: str) -> None:
    """Rule 2: so does any final answer to the content."""
    play(DOT + f"u>c {verdict}\n" + transaction() + ACCEPTED, Profile.STRICT)


BARE = ["a\\nb", "a\\rb", "\\n", "\\r\\r"]


@pytest.mark.parametrize("line", BARE)
def test_bare_newline_in_content(line: str) -> None:
    """SG305: strict closes with 550 and cuts; standard notes once and forwards unchanged; lenient keeps no record."""
    message = f"C> {line}\nC+ a\\nb\nC+ .\n"
    same = message.replace("C>", "U<").replace("C+", "U<")
    play(DATA + message + same + "! SG305 note cause=unknown\nu>c 250 Queued")
    play(DATA + message + same + "u>c 250 Queued", Profile.LENIENT)
    play(DATA + message + same + "! SG305 note enforced=close\nu>c 250 Queued", Profile.STRICT, observing=True)


def test_bare_newline_in_content_where_strict() -> None:
    """SG305 strict: no end of content reaches UPSTREAM, which is cut; 550 and close."""
    for sent in ("a\\nb", "a\\nb\nC+ ."):
        ending = "G< 550 5.5.2 SG305\n! SG305 close forwarded=no\n= violation cut linger=content"
        play(DATA + f"C> {sent}\n{ending}", Profile.STRICT)


def test_bare_lf_client() -> None:
    """SG305 of a client whose commands end in bare LF too names that cause."""
    play(
        RCPT
        + "C>U DATA\\n\\\n! SG301 note cause=bare-lf-client\nu>c 354 Go\n"
        + "C>U a\\nb\nC+U .\n! SG305 note cause=bare-lf-client"
    )


@EVERY_PROFILE
@OBSERVING
def test_hidden_end_of_content(profile: Profile, *, observing: bool) -> None:
    """SG304 is safe: the dot is not forwarded, UPSTREAM is cut, CLIENT hears 550 and is closed."""
    play(
        DATA
        + "C>U a\nC> .\\n\\\nG< 550 5.5.2 SG304\n! SG304 close enforced=close forwarded=no\n"
        + "= violation cut linger=content",
        profile,
        observing=observing,
    )


def test_hidden_end_right_behind_354() -> None:
    """Rule 10: `.` LF right behind the DATA line is a hidden end."""
    play(DATA + "C> .\\n\\\nG< 550 5.5.2 SG304\n! SG304 close\n= violation cut")


@pytest.mark.parametrize("reply", ["552 5.3.4 Too big", "451 4.3.0 Disk full", "421 4.3.2 Bye"])
def test_a_refusal_under_way_is_the_verdict(reply: str) -> None:
    """Rule 16: a 4xx/5xx while content is under way is handed on, UPSTREAM cut, the session over."""
    play(DATA + f"C>U a\nu>c {reply}\n= content-refused cut linger=content")
    play(DATA + f"C>U a\nu>c {reply[:3]}-a\nu+c {reply}\n= content-refused cut")


def test_a_2xx_under_way_is_never_handed_on() -> None:
    """Rule 16: an early 2xx in content is out of step: CLIENT must not take it for its message's."""
    play(DATA + "C>U a\nu> 250 Queued\nG< 421 4.3.0 SG502\n! SG502 note\n= out-of-step cut")


def test_data_answered_250_is_out_of_step() -> None:
    """Rule 16: DATA's class is 354; a 250 would acknowledge a message nobody has seen."""
    play(RCPT + "C>U DATA\nu> 250 Ok\nG< 421 4.3.0 SG502\n! SG502 note\n= out-of-step cut")


def test_a_refusal_under_way_in_pieces() -> None:
    """The beginning of a 4xx or 5xx may wait for its rest; the beginning of anything else is out of step."""
    play(DATA + "C>U a\nu> 55\\\nC>U b\nu> 2 Too big\nc< 552 Too big\n= content-refused cut")
    play(DATA + "C>U a\nu> 2\\\nG< 421 4.3.0 SG502\n! SG502 note\n= out-of-step cut")
