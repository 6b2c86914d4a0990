"""Order: SG101 to SG108, in the profiles where they differ and in observe, with their causes."""

import pytest

from smtpguard.smtp import Profile

from .playbook import play
from .stages import (
    ACCEPTED,
    CHUNKING,
    DATA_REFUSED,
    DELIVERED,
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

EVERY_PROFILE = pytest.mark.parametrize("profile", Profile)
REFUSING = pytest.mark.parametrize("profile", [Profile.STRICT, Profile.STANDARD])


@REFUSING
def test_mail_before_hello_is_answered_and_never_forwarded(profile: Profile) -> None:
    """SG101: MAIL with no accepted hello hears our 503, the session goes on, and after EHLO it is lawful."""
    play(
        GREETED
        + """
        C> MAIL FROM:<a@a.example>
        G< 503 5.5.1 SG101
        ! SG101 refuse cause=no-hello-at-all state=connected verb=MAIL forwarded=no answer=503 violations=1
        """
        + ehlo("PIPELINING")
        + transaction(),
        profile,
    )


def test_mail_before_hello_passes_where_lenient() -> None:
    """SG101 lenient: noted and forwarded; that UPSTREAM took it is a fact about UPSTREAM (SG505)."""
    play(
        GREETED
        + """
        C>U MAIL FROM:<a@a.example>
        ! SG101 note enforced=note forwarded=yes answer=none violations=0
        u>c 250 2.1.0 Ok
        ! SG505 note
        """
        + ACCEPTED,
        Profile.LENIENT,
    )


def test_mail_before_hello_in_observe_says_what_enforce_would_do() -> None:
    """Observe: `refuse` becomes a note that remembers the verdict; UPSTREAM's refusal leaves the state."""
    play(
        GREETED
        + """
        C>U MAIL FROM:<a@a.example>
        ! SG101 note enforced=refuse forwarded=yes answer=none
        u>c 503 5.5.1 Hello first
        C>U RCPT TO:<b@b.example>
        ! SG102 note enforced=refuse cause=ignored-refusal previous=MAIL:503
        u>c 503 5.5.1 MAIL first
        """,
        observing=True,
    )


def test_mail_after_a_refused_hello() -> None:
    """SG101 after a refused EHLO names that cause, and the reply before."""
    play(
        GREETED
        + """
        C>U EHLO
        u>c 501 5.5.4 Name yourself
        C> MAIL FROM:<a@a.example>
        G< 503 5.5.1 SG101
        ! SG101 refuse cause=hello-refused-and-ignored previous=EHLO:501 sequence=2
        """
    )


def test_mail_after_helo_is_lawful() -> None:
    """HELO is a hello: MAIL and RCPT behind it are in order."""
    play(HELO + transaction() + ACCEPTED, Profile.STRICT)


@EVERY_PROFILE
def test_rcpt_without_mail_is_refused_everywhere(profile: Profile) -> None:
    """SG102 is refused in every profile, before and after the hello."""
    play(GREETED + "C> RCPT TO:<b@b.example>\nG< 503 5.5.1 SG102\n! SG102 refuse state=connected", profile)
    play(
        EHLO
        + """
        C> RCPT TO:<b@b.example>
        G< 503 5.5.1 SG102
        ! SG102 refuse state=identified verb=RCPT
        """
        + transaction()
        + ACCEPTED,
        profile,
    )


def test_rcpt_after_a_refused_mail() -> None:
    """SG102 after a refused MAIL: the client ignored the refusal; a new MAIL is lawful."""
    play(
        MAIL_REFUSED
        + """
        C> RCPT TO:<b@b.example>
        G< 503 5.5.1 SG102
        ! SG102 refuse cause=ignored-refusal previous=MAIL:550
        """
        + transaction()
        + ACCEPTED
    )


@pytest.mark.parametrize(
    "ending", ["C>U RSET\nu>c 250 Ok\n", "C>U EHLO again.example\nu>c 250 up\n", "C>U HELO x\nu>c 250 up\n"]
)
def test_rset_and_hello_end_the_transaction(ending: str) -> None:
    """Rule 2: RSET 2xx and a hello's 2xx end the transaction, so RCPT behind them is SG102."""
    play(RCPT + ending + "C> RCPT TO:<b@b.example>\nG< 503 5.5.1 SG102\n! SG102 refuse")


@pytest.mark.parametrize("refused", ["C>U RSET\nu>c 451 no\n", "C>U EHLO\nu>c 501 no\n", "C>U HELO\nu>c 501 no\n"])
def test_a_refused_rset_or_hello_ends_nothing(refused: str) -> None:
    """Rule 1: a refused command leaves the old state."""
    play(RCPT + refused + ACCEPTED + "C>U DATA\nu>c 354 Go", Profile.STRICT)


def test_rcpt_after_the_final_answer() -> None:
    """SG102: any final answer to the content ends the transaction, an accepted one too."""
    play(DELIVERED + "C> RCPT TO:<b@b.example>\nG< 503 5.5.1 SG102\n! SG102 refuse cause=unknown")


@EVERY_PROFILE
@pytest.mark.parametrize("line", ["DATA", "BURL imap://x LAST"])
def test_data_without_mail(line: str, profile: Profile) -> None:
    """SG103: content commands with no transaction open are refused everywhere."""
    play(
        EHLO + f"C> {line}\nG< 503 5.5.1 SG103\n! SG103 refuse cause=unknown state=identified\n" + transaction(),
        profile,
    )


def test_bdat_without_mail_has_its_payload_swallowed() -> None:
    """SG103 for BDAT: exactly n octets are swallowed, then comes the answer, then commands again."""
    play(
        EHLO
        + """
        C> BDAT 12
        ! SG103 refuse verb=BDAT
        C> QUIT\\r\\nNOOP\\r\\n\\
        G< 503 5.5.1 SG103
        """
        + transaction()
    )


def test_data_after_a_refused_mail() -> None:
    """SG103 after a refused MAIL whose reply had been read: the client ignored it."""
    play(MAIL_REFUSED + "C> DATA\nG< 503 5.5.1 SG103\n! SG103 refuse cause=ignored-refusal")


@EVERY_PROFILE
@pytest.mark.parametrize("line", ["DATA", "BURL imap://x LAST", "BDAT 0", "BDAT 0 LAST"])
def test_data_without_recipient(line: str, profile: Profile) -> None:
    """SG104 not pipelined is a violation and hears 503; the transaction stays open."""
    play(MAIL + f"C> {line}\nG< 503 5.5.1 SG104\n! SG104 refuse cause=unknown state=envelope\n" + ACCEPTED, profile)


def test_data_when_all_recipients_were_refused() -> None:
    """SG104 behind refused recipients, each reply read: a violation with that cause."""
    play(RCPT_REFUSED + "C> DATA\nG< 503 5.5.1 SG104\n! SG104 refuse cause=all-recipients-refused\n" + ACCEPTED)


@REFUSING
def test_nested_mail(profile: Profile) -> None:
    """SG105: MAIL while a transaction is open is refused; the transaction lives on."""
    play(
        RCPT
        + """
        C> MAIL FROM:<c@c.example>
        G< 503 5.5.1 SG105
        ! SG105 refuse cause=unknown state=recipients
        C>U DATA
        u>c 354 Go ahead
        """,
        profile,
    )


def test_nested_mail_where_lenient_opens_a_new_transaction() -> None:
    """SG105 lenient, UPSTREAM takes it: rule 3, a new transaction with no recipient, and SG505."""
    play(
        RCPT
        + """
        C>U MAIL FROM:<c@c.example>
        ! SG105 note
        u>c 250 2.1.0 Ok
        ! SG505 note
        C> DATA
        G< 503 5.5.1 SG104
        ! SG104 refuse
        """,
        Profile.LENIENT,
    )


def test_nested_mail_that_upstream_refuses_leaves_the_recipients() -> None:
    """Rule 1 in observe: the refused MAIL changes nothing."""
    play(
        RCPT
        + """
        C>U MAIL FROM:<c@c.example>
        ! SG105 note enforced=refuse
        u>c 503 5.5.1 nested
        C>U DATA
        u>c 354 Go ahead
        """,
        observing=True,
    )


@pytest.mark.parametrize(
    ("stage", "cause"),
    [
        (DATA_REFUSED, "no-rset-after-refused-data"),
        (RCPT_REFUSED, "all-recipients-refused"),
        (DELIVERED + transaction() + ACCEPTED, "pooled-connection"),
        (MAIL, "unknown"),
    ],
)
def test_causes_of_a_nested_mail(stage: str, cause: str) -> None:
    """SG105 names why the transaction was still open."""
    play(stage + f"C> MAIL FROM:<c@c.example>\nG< 503 5.5.1 SG105\n! SG105 refuse cause={cause}")


@EVERY_PROFILE
@pytest.mark.parametrize("line", ["MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>", "DATA"])
def test_command_in_chunking(line: str, profile: Profile) -> None:
    """SG106: after a first BDAT only BDAT, BURL or RSET go on with the transaction."""
    play(CHUNKING + f"C> {line}\nG< 503 5.5.1 SG106\n! SG106 refuse cause=unknown state=chunking\n", profile)


def test_a_refused_chunk_opens_chunking_too() -> None:
    """Rule 2: the first BDAT forwarded opens chunking whatever its answer; RSET ends it."""
    play(
        RCPT
        + """
        C>U BDAT 3
        C>U abc\\
        u>c 452 4.3.1 Full
        C> MAIL FROM:<c@c.example>
        G< 503 5.5.1 SG106
        ! SG106 refuse cause=ignored-refusal previous=BDAT:452
        C>U RSET
        u>c 250 Ok
        """
        + transaction()
        + ACCEPTED
        + "C>U DATA\nu>c 354 Go"
    )


def test_burl_opens_chunking_and_last_ends_it() -> None:
    """A BURL without LAST opens chunking as BDAT does; BURL LAST is the final answer."""
    play(
        RCPT
        + """
        C>U BURL imap://part
        u>c 250 2.5.0 Ok
        C> DATA
        G< 503 5.5.1 SG106
        ! SG106 refuse state=chunking
        C>U BURL imap://other LAST
        u>c 250 2.0.0 Queued
        """
        + transaction()
    )
