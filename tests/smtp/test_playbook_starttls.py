"""STARTTLS (RFC 3207) in the modes pass-through, hide and refuse; SG205."""

from dataclasses import replace

import pytest

from smtpguard.smtp import Limits, Policy, Profile, TlsMode, policy_for

from .playbook import play
from .stages import EHLO, GREETED, MAIL, RCPT, ehlo, transaction

EVERY_PROFILE = pytest.mark.parametrize("profile", Profile)
OBSERVING = pytest.mark.parametrize("observing", [False, True])
UP = EHLO + "C>U STARTTLS\nu>c 220 2.0.0 Go\n"


def mode(tls_mode: TlsMode, profile: Profile = Profile.STANDARD) -> Policy:
    """Return the policy of a profile in a TLS mode."""
    return replace(policy_for(profile), tls_mode=tls_mode)


@EVERY_PROFILE
@pytest.mark.parametrize("line", ["STARTTLS", "starttls", "X-ANONYMOUSTLS", "STARTTLS x"])
def test_opaque_after_220_and_a_tls_record(line: str, profile: Profile) -> None:
    """After UPSTREAM's 220 and CLIENT's 0x16 inspection ends, the event says so, and octets pass both ways."""
    session = play(
        EHLO
        + f"C>U {line}\nu>c 220 2.0.0 Go\n"
        + """
        ? opaque=no
        C>U \\x16\\x03\\x01\\0\\n\\
        ! InspectionEnded
        ? opaque=yes waiting=opaque
        u>c \\x16\\x03\\x03abc\\
        C>U QUIT
        u>c garbage\\0\\
        """,
        profile,
    )
    assert session.ended().opaque


def test_the_tls_record_in_pieces() -> None:
    """The first octet decides."""
    play(UP + "C>U \\x16\\\n! InspectionEnded\nC>U \\x03\\\nu>c x\\")


def test_ends_of_an_opaque_session() -> None:
    """Opaque: any end of either side ends the session, silently; its deadline too."""
    opaque = UP + "C>U \\x16\\x03\\\n! InspectionEnded\n"
    play(opaque + "C: eof\n= client-gone")
    play(opaque + "C: lost\n= client-gone")
    play(opaque + "u: eof\n= upstream-gone")
    play(opaque + "-- expire\n= deadline")
    play(opaque + "-- outlived")
    play(opaque + "-- dismiss\n= shutdown")


@EVERY_PROFILE
def test_a_refused_starttls_goes_on_being_inspected(profile: Profile) -> None:
    """454: the session goes on in the clear, and is judged."""
    play(
        EHLO + "C>U STARTTLS\nu>c 454 4.7.0 Not now\nC> DATA\nG< 503 5.5.1 SG103\n! SG103 refuse\n" + transaction(),
        profile,
    )


@EVERY_PROFILE
@OBSERVING
@pytest.mark.parametrize("behind", ["EHLO a", "\\x16\\x03\\", "x\\"])
def test_octets_behind_starttls_in_one_segment(behind: str, profile: Profile, *, observing: bool) -> None:
    """SG205 is safe: STARTTLS with anything behind it is never forwarded; 554 and close."""
    play(
        EHLO + f"C> STARTTLS\nC+ {behind}\nG< 554 5.5.0 SG205\n! SG205 close forwarded=no\n= violation",
        profile,
        observing=observing,
    )


@OBSERVING
def test_octets_while_starttls_is_in_flight(*, observing: bool) -> None:
    """SG205 while UPSTREAM has not answered: close, and nothing of it is forwarded."""
    play(EHLO + "C>U STARTTLS\nC> NOOP\nG< 554 5.5.0 SG205\n! SG205 close\n= violation", observing=observing)


@EVERY_PROFILE
@OBSERVING
@pytest.mark.parametrize("behind", ["EHLO a", "\\x15\\x03\\", "\\r\\n\\"])
def test_clear_text_behind_220(behind: str, profile: Profile, *, observing: bool) -> None:
    """SG205: after 220 only 0x16 may come."""
    play(UP + f"C> {behind}\nG< 554 5.5.0 SG205\n! SG205 close\n= violation", profile, observing=observing)


def test_read_before_the_220_was_written() -> None:
    """A command read while the 220 is not fully written was sent in the clear behind STARTTLS: SG205."""
    play(UP + "C~ EHLO a\nG< 554 5.5.0 SG205\n! SG205 close\n= violation")


@pytest.mark.parametrize("said", ["250 Ok", "x\\", "421 Bye", "\\x16\\x03\\"])
def test_upstream_before_the_handshake_is_out_of_step(said: str) -> None:
    """Rule 15: UPSTREAM octets between its 220 and CLIENT's 0x16 are out of step."""
    play(UP + f"u> {said}\nG< 421 4.3.0 SG502\n! SG502 note\n= out-of-step cut")


def test_octets_behind_the_220_in_one_segment() -> None:
    """The 220 is handed on, the rest never."""
    play(EHLO + "C>U STARTTLS\nu>c 220 Go\nu+ 250 injected\nG< 421 4.3.0 SG502\n! SG502 note\n= out-of-step cut")


@pytest.mark.parametrize("reply", ["250 Ok", "221 Bye", "334 x", "354 Go"])
def test_starttls_takes_220_only(reply: str) -> None:
    """Rule 16: any other positive reply is out of step."""
    play(EHLO + f"C>U STARTTLS\nu> {reply}\nG< 421 4.3.0 SG502\n! SG502 note\n= out-of-step cut")


