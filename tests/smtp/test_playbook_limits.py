"""Limits: SG601 to SG605, what counts, what does not, and mode observe."""

from dataclasses import replace

import pytest

from smtpguard.smtp import Limits, Policy, Profile, Side, policy_for

from .playbook import play
from .stages import ACCEPTED, CHUNKING, DATA, DELIVERED, DOT, EHLO, GREETED, MAIL, RCPT, REFUSED, transaction

EVERY_PROFILE = pytest.mark.parametrize("profile", Profile)
BAD = "C> DATA\nG< 503 5.5.1 SG103\n! SG103 refuse\nC>U NOOP\nu>c 250 Ok\n"


def limited(*, observing: bool = False, violations: int = 20, empty_commands: int = 100) -> Policy:
    """Return the standard policy with other limits."""
    limits = Limits(violations=violations, empty_commands=empty_commands)
    return replace(policy_for(observing=observing), limits=limits)


@EVERY_PROFILE
def test_the_21st_violation_is_closed(profile: Profile) -> None:
    """SG601: 20 are answered, the 21st hears 421 4.7.0 instead; both findings are recorded."""
    bad = "C> RCPT TO:<b@b.example>\n"
    answered = f"{bad}G< 503 5.5.1 SG102\n! SG102 refuse\n"
    play(
        EHLO + answered * 20 + f"{bad}G< 421 4.7.0 SG601\n! SG102 refuse violations=21\n! SG601 close\n= limit", profile
    )


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("DATA\\n\\", "503 5.5.1 SG103\n! SG103 refuse\n! SG301 note"),
        ("NOOP\\0", "500 5.5.2 SG302\n! SG302 refuse"),
        ("XCLIENT x", "502 5.5.1 SG405\n! SG405 refuse"),
        ("BDAT 0", "503 5.5.1 SG103\n! SG103 refuse"),
    ],
)
def test_all_our_5xx_count(line: str, answer: str) -> None:
    """SG601 counts our 5xx, of whichever section."""
    policy = limited(violations=2)
    said = f"C> {line}\nG< {answer}\n"
    between = "C>U NOOP\nu>c 250 Ok\n"
    last = answer.partition("\n")[2]
    play(EHLO + (said + between) * 2 + f"C> {line}\nG< 421 4.7.0 SG601\n{last}\n! SG601 close\n= limit", policy)


def test_a_refused_chunk_over_the_limit_is_not_swallowed() -> None:
    """SG601 for BDAT: 421 at once; its payload goes into the void behind the close."""
    over = "C> BDAT 100\nG< 421 4.7.0 SG601\n! SG103 refuse\n! SG601 close\n= limit linger=content"
    play(EHLO + BAD + over, limited(violations=1))


def test_what_does_not_count() -> None:
    """Consequences, notes and UPSTREAM's refusals do not count towards SG601."""
    group = (
        "C> MAIL FROM:<a@a.example>\nC+ RCPT TO:<b@b.example>\nU< MAIL FROM:<a@a.example>\nu>c 550 No\n"
        "G< 503 5.5.1 SG102\n! SG102 refuse consequence\n"
    )
    notes = "C>U NOOP\\n\\\n! SG301 note\nu>c 500 No\n! SG505 note\n"
    rset = "C>U RSET\nu>c 250 Ok\n"
    play(
        EHLO
        + group * 5
        + notes * 5
        + rset
        + BAD
        + "C> DATA\nG< 421 4.7.0 SG601\n! SG103 refuse\n! SG601 close\n= limit",
        limited(violations=1),
    )


def test_violations_can_be_unlimited() -> None:
    """0 switches SG601 off."""
    play(EHLO + BAD * 30, limited(violations=0))


def test_sg601_in_observe_only_records() -> None:
    """In observe the safe rules still answer; over the limit SG601 is recorded once and the session goes on."""
    said = "C> NOOP\\0\nG< 500 5.5.2 SG302\n! SG302 refuse\n"
    play(
        EHLO + said * 2 + said + "! SG601 note enforced=close\n" + said + transaction(),
        limited(observing=True, violations=2),
    )


@EVERY_PROFILE
@pytest.mark.parametrize("line", ["NOOP", "RSET", "HELP", "VRFY a", "XYZZY"])
def test_the_101st_empty_command(line: str, profile: Profile) -> None:
    """SG602: 100 pass, the next one hears 421 4.7.0 and is not forwarded."""
    passed = f"C>U {line}\nu>c 250 Ok\n"
    play(EHLO + passed * 100 + f"C> {line}\nG< 421 4.7.0 SG602\n! SG602 close\n= limit", profile)


def test_an_accepted_message_resets_the_count() -> None:
    """SG602 counts since the last accepted message; a refused message resets nothing."""
    noop = "C>U NOOP\nu>c 250 Ok\n"
    message = transaction() + ACCEPTED + "C>U DATA\nu>c 354 Go\nC>U .\n"
    policy = limited(empty_commands=2)
    play(EHLO + (noop * 2 + message + "u>c 250 Queued\n") * 3, policy)
    over = "C> NOOP\nG< 421 4.7.0 SG602\n! SG602 close\n= limit"
    play(EHLO + noop * 2 + message + f"u>c 550 Spam\n{over}", policy)
    play(EHLO + noop * 2 + transaction() + ACCEPTED + "C>U BDAT 0 LAST\nu>c 250 Queued\n" + noop * 2 + over, policy)


