"""Ends: half-close, CLIENT gone, SG504, what is held, and the account of a session."""

import pytest

from smtpguard.smtp import SHUTTING_DOWN, Close, Profile, Session, Side, Verb, policy_for

from .playbook import play
from .stages import (
    ACCEPTED,
    CHUNKING,
    DATA,
    DELIVERED,
    DOT,
    EHLO,
    GREETED,
    MAIL,
    NO_PIPELINING,
    RCPT,
    REFUSED,
    transaction,
)

LOSS = pytest.mark.parametrize("loss", ["C: eof", "C: lost"])


@LOSS
@pytest.mark.parametrize("stage", ["", GREETED, EHLO, MAIL, RCPT, CHUNKING, REFUSED, EHLO + "C> NOO\\\n"])
def test_client_leaves_between_commands(stage: str, loss: str) -> None:
    """Nothing in flight, nothing complete left: both sides close, and no QUIT is invented."""
    if stage:
        play(stage + f"{loss}\n= client-gone")
    else:
        play("C: lost\n= client-gone")


def test_half_close_waits_for_the_greeting() -> None:
    """The greeting is owed from the start: CLIENT may still read it behind its FIN."""
    play("C: eof\nu>c 220 up\n= client-gone")


def test_half_close_with_commands_left() -> None:
    """Rule 18: what is complete is judged, forwarded, answered; UPSTREAM's side is not shut while it owes a reply."""
    play(
        MAIL
        + """
        C> RCPT TO:<b@b.example>
        C+ DATA
        U< RCPT TO:<b@b.example>
        C: eof
        u>c 250 Ok
        U< DATA
        u>c 354 Go
        = client-gone cut
        """
    )
    play(EHLO + "C>U NOOP\nC+ RSET\nC+ RSE\\\nC: eof\nu>c 250 Ok\nU< RSET\n! SG203 note\nu>c 250 Ok\n= client-gone")
    play(EHLO + "C>U NOOP\nC: eof\nu>c 250 Ok\n= client-gone")


def test_half_close_and_an_answer_of_ours() -> None:
    """A command of ours to answer is answered behind the FIN."""
    play(
        MAIL
        + "C>U RCPT TO:<x@b.example>\nC+ DATA\nC: eof\nu>c 550 No\nG< 554 5.5.1 SG104\n"
        + "! SG104 refuse consequence\n= client-gone"
    )


def test_half_close_behind_quit_and_behind_the_dot() -> None:
    """Behind QUIT and the dot the reply is handed on to CLIENT, which may still read."""
    play(EHLO + "C>U QUIT\nC: eof\nu>c 221 Bye\n= quit")
    play(DOT + "C: eof\n? waiting=verdict\nu>c 250 Queued\n= client-gone")
    play(DATA + "C>U a\nC+U .\nC+ QUIT\nC: eof\nu>c 250 Queued\nU< QUIT\nu>c 221 Bye\n= quit")


@LOSS
@pytest.mark.parametrize("stage", [DATA, DATA + "C>U a\n", RCPT + "C>U BDAT 9\nC+U a\\\n", DATA + "C> .\\\n"])
def test_client_gone_in_content_and_in_a_chunk(stage: str, loss: str) -> None:
    """Rule 18: UPSTREAM is cut without adding a byte, so that it delivers nothing."""
    play(stage + f"{loss}\n= client-gone cut")


@LOSS
def test_client_gone_while_a_refused_chunk_is_swallowed(loss: str) -> None:
    """Of a refused chunk UPSTREAM saw nothing."""
    play(MAIL + f"C> BDAT 9\n! SG104 refuse\nC> a\\\n{loss}\n= client-gone")


@pytest.mark.parametrize("stage", [DOT, RCPT + "C>U BDAT 3 LAST\nC+U abc\\\n", RCPT + "C>U BURL imap://x LAST\n"])
def test_client_gone_behind_the_end_of_content(stage: str) -> None:
    """SG504: UPSTREAM is kept for its verdict (RFC 1047); accepted, and CLIENT could not be told."""
    play(stage + "C: lost\n? waiting=verdict over=no\nu> 250 Queued\n! SG504 note violations=0\n= client-gone")


