"""Order: the rules that need a fact (SG109 to SG116), in the profiles where they differ and in observe."""

from dataclasses import replace

import pytest

from smtpguard.smtp import Profile, policy_for

from .playbook import play
from .stages import ACCEPTED, ALL, AUTHENTICATED, CHUNKING, EHLO, GREETED, HELO, MAIL, RCPT, REFUSED, ehlo, transaction

EVERY_PROFILE = pytest.mark.parametrize("profile", Profile)
REFUSING = pytest.mark.parametrize("profile", [Profile.STRICT, Profile.STANDARD])
NOTING = REFUSING


@EVERY_PROFILE
@pytest.mark.parametrize("line", ["STARTTLS", "starttls", "STARTTLS now", "X-ANONYMOUSTLS"])
def test_starttls_in_tls(line: str, profile: Profile) -> None:
    """SG109: STARTTLS inside TLS is refused everywhere, with any argument and in Exchange's spelling."""
    play(GREETED + ehlo(*ALL) + f"C> {line}\nG< 503 5.5.1 SG109\n! SG109 refuse\n" + transaction(), profile, tls=True)


@NOTING
@pytest.mark.parametrize("stage", [MAIL, RCPT, CHUNKING])
def test_starttls_in_a_transaction_is_noted(stage: str, profile: Profile) -> None:
    """SG110 is noted and forwarded; a 454 leaves the transaction open."""
    play(stage + "C>U STARTTLS\n! SG110 note forwarded=yes\nu>c 454 4.7.0 Not now\nC>U RSET\nu>c 250 Ok", profile)


def test_starttls_in_a_transaction_leaves_no_record_where_lenient() -> None:
    """SG110 is off where lenient."""
    play(RCPT + "C>U STARTTLS\nu>c 454 4.7.0 Not now\nC>U DATA\nu>c 354 Go", Profile.LENIENT)


@REFUSING
@pytest.mark.parametrize("stage", [MAIL, RCPT, CHUNKING])
@pytest.mark.parametrize("line", ["AUTH PLAIN SECRET", "AUTH LOGIN", "X-EXPS NTLM"])
def test_auth_in_a_transaction(stage: str, line: str, profile: Profile) -> None:
    """SG111: AUTH in a transaction is refused, which lives on."""
    play(
        stage + f"C> {line}\nG< 503 5.5.1 SG111\n! SG111 refuse verb=AUTH cause=unknown\nC>U NOOP\nu>c 250 Ok", profile
    )


def test_auth_in_a_transaction_where_lenient() -> None:
    """SG111 lenient: forwarded; a login in a transaction is taken as one, and the recipients stay."""
    play(
        RCPT
        + """
        C>U AUTH PLAIN SECRET
        ! SG111 note
        u>c 235 2.7.0 Ok
        ! SG505 note
        C>U DATA
        u>c 354 Go
        ? authenticated=yes
        """,
        Profile.LENIENT,
    )


@REFUSING
def test_second_login(profile: Profile) -> None:
    """SG112: AUTH after a successful AUTH is refused."""
    play(
        AUTHENTICATED
        + "C> AUTH PLAIN SECRET\nG< 503 5.5.1 SG112\n! SG112 refuse cause=second-login previous=AUTH:235\n"
        + transaction(),
        profile,
    )


def test_second_login_where_lenient() -> None:
    """SG112 lenient: forwarded and noted; refused by UPSTREAM it is no surprise."""
    play(AUTHENTICATED + "C>U AUTH PLAIN SECRET\n! SG112 note\nu>c 503 5.5.1 Again", Profile.LENIENT)


def test_auth_after_a_failed_one_is_lawful() -> None:
    """A refused AUTH is no login: the next AUTH is in order, and so is a hello after a login."""
    play(
        EHLO
        + """
        C>U AUTH PLAIN SECRET
        u>c 535 5.7.8 No
        C>U AUTH PLAIN SECRET
        u>c 235 2.7.0 Ok
        """
        + ehlo(*ALL)
        + transaction(),
        Profile.STRICT,
    )


def test_a_hello_does_not_forget_the_login() -> None:
    """Only TLS coming up forgets authentication, so AUTH after AUTH and EHLO is SG112 still."""
    play(AUTHENTICATED + ehlo(*ALL) + "C> AUTH PLAIN SECRET\nG< 503 5.5.1 SG112\n! SG112 refuse")


@pytest.mark.parametrize(
    ("stage", "cause"),
    [
        (GREETED, "no-hello-at-all"),
        (HELO, "helo-then-esmtp"),
        (EHLO + "C>U HELO x\nu>c 250 up\n", "helo-then-esmtp"),
        (GREETED + "C>U EHLO\nu>c 501 no\n", "hello-refused-and-ignored"),
    ],
)
def test_auth_and_starttls_without_ehlo(stage: str, cause: str) -> None:
    """SG113, SG114: refused where strict, noted in standard, no record where lenient."""
    for line, rule in (("AUTH PLAIN SECRET", "SG113"), ("STARTTLS", "SG114")):
        play(stage + f"C> {line}\nG< 503 5.5.1 {rule}\n! {rule} refuse cause={cause}", Profile.STRICT)
        forwarded = f"C>U {line}\n"
        play(stage + forwarded + f"! {rule} note cause={cause} forwarded=yes\nu>c 454 4.7.0 No")
        play(stage + forwarded + "u>c 454 4.7.0 No", Profile.LENIENT)
        play(stage + forwarded + f"! {rule} note enforced=refuse\nu>c 454 4.7.0 No", Profile.STRICT, observing=True)


