"""AUTH (RFC 4954): exchanges of any length, and no credential in any event."""

import pytest

from smtpguard.smtp import Profile

from .playbook import play
from .stages import EHLO, GREETED, MAIL, NO_PIPELINING, transaction

EVERY_CUT = pytest.mark.parametrize("cut", [0, 1, 4])


@EVERY_CUT
@pytest.mark.parametrize(
    "line", ["AUTH PLAIN SECRET", "auth plain SECRET", "AUTH XOAUTH2 SECRET=", "X-EXPS GSSAPI SECRET"]
)
def test_initial_response(line: str, cut: int) -> None:
    """An initial response and 235: logged in with one line; in Exchange's spelling too."""
    play(EHLO + f"C>U {line}\nu>c 235 2.7.0 Ok\n? authenticated=yes\n" + transaction(), Profile.STRICT, cut=cut)


@EVERY_CUT
@pytest.mark.parametrize("rounds", [1, 2, 40])
@pytest.mark.parametrize(("verdict", "logged_in"), [("235 Ok", "yes"), ("535 5.7.8 No", "no"), ("454 Later", "no")])
def test_any_number_of_rounds(rounds: int, verdict: str, logged_in: str, cut: int) -> None:
    """334 after 334: each line between is a SASL line; the first other reply ends the exchange."""
    exchange = "".join(f"u>c 334 {n}\nC>U SECRET{n}\n" for n in range(rounds))
    play(
        EHLO + f"C>U AUTH LOGIN\n{exchange}u>c {verdict}\n? authenticated={logged_in}\n" + transaction(),
        Profile.STRICT,
        cut=cut,
    )


@pytest.mark.parametrize("reply", ["501 5.7.0 Cancelled", "535 5.7.8 No", "504 What", "454 Later", "500 Eh"])
def test_cancelled_with_a_star(reply: str) -> None:
    """`*` is a SASL line as any; the exchange ends with UPSTREAM's refusal, whatever its code; AUTH again is lawful."""
    play(EHLO + f"C>U AUTH LOGIN\nu>c 334\nC>U *\nu>c {reply}\nC>U AUTH PLAIN SECRET\nu>c 235 Ok", Profile.STRICT)


def test_commands_pipelined_behind_a_failed_exchange() -> None:
    """535, then what was sent behind the last SASL line is a command, forwarded behind the 535 (SG203)."""
    play(
        EHLO
        + """
        C>U AUTH LOGIN
        u>c 334 VXNlcm5hbWU6
        C>U SECRET
        C+ MAIL FROM:<a@a.example>
        u>c 535 No
        U< MAIL FROM:<a@a.example>
        u>c 250 Ok
        """
    )


def test_a_line_sent_ahead_is_a_sasl_line_after_334() -> None:
    """What stands behind a SASL line is the next SASL line if UPSTREAM says 334."""
    play(EHLO + "C>U AUTH LOGIN\nu>c 334 a\nC>U SECRET1\nC+ QUIT\nu>c 334 b\nU< QUIT\nu>c 535 No")


@pytest.mark.parametrize("reply", ["250 Ok", "221 Bye", "354 Go", "220 Ok"])
@pytest.mark.parametrize("stage", ["C>U AUTH LOGIN\n", "C>U AUTH LOGIN\nu>c 334 a\nC>U QUIT\n", "C>U X-EXPS NTLM\n"])
def test_other_replies_in_auth_are_out_of_step(stage: str, reply: str) -> None:
    """Rule 16: one server runs commands inside AUTH; its 250 or 221 there means that we no longer agree."""
    play(EHLO + stage + f"u> {reply}\nG< 421 4.3.0 SG502\n! SG502 note\n= out-of-step cut")


def test_auth_refused_by_us_is_redacted() -> None:
    """Rule 22: of a refused AUTH no argument is kept; the runner looks for SECRET in every event."""
    play(MAIL + "C> AUTH PLAIN SECRET\nG< 503 5.5.1 SG111\n! SG111 refuse line=AUTH [redacted]")
    play(MAIL + "C> auth  plain\tSECRET\nG< 503 5.5.1 SG111\n! SG111 refuse line=AUTH [redacted]")
    play(GREETED + "C> AUTH PLAIN SECRET\nG< 503 5.5.1 SG113\n! SG113 refuse line=AUTH [redacted]", Profile.STRICT)


