"""Consequence or violation: rule 8 in all pipelined shapes. Whom PIPELINING lets send ahead is never blamed."""

import pytest

from smtpguard.smtp import Profile

from .playbook import play
from .stages import ACCEPTED, EHLO, MAIL, NO_PIPELINING, transaction

EVERY_PROFILE = pytest.mark.parametrize("profile", Profile)
EVERY_CUT = pytest.mark.parametrize("cut", [0, 1, 3])
GROUP = """
    C> MAIL FROM:<a@a.example>
    C+ RCPT TO:<b@b.example>
    C+ RCPT TO:<c@b.example>
    C+ DATA
    U< MAIL FROM:<a@a.example>
"""
MAIL_CONSEQUENCES = """
    u>c 550 5.7.1 No
    G< 503 5.5.1 SG102
    G< 503 5.5.1 SG102
    G< 503 5.5.1 SG103
    ! SG102 refuse consequence violations=0 sent_ahead=yes
    ! SG102 refuse consequence
    ! SG103 refuse consequence violations=0
"""


@EVERY_PROFILE
@EVERY_CUT
def test_the_whole_group_behind_a_refused_mail(profile: Profile, cut: int) -> None:
    """MAIL refused: RCPTs and DATA of its group are answered, and nobody is blamed; then MAIL again."""
    play(
        EHLO + GROUP + MAIL_CONSEQUENCES + transaction() + ACCEPTED + "? violations=0 consequences=3", profile, cut=cut
    )


@EVERY_PROFILE
@EVERY_CUT
def test_data_behind_refused_recipients(profile: Profile, cut: int) -> None:
    """All RCPTs refused: the pipelined DATA hears 554 5.5.1, no valid recipients; the transaction stays open."""
    play(
        EHLO
        + GROUP
        + """
        u>c 250 Ok
        U< RCPT TO:<b@b.example>
        U< RCPT TO:<c@b.example>
        u>c 550 Unknown
        u>c 451 Later
        G< 554 5.5.1 SG104
        ! SG104 refuse consequence answer=554 previous=RCPT:451
        """
        + ACCEPTED
        + "? violations=0 consequences=1",
        profile,
        cut=cut,
    )


def test_the_group_in_observe_is_consequence_still() -> None:
    """Observe forwards the group; each refusal of UPSTREAM is in order, and nothing is a violation."""
    play(
        EHLO
        + """
        C> MAIL FROM:<a@a.example>
        C+ RCPT TO:<b@b.example>
        U< MAIL FROM:<a@a.example>
        u>c 550 No
        U< RCPT TO:<b@b.example>
        ! SG102 note consequence enforced=refuse
        u>c 503 MAIL first
        ? violations=0 consequences=1
        """,
        observing=True,
    )


@EVERY_CUT
def test_chunks_behind_a_refused_mail(cut: int) -> None:
    """BDAT with its payload and the chunks behind it are consequences too: swallowed and answered 503."""
    play(
        EHLO
        + """
        C> MAIL FROM:<a@a.example>
        C+ RCPT TO:<b@b.example>
        C+ BDAT 6
        C+ QUIT\\r\\n\\
        C+ BDAT 3 LAST
        C+ abc\\
        C+ RSET
        U< MAIL FROM:<a@a.example>
        u>c 550 No
        G< 503 5.5.1 SG102
        G< 503 5.5.1 SG103
        G< 503 5.5.1 SG103
        U< RSET
        ! SG102 refuse consequence
        ! SG103 refuse consequence
        ! SG103 refuse consequence
        u>c 250 Ok
        """,
        cut=cut,
    )


def test_chunks_behind_a_refused_recipient() -> None:
    """BDAT pipelined behind a refused RCPT: 554 for each chunk of the group, and no blame."""
    play(
        MAIL
        + """
        C>U RCPT TO:<x@b.example>
        C+ BDAT 3
        C+ abc\\
        C+ BDAT 0 LAST
        u>c 550 Unknown
        G< 554 5.5.1 SG104
        G< 554 5.5.1 SG104
        ! SG104 refuse consequence
        ! SG104 refuse consequence
        """
        + ACCEPTED
    )


def test_a_later_command_of_a_pipelined_group_is_not_blamed() -> None:
    """MAIL and RCPT sent together make the group a pipelined one: DATA behind it, sent later, belongs to it."""
    play(
        EHLO
        + """
        C> MAIL FROM:<a@a.example>
        C+ RCPT TO:<b@b.example>
        U< MAIL FROM:<a@a.example>
        u>c 550 No
        G< 503 5.5.1 SG102
        ! SG102 refuse consequence
        C> DATA
        G< 503 5.5.1 SG103
        ! SG103 refuse consequence
        """
    )