@EVERY_PROFILE
@pytest.mark.parametrize("greeting", [REFUSED, "u>c 450 later\n", "u>c 554-no\nu+c 554 service\n"])
@pytest.mark.parametrize("line", ["EHLO x", "HELO x", "NOOP", "RSET", "MAIL FROM:<a@a.example>", "whatever", "HELP"])
def test_command_after_a_refused_greeting(line: str, greeting: str, profile: Profile) -> None:
    """SG115: after a 4yz or 5yz greeting anything but QUIT hears our 503; QUIT is forwarded."""
    play(
        greeting
        + f"C> {line}\nG< 503 5.5.1 SG115\n! SG115 refuse cause=ignored-refusal state=refused-greeting"
        + " previous=GREETING:"
        + greeting[4:7]
        + "\nC>U QUIT\nu>c 221 Bye\n= quit",
        profile,
    )


def test_after_a_refused_greeting_in_observe_upstream_is_the_truth() -> None:
    """Rule 3: an EHLO accepted behind a 554 greeting moves the state as from a lawful one."""
    play(
        REFUSED
        + """
        C>U EHLO x
        ! SG115 note enforced=refuse
        u>c 250 up
        ! SG505 note
        """
        + transaction(),
        observing=True,
    )


def test_data_after_a_refused_greeting_is_refused_once() -> None:
    """SG115 for DATA: our refusal, so what is no command behind it is late content (SG204)."""
    play(
        REFUSED
        + """
        C> DATA
        G< 503 5.5.1 SG115
        ! SG115 refuse
        C> Subject: x
        G< 554 5.5.0 SG204
        ! SG204 close cause=ignored-refusal
        ! SG115 refuse
        = violation
        """
    )


@NOTING
@pytest.mark.parametrize("stage", [MAIL, RCPT, CHUNKING])
def test_etrn_in_a_transaction(stage: str, profile: Profile) -> None:
    """SG116 is noted and forwarded in a transaction."""
    play(stage + "C>U ETRN a.example\n! SG116 note\nu>c 503 5.5.1 No", profile)


def test_etrn_elsewhere_is_lawful() -> None:
    """ETRN outside a transaction is in order; inside one it leaves no record where lenient."""
    play(EHLO + "C>U ETRN a.example\nu>c 250 Ok", Profile.STRICT)
    play(RCPT + "C>U ETRN a.example\nu>c 503 5.5.1 No", Profile.LENIENT)


def test_several_findings_are_all_recorded_and_the_severest_speaks() -> None:
    """A line with several findings: all are recorded; close before refuse before note, then Foreign to Order."""
    play(
        GREETED
        + """
        C> MAIL FROM:<a@a.example>\\n\\
        G< 500 5.5.2 SG301
        ! SG301 refuse
        ! SG101 refuse
        """,
        Profile.STRICT,
    )
    play(
        RCPT
        + """
        C> MAIL FROM:<a@a.example>\\n\\
        G< 503 5.5.1 SG105
        ! SG105 refuse
        ! SG301 note
        """
    )


def test_what_the_event_tells() -> None:
    """Rule 24: an answer of ours is recorded with rule, state, command, and the reply before."""
    play(
        EHLO
        + """
        C>U VRFY postmaster
        u>c 252 2.0.0 Perhaps
        C> RCPT TO:<b@b.example>
        G< 503 5.5.1 SG102
        ! SG102 refuse previous=VRFY:252 sequence=3 answer=503 violations=1 line=RCPT TO:<b@b.example>
        C> DATA now
        G< 503 5.5.1 SG103
        ! SG103 refuse previous=RCPT:503 sequence=4 violations=2 line=DATA [redacted]
        """
    )


def test_what_was_expected() -> None:
    """The event names the verbs that were in order."""
    play(
        GREETED
        + ehlo("PIPELINING")
        + """
        C> RCPT TO:<b@b.example>
        G< 503 5.5.1 SG102
        ! SG102 refuse expected=EHLO/HELO/MAIL/RSET/NOOP/QUIT/VRFY/EXPN/HELP/ETRN/AUTH/STARTTLS
        """
    )


def test_the_rule_id_can_be_left_out_of_the_reply() -> None:
    """`policy.reply-rule-id` off: the answer still carries the session id."""
    policy = replace(policy_for(), reply_rule_id=False)
    play(EHLO + "C> DATA\nG< 503 5.5.1\n! SG103 refuse\n" + transaction() + ACCEPTED, policy)