def test_client_gone_and_the_message_refused() -> None:
    """Nothing was accepted: no uncertainty."""
    play(DOT + "C: lost\nu> 550 Spam\n= client-gone")


def test_client_gone_and_no_verdict() -> None:
    """SG504: UPSTREAM may have accepted it, where it closes, falls silent or out of step behind the dot."""
    play(DOT + "C: lost\nu: eof\n! SG504 note\n= upstream-gone")
    play(DOT + "C: lost\nu: lost\n! SG504 note\n= upstream-gone")


def test_the_verdict_could_not_be_written() -> None:
    """SG504: the 250 was given out but not written."""
    play(DELIVERED + "C: lost untold\n! SG504 note\n= client-gone")
    play(DELIVERED + "C: lost\n= client-gone")
    play(DOT + "u>c 550 Spam\nC: lost untold\n= client-gone")
    play(DELIVERED + "C>U NOOP\nu>c 250 Ok\nC: lost untold\n= client-gone")


def test_the_221_could_not_be_written() -> None:
    """Anything else untold is no delivery in doubt."""
    play(EHLO + "C>U NOOP\nu>c 250 Ok\nC: lost untold\n= client-gone")


def test_loss_with_a_command_in_flight() -> None:
    """A reset while a reply is owed: both sides close; the reply has no reader."""
    play(MAIL + "C>U RCPT TO:<b@b.example>\nC: lost\n= client-gone")
    play(RCPT + "C>U DATA\nC: lost\n= client-gone")


def test_nothing_comes_of_what_arrives_later() -> None:
    """Behind the end octets, ends and deadlines change nothing."""
    session = play(EHLO + "C>U QUIT\nu>c 221 Bye\n= quit")
    ending = session.ending
    for side in Side:
        assert session.receive(side, b"250 x\r\n") == ((), (), ())
        assert session.receive_eof(side) == ((), (), ())
        assert session.lost(side) == ((), (), ())
    assert session.expire() == session.outlived() == ((), (), ())
    assert session.ending is ending


def test_held_input_is_bounded() -> None:
    """Rule 5: at most 64 KiB are held; `window` says what may be read, and opens when it is taken."""
    session = play(EHLO + "C>U NOOP\n? window=65536")
    session.receive(Side.CLIENT, b"RSET\r\n" * 10000)
    assert session.window == 65536 - 60000
    session.receive(Side.CLIENT, b"X" * session.window)
    assert session.window == 0
    session.receive(Side.UPSTREAM, b"250 Ok\r\n")
    assert session.window == 6


def test_window_in_content_is_a_whole_read() -> None:
    """Content is not held: 256 KiB may be read; behind the dot the rest is held again."""
    play(DATA + "? window=262144\nC>U .\n? window=65536")
    play(RCPT + "C>U BDAT 5\n? window=262144")


def test_whole_octets_come_out_as_the_same_object() -> None:
    """Design §4: one whole command in order, one whole reply, content without an end come back as the same object."""
    session = Session(policy_for(Profile.STANDARD), session_id="0123456789AB")
    for side, data in (
        (Side.UPSTREAM, b"220 up\r\n"),
        (Side.CLIENT, b"EHLO a\r\n"),
        (Side.UPSTREAM, b"250-up\r\n250 PIPELINING\r\n"),
        (Side.CLIENT, b"MAIL FROM:<a@a.example>\r\n"),
        (Side.UPSTREAM, b"250 Ok\r\n"),
        (Side.CLIENT, b"RCPT TO:<b@b.example>\r\n"),
        (Side.UPSTREAM, b"250 Ok\r\n"),
        (Side.CLIENT, b"DATA\r\n"),
        (Side.UPSTREAM, b"354 Go\r\n"),
        (Side.CLIENT, b"Subject: x\r\n\r\nhello world\r\n"),
        (Side.CLIENT, b"the end\r\n.\r\n"),
    ):
        out = session.receive(side, data)
        octets = out.up if side is Side.CLIENT else out.down
        assert len(octets) == 1
        assert octets[0] is data


