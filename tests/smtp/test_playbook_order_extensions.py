"""Order: what the EHLO keywords decide (SG107) and BODY=BINARYMIME (SG108)."""

import pytest

from smtpguard.smtp import Profile

from .playbook import play
from .stages import ACCEPTED, EHLO, GREETED, HELO, NO_PIPELINING, ehlo, transaction

EVERY_PROFILE = pytest.mark.parametrize("profile", Profile)


@EVERY_PROFILE
@pytest.mark.parametrize("observing", [False, True])
def test_bdat_where_chunking_is_not_offered(profile: Profile, *, observing: bool) -> None:
    """SG107 is safe: refused in every profile and mode, the payload swallowed, the next line a command."""
    play(
        NO_PIPELINING
        + transaction()
        + ACCEPTED
        + """
        C> BDAT 8 LAST
        ! SG107 refuse enforced=refuse forwarded=no
        C> NOOP\\r\\nx\\
        C> y\\
        G< 503 5.5.1 SG107
        C>U RSET
        u>c 250 Ok
        """,
        profile,
        observing=observing,
    )


@pytest.mark.parametrize(
    ("stage", "cause"),
    [
        (HELO + transaction() + ACCEPTED, "helo-then-esmtp"),
        (GREETED + "C>U EHLO x\nu>c 250 CHUNKING\n" + transaction() + ACCEPTED, "unknown"),
        (EHLO + "C>U HELO x\nu>c 250 up\n" + transaction() + ACCEPTED, "helo-then-esmtp"),
    ],
)
def test_keywords_are_those_of_the_last_accepted_hello(stage: str, cause: str) -> None:
    """Rule 2: HELO empties the keywords, and the first line of an EHLO reply is none."""
    play(stage + f"C> BDAT 0 LAST\nG< 503 5.5.1 SG107\n! SG107 refuse cause={cause}")


def test_a_refused_hello_keeps_the_keywords_and_case_is_ignored() -> None:
    """Rule 2: a refused EHLO or HELO changes no keyword; `chunking` counts."""
    play(
        GREETED
        + ehlo("pipelining", "chunKING")
        + "C>U HELO\nu>c 501 no\nC>U EHLO\nu>c 501 no\n"
        + transaction()
        + ACCEPTED
        + "C>U BDAT 0 LAST\nu>c 250 Queued",
        Profile.STRICT,
    )


@EVERY_PROFILE
def test_data_for_binarymime(profile: Profile) -> None:
    """SG108: a BINARYMIME transaction takes BDAT, not DATA; letter case of the parameter is ignored."""
    for parameter in ("BODY=BINARYMIME", "body=binarymime", "SIZE=9 BODY=BinaryMIME"):
        play(
            EHLO
            + transaction(f" {parameter}")
            + ACCEPTED
            + "C> DATA\nG< 503 5.5.1 SG108\n! SG108 refuse\nC>U BDAT 2 LAST\nC>U \\0\\n\\\nu>c 250 Queued",
            profile,
        )


def test_binarymime_belongs_to_its_transaction() -> None:
    """SG108 ends with the transaction, and a refused MAIL with the parameter starts none."""
    play(
        EHLO
        + transaction(" BODY=BINARYMIME")
        + "C>U RSET\nu>c 250 Ok\nC>U MAIL FROM:<a@a.example> BODY=BINARYMIME\nu>c 501 No\n"
        + transaction(" BODY=8BITMIME")
        + ACCEPTED
        + "C>U DATA\nu>c 354 Go"
    )
