"""Where two rules meet: what is in flight, what is held, what is refused, and in which order it is said."""

from dataclasses import replace

import pytest

from smtpguard.smtp import Profile, TlsMode, policy_for

from .playbook import play
from .stages import ACCEPTED, EHLO, GREETED, HELO, MAIL, MAIL_REFUSED, RCPT, ehlo, transaction

EVERY_PROFILE = pytest.mark.parametrize("profile", Profile)
FLYING = MAIL + "C>U RCPT TO:<b@b.example>\nC+U RCPT TO:<c@b.example>\n"


def test_421_to_the_first_of_several_in_flight() -> None:
    """421 ends the session though other replies are owed; not a word of ours, and what is behind it never goes out."""
    play(FLYING + "u>c 421 Bye\n= 421")
    play(FLYING + "u>c 421 Bye\nu+ 421 Bye\n= 421")
    play(EHLO + "C>U NOOP\nu>c 421 Bye\nu+ 250 x\n= 421")


def test_an_overlong_line_behind_rcpts_in_flight() -> None:
    """Our 500 and the close wait for the replies before them."""
    play(
        FLYING
        + "C> NOOP \\{5000*x}\nu>c 250 b\nu>c 250 c\nG< 500 5.5.2 SG303\n! SG303 close sent_ahead=yes\n= violation"
    )


def test_starttls_with_octets_behind_it_behind_rcpts_in_flight() -> None:
    """SG205 waits, too; and STARTTLS in a transaction is recorded besides."""
    play(
        FLYING
        + """
        C> STARTTLS
        C+ EHLO a
        u>c 250 b
        u>c 250 c
        G< 554 5.5.0 SG205
        ! SG205 close forwarded=no
        ! SG110 note
        = violation
        """
    )


def test_a_forbidden_verb_and_a_chunk_behind_rcpts_in_flight() -> None:
    """A line of ours to answer and a chunk each take their turn."""
    play(
        FLYING
        + """
        C> XCLIENT a
        C+ BDAT 3 LAST
        C+ abc\\
        u>c 250 b
        u>c 550 c
        G< 502 5.5.1 SG405
        U< BDAT 3 LAST
        U< abc\\
        ! SG405 refuse
        u>c 250 Queued
        """
    )


@EVERY_PROFILE
@pytest.mark.parametrize("observing", [False, True])
def test_a_flawed_data_line_makes_what_is_behind_it_untrusted(profile: Profile, *, observing: bool) -> None:
    """Rule 6: a DATA that we refuse for its framing is a refused DATA."""
    play(
        RCPT
        + """
        C> DATA \\x01
        C+ Subject: x
        G< 500 5.5.2 SG302
        G< 554 5.5.0 SG204
        ! SG302 refuse verb=DATA
        ! SG204 close
        = violation
        """,
        profile,
        observing=observing,
    )


def test_data_in_a_bare_lf_refused() -> None:
    """The same for SG301 where strict; and with nothing held the next line decides."""
    refused = RCPT + "C> DATA\\n\\\nG< 500 5.5.2 SG301\n! SG301 refuse\n"
    play(refused + "C> Subject: x\nG< 554 5.5.0 SG204\n! SG204 close\n= violation", Profile.STRICT)
    play(refused + "C>U DATA\nu>c 354 Go", Profile.STRICT)


def test_held_octets_behind_a_refused_data_in_observe() -> None:
    """The refused half of SG204 is safe: observe forwards such a DATA, and closes on what is behind its refusal."""
    play(
        MAIL_REFUSED
        + """
        C>U DATA
        C+ RSET
        ! SG103 note enforced=refuse
        u>c 503 no
        G< 554 5.5.0 SG204
        ! SG204 close
        = violation
        """,
        observing=True,
    )


def test_data_for_binarymime_in_observe() -> None:
    """SG108 is not safe: noted, forwarded, and a 354 to it is a surprise."""
    play(
        EHLO + transaction(" BODY=BINARYMIME") + ACCEPTED + "C>U DATA\n! SG108 note\nu>c 354 Go\n! SG505 note",
        observing=True,
    )