def test_the_account_of_a_session() -> None:
    """`ended` carries the denominators of every later report."""
    session = play(
        EHLO
        + """
        C> RCPT TO:<b@b.example>
        G< 503 5.5.1 SG102
        ! SG102 refuse
        """
        + transaction()
        + "C>U RCPT TO:<x@b.example>\nu>c 550 No\n"
        + ACCEPTED
        + "C>U DATA\nu>c 354 Go\nC>U .\nu>c 250 Queued\nC>U QUIT\nu>c 221 Bye\n= quit"
    )
    ended = session.ended()
    assert (ended.close.value, ended.state.value, ended.last_verb) == ("quit", "identified", Verb.QUIT)
    assert (ended.hello, ended.esmtp, ended.tls, ended.authenticated) == (b"client.example", True, False, False)
    assert (ended.opaque, ended.not_smtp, ended.probe) == (False, False, False)
    assert (ended.accepted_messages, ended.refused_messages) == (1, 0)
    assert (ended.rules, ended.violations, ended.consequences) == ({"SG102": 1}, 1, 0)
    assert ended.commands == {
        Verb.EHLO: (1, 1), Verb.RCPT: (1, 3), Verb.MAIL: (1, 1), Verb.DATA: (1, 1), Verb.QUIT: (1, 1),
    }  # fmt: skip
    # EHLO, three RCPT, MAIL, DATA, the dot, QUIT.
    assert ended.octets_in == 21 + 3 * 23 + 25 + 6 + 3 + 6


def test_what_is_a_probe() -> None:
    """A session with no command, or only QUIT, is a probe; one command more and it is none."""
    assert play("").ended().probe
    assert play(GREETED + "C: eof\n= client-gone").ended().probe
    assert play(GREETED + "C>U QUIT\nu>c 221 Bye\n= quit").ended().probe
    assert not play(GREETED + "C>U NOOP\nu>c 250 Ok\nC>U QUIT\nu>c 221 Bye\n= quit").ended().probe
    assert not play(NO_PIPELINING).ended().probe


def test_refused_messages_are_counted() -> None:
    """The verdicts of both kinds are counted."""
    play(DOT + "u>c 550 Spam\n? refused_messages=1 accepted_messages=0")
    play(CHUNKING + "C>U BDAT 0 LAST\nu>c 250 Queued\n? refused_messages=0 accepted_messages=1")


def test_the_hello_argument_is_capped() -> None:
    """At most 255 octets of the hello's argument are kept."""
    assert play(GREETED + "C>U EHLO \\{300*x}\nu>c 250 up").ended().hello == b"x" * 255


def test_client_gone_and_the_verdict_s_deadline() -> None:
    """SG504: UPSTREAM stays silent behind the dot, CLIENT is gone."""
    play(DOT + "C: lost\n-- expire\n! SG503 note\n! SG504 note\n= deadline")


def test_where_a_session_may_end() -> None:
    """At a command boundary outside a transaction 421 costs nothing: there a drain may strike."""
    for stage in (GREETED, EHLO, DELIVERED):
        assert play(stage).may_end
    for stage in ("", MAIL, RCPT, CHUNKING, DATA, DOT, EHLO + "C>U NOOP\n", EHLO + "C>U AUTH LOGIN\nu>c 334 x\n"):
        assert not play(stage).may_end


def test_dismissed_when_it_is_over() -> None:
    """A session that is over says nothing more."""
    session = play(EHLO + "C>U QUIT\nu>c 221 Bye\n= quit")
    assert session.dismiss(SHUTTING_DOWN, Close.SHUTDOWN) == ((), (), ())
    assert session.ending is not None
    assert session.ending.close is Close.QUIT
