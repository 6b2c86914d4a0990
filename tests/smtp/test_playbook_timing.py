"""Timing: SG201 to SG203 and SG206, in the three profiles, in observe and with PIPECONNECT."""

import pytest

from smtpguard.smtp import Profile

from .playbook import play
from .stages import ACCEPTED, EHLO, GREETED, HELO, MAIL, NO_PIPELINING, RCPT, ehlo, transaction

EARLY = "C> EHLO client.example\n"


def test_early_talker_is_closed_where_strict() -> None:
    """SG201 strict: our 554 instead of the greeting, and nothing was forwarded."""
    play(
        EARLY
        + """
        u> 220 up.example ESMTP
        G< 554 5.5.0 SG201
        ! SG201 close cause=did-not-wait-for-greeting forwarded=no answer=554
        = violation
        """,
        Profile.STRICT,
    )


@pytest.mark.parametrize("observing", [False, True])
def test_early_talker_is_held_and_noted(*, observing: bool) -> None:
    """SG201 standard, and strict in observe: held until the greeting, noted once, then judged as usual."""
    play(
        EARLY
        + """
        u>c 220 up.example ESMTP
        U< EHLO client.example
        ! SG201 note cause=did-not-wait-for-greeting
        u>c 250 up.example
        """
        + transaction(),
        Profile.STRICT if observing else Profile.STANDARD,
        observing=observing,
    )


def test_early_talker_leaves_no_record_where_lenient() -> None:
    """SG201 lenient: held, no finding."""
    play(EARLY + "u>c 220 up.example\nU< EHLO client.example\nu>c 250 up", Profile.LENIENT)


def test_early_part_of_a_line_is_an_early_talker_too() -> None:
    """SG201 is about octets, not lines."""
    play("C> EH\\\nu>c 220 up\n! SG201 note\nC> LO x\nU< EHLO x\nu>c 250 up")


def test_early_quit_before_a_refused_greeting() -> None:
    """Held input meets a 554 greeting: QUIT is still lawful behind it."""
    play("C> QUIT\nu>c 554 no\nU< QUIT\n! SG201 note\nu>c 221 bye\n= quit")


@pytest.mark.parametrize("profile", Profile)
def test_pipeconnect_group_is_silent(profile: Profile) -> None:
    """EHLO and the MAIL, RCPT group behind it are no finding where UPSTREAM is known to offer PIPECONNECT."""
    play(
        """
        C> EHLO client.example
        C+ MAIL FROM:<a@a.example>
        C+ RCPT TO:<b@b.example>
        C+ RCPT TO:<c@b.example>
        u>c 220 up.example
        U< EHLO client.example
        u>c 250-up.example
        u+c 250-PIPELINING
        u+c 250 PIPECONNECT
        U< MAIL FROM:<a@a.example>
        u>c 250 Ok
        U< RCPT TO:<b@b.example>
        U< RCPT TO:<c@b.example>
        u>c 250 Ok
        u+c 250 Ok
        """,
        profile,
        pipeconnect=True,
    )


def test_pipeconnect_is_about_ehlo_only() -> None:
    """Anything but EHLO before the greeting is SG201 with PIPECONNECT too."""
    play("C> HELO x\nu> 220 up\nG< 554 5.5.0 SG201\n! SG201 close\n= violation", Profile.STRICT, pipeconnect=True)


PAIR = """
    C> MAIL FROM:<a@a.example>
    C+ RCPT TO:<b@b.example>
    U< MAIL FROM:<a@a.example>
    u>c 250 Ok
"""


@pytest.mark.parametrize("stage", [HELO, NO_PIPELINING])
def test_pipelining_where_it_is_not_offered(stage: str) -> None:
    """SG202: strict closes behind the first reply, standard notes, lenient is silent; UPSTREAM gets one at a time."""
    play(stage + PAIR + "G< 554 5.5.0 SG202\n! SG202 close sent_ahead=yes forwarded=no\n= violation", Profile.STRICT)
    play(stage + PAIR + "U< RCPT TO:<b@b.example>\n! SG202 note sent_ahead=yes\nu>c 250 Ok")
    play(stage + PAIR + "U< RCPT TO:<b@b.example>\nu>c 250 Ok", Profile.LENIENT)
    play(stage + PAIR + "U< RCPT TO:<b@b.example>\n! SG202 note enforced=close", Profile.STRICT, observing=True)


def test_rcpts_go_one_by_one_without_pipelining() -> None:
    """Rule 5: RCPTs are in flight together only where UPSTREAM offered PIPELINING."""
    play(
        NO_PIPELINING
        + transaction()
        + """
        C> RCPT TO:<b@b.example>
        C+ RCPT TO:<c@b.example>
        U< RCPT TO:<b@b.example>
        u>c 250 Ok
        U< RCPT TO:<c@b.example>
        u>c 250 Ok
        """,
        Profile.LENIENT,
    )