HIDDEN = [
    (["STARTTLS", "PIPELINING", "DSN"], ["PIPELINING", "DSN"]),
    (["PIPELINING", "STARTTLS", "DSN"], ["PIPELINING", "DSN"]),
    (["PIPELINING", "DSN", "STARTTLS"], ["PIPELINING", "DSN"]),
    (["STARTTLS"], []),
    (["starttls"], []),
    (["X-ANONYMOUSTLS", "PIPELINING"], ["PIPELINING"]),
    (["PIPELINING", "X-ANONYMOUSTLS", "STARTTLS"], ["PIPELINING"]),
    (["STARTTLS", "X-ANONYMOUSTLS"], []),
    (["PIPELINING", "STARTTLSX"], ["PIPELINING", "STARTTLSX"]),
    (["PIPELINING"], ["PIPELINING"]),
    (["PIPELINING", "STARTTLS required"], ["PIPELINING"]),
]


def lines(mark: str, words: list[str]) -> str:
    """Return an EHLO reply as transcript lines."""
    said = ["up.example", *words]
    made = [f"250{' ' if n == len(said) else '-'}{word}" for n, word in enumerate(said, 1)]
    return "\n".join(f"{mark if n == 0 or mark == 'c<' else 'u+'} {line}" for n, line in enumerate(made)) + "\n"


@EVERY_PROFILE
@pytest.mark.parametrize(("offered", "left"), HIDDEN)
def test_hide_takes_the_keyword_out(offered: list[str], left: list[str], profile: Profile) -> None:
    """Rule 15: whichever line it stands in; if the last line goes, the line before it gets the blank."""
    play(
        GREETED + "C>U EHLO a\n" + lines("u>", offered) + lines("c<", left) + transaction(), mode(TlsMode.HIDE, profile)
    )


def test_hide_leaves_the_first_line_and_other_replies() -> None:
    """The first line is no keyword; a HELO reply, a refusal and HELP pass untouched."""
    policy = mode(TlsMode.HIDE)
    play(GREETED + "C>U EHLO a\nu>c 250-STARTTLS\nu+c 250 DSN", policy)
    play(GREETED + "C>U EHLO a\nu>c 250 STARTTLS", policy)
    play(GREETED + "C>U EHLO a\nu>c 501-no\nu+c 501 STARTTLS", policy)
    play(GREETED + "C>U HELO a\nu>c 250-up\nu+c 250 STARTTLS", policy)
    play(GREETED + "C>U HELP\nu>c 214-a\nu+c 214 STARTTLS", policy)


@EVERY_PROFILE
@pytest.mark.parametrize("line", ["STARTTLS", "starttls x", "X-ANONYMOUSTLS"])
def test_hide_answers_502_and_refuse_454(line: str, profile: Profile) -> None:
    """`hide` answers 502 5.5.1, `refuse` 454 4.7.0; neither is a finding, and nothing is forwarded."""
    stage = GREETED + ehlo("PIPELINING")
    play(
        stage + f"C> {line}\nG< 502 5.5.1\n! Declined tls.mode verb=STARTTLS answer=502 sequence=2\n" + transaction(),
        mode(TlsMode.HIDE, profile),
    )
    play(
        stage + f"C> {line}\nG< 454 4.7.0\n! Declined tls.mode answer=454\n" + transaction(),
        mode(TlsMode.REFUSE, profile),
    )


def test_refuse_leaves_the_ehlo_reply() -> None:
    """`refuse`: the EHLO reply is untouched."""
    play(EHLO + "C> STARTTLS\nG< 454 4.7.0\n! Declined tls.mode", mode(TlsMode.REFUSE))


@pytest.mark.parametrize("tls_mode", [TlsMode.HIDE, TlsMode.REFUSE])
def test_octets_behind_a_declined_starttls(tls_mode: TlsMode) -> None:
    """SG205 is about CLIENT's octets behind STARTTLS in the clear, in every TLS mode."""
    play(
        GREETED + ehlo("DSN") + "C> STARTTLS\nC+ EHLO a\nG< 554 5.5.0 SG205\n! SG205 close\n= violation", mode(tls_mode)
    )


def test_starttls_in_a_transaction_that_comes_up() -> None:
    """SG110 is a note: TLS may come up, and the transaction is UPSTREAM's to forget."""
    play(MAIL + "C>U STARTTLS\n! SG110 note\nu>c 220 Go\n! SG505 note\nC>U \\x16\\\n! InspectionEnded")


def test_client_gone_before_the_handshake() -> None:
    """CLIENT may leave instead of beginning TLS; UPSTREAM may, too; the command deadline runs."""
    play(UP + "C: eof\n= client-gone")
    play(UP + "u: eof\n= upstream-gone")
    play(UP + "? waiting=command\n-- expire\nG< 421 4.4.2 SG603\n! SG603 close\n= deadline")
    play(RCPT + "C>U STARTTLS\n! SG110 note\nu: eof\nG< 421 4.3.0 SG503\n! SG503 note verb=STARTTLS\n= upstream-gone")


def test_declined_answers_and_the_limit() -> None:
    """SG601 counts our 5xx, the 502 of `hide` too; the 454 of `refuse` is none."""
    limits = Limits(violations=2)
    for tls_mode, answer in ((TlsMode.HIDE, "502 5.5.1"), (TlsMode.REFUSE, "454 4.7.0")):
        declined = f"C> STARTTLS\nG< {answer}\n! Declined tls.mode\n"
        third = "C> STARTTLS\nG< 421 4.7.0 SG601\n! SG601 close\n= limit" if tls_mode is TlsMode.HIDE else declined
        play(GREETED + ehlo("DSN") + declined * 2 + third, replace(mode(tls_mode), limits=limits))