def test_the_group_ends_with_data() -> None:
    """Behind DATA the group is over: DATA once more is a violation, and so is RCPT."""
    play(
        EHLO
        + GROUP
        + MAIL_CONSEQUENCES
        + """
        C> RCPT TO:<b@b.example>
        G< 503 5.5.1 SG102
        ! SG102 refuse violations=1
        C> DATA
        G< 503 5.5.1 SG103
        ! SG103 refuse violations=2
        """
    )


def test_the_group_ends_with_the_last_chunk() -> None:
    """Behind BDAT LAST the group is over; behind an earlier chunk it is not."""
    play(
        MAIL
        + """
        C>U RCPT TO:<x@b.example>
        C+ BDAT 0
        u>c 550 Unknown
        G< 554 5.5.1 SG104
        ! SG104 refuse consequence
        C> BDAT 0 LAST
        G< 554 5.5.1 SG104
        ! SG104 refuse consequence
        C> BDAT 0 LAST
        G< 503 5.5.1 SG104
        ! SG104 refuse
        """
    )


def test_the_same_lines_one_by_one_are_violations() -> None:
    """Each sent behind its predecessor's reply: the client saw the refusal and went on."""
    play(
        EHLO
        + """
        C>U MAIL FROM:<a@a.example>
        u>c 550 No
        C> RCPT TO:<b@b.example>
        G< 503 5.5.1 SG102
        ! SG102 refuse cause=ignored-refusal
        C> DATA
        G< 503 5.5.1 SG103
        ! SG103 refuse cause=ignored-refusal
        ? violations=2 consequences=0
        """
    )


def test_read_before_the_refusal_was_written_is_a_consequence() -> None:
    """Rule 8: while the 550 is not fully written the client cannot have read it."""
    play(
        EHLO
        + """
        C>U MAIL FROM:<a@a.example>
        u>c 550 No
        C~ RCPT TO:<b@b.example>
        G< 503 5.5.1 SG102
        ! SG102 refuse consequence sent_ahead=yes
        """
    )


def test_without_pipelining_nobody_may_send_ahead() -> None:
    """Where PIPELINING was not offered a line sent ahead is a violation, and SG202 besides."""
    play(
        NO_PIPELINING
        + """
        C> MAIL FROM:<a@a.example>
        C+ RCPT TO:<b@b.example>
        U< MAIL FROM:<a@a.example>
        u>c 550 No
        G< 503 5.5.1 SG102
        ! SG102 refuse violations=1
        ! SG202 note
        """
    )


def test_rcpt_with_no_mail_is_a_violation_and_data_behind_it_a_consequence() -> None:
    """RCPT with no transaction is refused by us and blamed; DATA pipelined behind that refused RCPT is not."""
    play(
        EHLO
        + """
        C> RCPT TO:<b@b.example>
        C+ DATA
        G< 503 5.5.1 SG102
        G< 503 5.5.1 SG103
        ! SG102 refuse
        ! SG103 refuse consequence
        """
    )


def test_data_with_no_recipient_in_the_group_is_a_violation() -> None:
    """MAIL accepted and DATA pipelined behind it without any RCPT: no refusal, so a violation."""
    play(
        EHLO
        + """
        C> MAIL FROM:<a@a.example>
        C+ DATA
        U< MAIL FROM:<a@a.example>
        u>c 250 Ok
        G< 503 5.5.1 SG104
        ! SG104 refuse
        """
    )


def test_a_mail_that_we_refused_excuses_its_group() -> None:
    """The refusal may be ours: MAIL with a NUL in it, its RCPT and DATA behind it in the group."""
    play(
        EHLO
        + """
        C> MAIL FROM:<a\\0@a.example>
        C+ RCPT TO:<b@b.example>
        C+ DATA
        G< 500 5.5.2 SG302
        G< 503 5.5.1 SG102
        G< 503 5.5.1 SG103
        ! SG302 refuse violations=1
        ! SG102 refuse consequence
        ! SG103 refuse consequence violations=1
        """
    )


def test_a_group_refused_by_data_is_no_excuse_for_the_next_transaction() -> None:
    """A new MAIL begins a new group: what follows it one by one is judged by itself."""
    play(
        EHLO + GROUP + MAIL_CONSEQUENCES + transaction() + "C> DATA\nG< 503 5.5.1 SG104\n! SG104 refuse cause=unknown\n"
    )