def test_client_leaves_while_auth_is_in_flight() -> None:
    """A reset is gone, and UPSTREAM is cut; a FIN leaves room for the reply, and ends at a 334."""
    play(EHLO + "C>U AUTH LOGIN\nC: lost\n= client-gone cut")
    play(EHLO + "C>U AUTH LOGIN\nC: eof\nu>c 334 x\n= client-gone cut")


def test_octets_behind_354() -> None:
    """Behind 354 UPSTREAM has nothing to say: out of step, and cut."""
    play(RCPT + "C>U DATA\nu>c 354 Go\nu+ 250 x\nG< 421 4.3.0 SG502\n! SG502 note\n= out-of-step cut")


@pytest.mark.parametrize("tls_mode", [TlsMode.HIDE, TlsMode.REFUSE])
def test_a_declined_starttls_is_judged_all_the_same(tls_mode: TlsMode) -> None:
    """The setting answers what the rules would forward; a refusal of the rules comes first."""
    code = "502 5.5.1" if tls_mode is TlsMode.HIDE else "454 4.7.0"
    policy = replace(policy_for(), tls_mode=tls_mode)
    stage = GREETED + ehlo("DSN") + transaction()
    play(stage + f"C> STARTTLS\nG< {code}\n! SG110 note forwarded=no\n! Declined tls.mode", policy)
    play(stage + "C> STARTTLS\nG< 503 5.5.1 SG109\n! SG109 refuse\n! SG110 note", policy, tls=True)


def test_a_hello_that_opensmtpd_refuses_a_second_time() -> None:
    """503 to a second EHLO is a surprise, and session and transaction stay."""
    play(RCPT + "C>U EHLO again\nu>c 503 5.5.1 Already\n! SG505 note\nC>U DATA\nu>c 354 Go", Profile.STRICT)


def test_a_switch_to_helo_takes_the_extensions_away() -> None:
    """HELO 2xx ends the transaction and empties the keywords: no PIPELINING, no CHUNKING, no AUTH behind it."""
    play(
        RCPT
        + """
        C>U HELO a
        u>c 250 up
        C>U MAIL FROM:<a@a.example>
        C+ RCPT TO:<b@b.example>
        u>c 250 Ok
        U< RCPT TO:<b@b.example>
        ! SG202 note
        u>c 250 Ok
        C> BDAT 0 LAST
        G< 503 5.5.1 SG107
        ! SG107 refuse cause=helo-then-esmtp
        C>U RSET
        u>c 250 Ok
        C>U AUTH PLAIN SECRET
        ! SG113 note cause=helo-then-esmtp
        u>c 503 no
        """
    )


def test_ehlo_behind_helo_gives_them_back() -> None:
    """EHLO behind HELO: the keywords of the last accepted hello count."""
    play(
        HELO + ehlo("PIPELINING", "CHUNKING") + transaction() + ACCEPTED + "C>U BDAT 0 LAST\nu>c 250 Queued",
        Profile.STRICT,
    )


def test_a_second_transaction_is_judged_by_itself() -> None:
    """What was refused in one transaction blames nobody in the next."""
    play(
        MAIL
        + "C>U RCPT TO:<x@b.example>\nu>c 550 No\nC>U RSET\nu>c 250 Ok\n"
        + transaction()
        + "C> DATA\nG< 503 5.5.1 SG104\n! SG104 refuse cause=unknown\n"
    )


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_session_sent_in_one_segment(cut: int) -> None:
    """A whole session sent blindly: greeting, group ends and 354 are not waited for, and the message is delivered."""
    play(
        """
        C> EHLO a
        C+ MAIL FROM:<a@a.example>
        C+ RCPT TO:<b@b.example>
        C+ DATA
        C+ Subject: x
        C+ .
        C+ QUIT
        u>c 220 up
        U< EHLO a
        ! SG201 note
        u>c 250-up
        u+c 250 PIPELINING
        U< MAIL FROM:<a@a.example>
        ! SG203 note
        u>c 250 Ok
        U< RCPT TO:<b@b.example>
        u>c 250 Ok
        U< DATA
        u>c 354 Go
        U< Subject: x
        U< .
        ! SG204 note cause=did-not-wait-for-354
        u>c 250 Queued
        U< QUIT
        u>c 221 Bye
        = quit
        """,
        cut=cut,
    )