@pytest.mark.parametrize(
    "line",
    [
        "AUHT PLAIN SECRET",
        "AUTH\\0 PLAIN SECRET",
        "AUTH:PLAIN SECRET",
        "SECRET",
        "AUTHPLAIN SECRET",
        "X-EXPS SECRET\\x01",
    ],
)
def test_a_mistyped_auth_is_redacted(line: str) -> None:
    """Rule 22: of a verb outside the vocabulary only the length is kept."""
    text = line + "\\n\\"
    rule = "SG302" if "\\" in line else "SG301"
    play(
        EHLO + f"C> {text}\nG< 500 5.5.2 {rule}\n! {rule} refuse\n" + ("! SG301 refuse" if rule == "SG302" else ""),
        Profile.STRICT,
    )


def test_a_reply_that_quotes_a_credential_is_not_kept() -> None:
    """UPSTREAM may quote the line in its refusal: the previous reply of an event does not tell it."""
    play(EHLO + "C>U SECRET\nu>c 500 What is SECRET?\nC> DATA\nG< 503 5.5.1 SG103\n! SG103 refuse previous=UNKNOWN:500")
    play(
        EHLO
        + "C>U AUTH PLAIN SECRET\nu>c 535 SECRET is bad\nC> DATA\nG< 503 5.5.1 SG103\n! SG103 refuse previous=AUTH:535"
    )
    play(
        EHLO
        + "C>U AUTH PLAIN\nu>c 334\nC>U SECRET\nu>c 535 SECRET is bad\n"
        + "C> DATA\nG< 503 5.5.1 SG103\n! SG103 refuse previous=SASL:535"
    )


@pytest.mark.parametrize(
    "line", ["NOOP SECRET", "HELP SECRET", "QUIT SECRET", "RSET SECRET", "VRFY SECRET", "DATA SECRET"]
)
def test_a_credential_in_a_wrong_place_is_redacted(line: str) -> None:
    """Rule 22: arguments are kept of EHLO, HELO, MAIL, RCPT and BDAT only."""
    word = line.split(maxsplit=1)[0]
    play(
        GREETED
        + f"C> {line}\\n\\\nG< 500 5.5.2 SG301\n! SG301 refuse line={word} [redacted]"
        + ("\n! SG103 refuse" if word == "DATA" else ""),
        Profile.STRICT,
    )


def test_a_reply_to_a_credential_in_a_wrong_place() -> None:
    """A reply may quote what it answers: of commands whose arguments are not kept, the reply's text is not either."""
    play(
        EHLO + "C>U VRFY SECRET\nu>c 550 SECRET unknown\nC> DATA\nG< 503 5.5.1 SG103\n! SG103 refuse previous=VRFY:550"
    )


def test_the_starttls_and_burl_arguments_are_redacted() -> None:
    """BURL's URL may hold an authorisation (RFC 4468): it is no argument that is kept."""
    play(EHLO + "C> BURL imap://u@h/SECRET LAST\nG< 503 5.5.1 SG103\n! SG103 refuse line=BURL [redacted]")


def test_auth_without_pipelining_in_small_steps() -> None:
    """AUTH needs no PIPELINING; where it is not offered a refusal of UPSTREAM is no surprise."""
    play(NO_PIPELINING + "C>U AUTH PLAIN SECRET\nu>c 503 5.5.1 No", Profile.STRICT)
    play(EHLO + "C>U AUTH PLAIN SECRET\nu>c 503 5.5.1 No\n! SG505 note")


def test_client_gone_in_an_exchange() -> None:
    """Rule 18: FIN or RST in AUTH is *gone*: UPSTREAM is cut, no `*` is invented."""
    for loss in ("C: eof", "C: lost"):
        play(EHLO + f"C>U AUTH LOGIN\nu>c 334 a\n{loss}\n= client-gone cut")


def test_deadline_in_an_exchange() -> None:
    """A SASL line that does not come is a command that does not come."""
    play(
        EHLO
        + "C>U AUTH LOGIN\nu>c 334 a\n? waiting=command\n-- expire\nG< 421 4.4.2 SG603\n! SG603 close\n= deadline cut"
    )


def test_a_sasl_line_in_mode_observe() -> None:
    """An exchange cannot go on without a line: what enforce would have done is a close, not a refusal."""
    play(
        EHLO + "C>U AUTH LOGIN\nu>c 334 a\nC>U SECRET\\n\\\n! SG301 note enforced=close\nu>c 535 No",
        Profile.STRICT,
        observing=True,
    )