def test_other_commands_are_not_empty() -> None:
    """EHLO, MAIL, RCPT, EXPN, AUTH and ETRN do not count towards SG602."""
    rest = (
        "C>U EXPN a\nu>c 250 Ok\nC>U ETRN a\nu>c 250 Ok\nC>U EHLO a\nu>c 250-up\nu+c 250 AUTH\nC>U AUTH X\nu>c 535 No\n"
    )
    play(EHLO + rest * 5, limited(empty_commands=1))


def test_sg602_in_observe_only_records() -> None:
    """In observe the command over the limit is recorded once and forwarded."""
    noop = "C>U NOOP\nu>c 250 Ok\n"
    noted = "C>U NOOP\n! SG602 note enforced=close\nu>c 250 Ok\n"
    play(EHLO + noop * 2 + noted + noop * 3, limited(observing=True, empty_commands=2))


def test_empty_commands_can_be_unlimited() -> None:
    """0 switches SG602 off."""
    play(EHLO + "C>U NOOP\nu>c 250 Ok\n" * 150, limited(empty_commands=0))


@pytest.mark.parametrize("stage", [GREETED, EHLO, MAIL, RCPT, CHUNKING, REFUSED, EHLO + "C> NOO\\\n"])
@pytest.mark.parametrize("observing", [False, True])
def test_command_deadline(stage: str, *, observing: bool) -> None:
    """SG603: 421 4.4.2 when no whole command came; half a line is none."""
    verdict = "note enforced=close" if observing else "close"
    play(
        stage + f"? waiting=command\n-- expire\nG< 421 4.4.2 SG603\n! SG603 {verdict} violations=0\n= deadline",
        observing=observing,
    )


def test_content_deadline() -> None:
    """SG604: 421 4.4.2 in content and in a chunk; UPSTREAM is cut without a byte more."""
    play(DATA + "C>U a\n? waiting=content\n-- expire\nG< 421 4.4.2 SG604\n! SG604 close\n= deadline cut linger=content")
    play(DATA + "-- expire\nG< 421 4.4.2 SG604\n! SG604 close\n= deadline cut")
    play(RCPT + "C>U BDAT 9\nC>U a\\\n-- expire\nG< 421 4.4.2 SG604\n! SG604 close\n= deadline cut")


def test_deadline_while_a_refused_chunk_is_swallowed() -> None:
    """SG604 for a swallowed chunk: UPSTREAM saw nothing of it."""
    play(MAIL + "C> BDAT 9\n! SG104 refuse\nC> a\\\n-- expire\nG< 421 4.4.2 SG604\n! SG604 close\n= deadline")


def test_session_too_long() -> None:
    """SG605 strikes between commands outside a transaction: 421 4.4.2."""
    for stage in (GREETED, EHLO, DELIVERED):
        play(stage + "-- outlived\nG< 421 4.4.2 SG605\n! SG605 close\n= deadline")


@pytest.mark.parametrize("stage", [MAIL, RCPT, CHUNKING, DATA, DATA + "C>U a\n", DOT, RCPT + "C>U BDAT 9\nC>U a\\\n"])
def test_session_too_long_in_a_transaction(stage: str) -> None:
    """Rule 20: `session` strikes only with no transaction open."""
    play(stage + "-- outlived")


def test_session_twice_too_long_in_a_transaction() -> None:
    """Rule 20: after twice its time in a transaction too, but never in content."""
    for stage in (MAIL, RCPT, CHUNKING):
        session = play(stage)
        out = session.outlived(doubly=True)
        assert b"".join(out.down).startswith(b"421 4.4.2 ")
        assert session.over
    for stage in (DATA, DATA + "C>U a\n", RCPT + "C>U BDAT 9\nC>U a\\\n", DOT):
        assert not play(stage).outlived(doubly=True).down


def test_dismissed_from_outside() -> None:
    """A shutdown says 421 4.3.2 wherever CLIENT can read one, and cuts UPSTREAM in content."""
    play("-- dismiss\nG< 421 4.3.2\n= shutdown")
    play(MAIL + "-- dismiss\nG< 421 4.3.2\n= shutdown")
    play(DATA + "C>U a\n-- dismiss\nG< 421 4.3.2\n= shutdown cut")


def test_progress_of_content_is_counted_in_blocks() -> None:
    """Rule 20: in content each 4 KiB starts the deadline anew; in a line no octet does."""
    session = play(DATA)
    before = session.progress
    session.receive(Side.CLIENT, b"x" * 4000)
    assert session.progress == before
    session.receive(Side.CLIENT, b"x" * 200)
    assert session.progress == before + 1
    other = play(EHLO)
    before = other.progress
    other.receive(Side.CLIENT, b"NOO")
    assert other.progress == before
    other.receive(Side.CLIENT, b"P\r\n")
    assert other.progress != before