@pytest.mark.parametrize("line", ["NOOP", "VRFY a", "EXPN a", "EHLO again"])
def test_input_behind_a_group_end(line: str) -> None:
    """SG203: noted in strict and standard, silent where lenient; the line waits and goes its way."""
    reply = "u>c 250-up\nu+c 250 PIPELINING\n" if line.startswith("EHLO") else "u>c 250 Ok\n"
    ahead = EHLO + f"C>U {line}\nC+ RSET\n" + reply
    play(ahead + "U< RSET\n! SG203 note sent_ahead=yes verb=RSET\nu>c 250 Ok")
    play(ahead + "U< RSET\n! SG203 note\nu>c 250 Ok", Profile.STRICT)
    play(ahead + "U< RSET\nu>c 250 Ok", Profile.LENIENT)


def test_input_behind_helo_is_sg202_too() -> None:
    """Behind HELO both rules hold: HELO ends a group, and offers no PIPELINING."""
    play(GREETED + "C>U HELO x\nC+ NOOP\nu>c 250 up\nU< NOOP\n! SG202 note\n! SG203 note\nu>c 250 Ok")


def test_input_behind_auth() -> None:
    """SG203 behind AUTH: a line sent ahead becomes the SASL line after 334, a command after 535; never shown."""
    ahead = EHLO + "C>U AUTH PLAIN\nC+ SECRET\n"
    play(ahead + "u>c 334\nU< SECRET\n! SG203 note verb=SASL\nu>c 235 Ok")
    play(ahead + "u>c 535 No\nU< SECRET\n! SG203 note verb=UNKNOWN line=[6 octets]\nu>c 500 What?")


def test_not_ahead_when_the_reply_was_given_out() -> None:
    """A command that comes behind the reply is not ahead, in whatever pieces."""
    play(
        HELO + "C> MAIL FROM:<a\\\nC> @a.example>\nU< MAIL FROM:<a@a.example>\nu>c 250 Ok\n" + ACCEPTED, Profile.STRICT
    )


def test_ahead_while_the_reply_is_not_fully_written() -> None:
    """Rule 8: a command read before its predecessor's reply was fully written was read ahead."""
    play(HELO + transaction() + "C~ RCPT TO:<b@b.example>\nU< RCPT TO:<b@b.example>\n! SG202 note sent_ahead=yes")


@pytest.mark.parametrize("profile", Profile)
def test_input_behind_quit_is_discarded_and_noted(profile: Profile) -> None:
    """SG206: what stands behind an accepted QUIT is dropped; both sides close without waiting for UPSTREAM's close."""
    play(EHLO + "C>U QUIT\nC+ MAIL FROM:<a@a.example>\nu>c 221 Bye\n! SG206 note\n= quit", profile)
    play(RCPT + "C>U QUIT\nC> NOOP\nu>c 221 Bye\n! SG206 note\n= quit", profile)


def test_a_refused_quit_makes_them_commands_again() -> None:
    """Rule 6: `QUIT x` is refused by half of all servers; then the session goes on."""
    play(
        MAIL
        + """
        C>U QUIT x
        C+ RCPT TO:<b@b.example>
        u>c 501 5.5.4 No argument
        U< RCPT TO:<b@b.example>
        u>c 250 Ok
        C>U QUIT
        u>c 221 Bye
        = quit
        """
    )


def test_sg203_where_the_second_ehlo_takes_pipelining_back() -> None:
    """The keywords that count are those of the last accepted hello: an EHLO without PIPELINING adds SG202."""
    play(EHLO + "C>U EHLO b\nC+ NOOP\nu>c 250 up\nU< NOOP\n! SG202 note\n! SG203 note\nu>c 250 Ok")


def test_a_pipelined_group_is_no_finding_behind_rset() -> None:
    """RSET, MAIL and RCPT may stand in one group where PIPELINING is offered."""
    play(
        GREETED
        + ehlo("PIPELINING")
        + "C>U RSET\nC+ MAIL FROM:<a@a.example>\nC+ RCPT TO:<b@b.example>\n"
        + "u>c 250 Ok\nU< MAIL FROM:<a@a.example>\nu>c 250 Ok\nU< RCPT TO:<b@b.example>\nu>c 250 Ok",
        Profile.STRICT,
    )


def test_pipeconnect_covers_no_more_than_its_group() -> None:
    """Behind EHLO sent early anything but MAIL and RCPT is what it always is: NOOP there is SG203."""
    play(
        "C> EHLO a\nC+ NOOP\nu>c 220 up\nU< EHLO a\nu>c 250-up\nu+c 250 PIPELINING\nU< NOOP\n! SG203 note\nu>c 250 Ok",
        pipeconnect=True,
    )


def test_pipeconnect_is_learnt_from_a_session() -> None:
    """The keyword in the last EHLO reply is told to the owner of the session."""
    assert play(GREETED + ehlo("PIPECONNECT")).offers_pipeconnect
    assert not play(EHLO).offers_pipeconnect
