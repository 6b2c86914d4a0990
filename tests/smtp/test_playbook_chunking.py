"""CHUNKING (RFC 3030): chunks pass uninspected and counted, refused ones are swallowed, early replies kept."""

import pytest

from smtpguard.smtp import Profile, Session, Side, policy_for

from .playbook import play
from .stages import ACCEPTED, CHUNKING, EHLO, MAIL, NO_PIPELINING, RCPT, transaction

EVERY_CUT = pytest.mark.parametrize("cut", [0, 1, 2, 5])
MIB = 1024 * 1024


@EVERY_CUT
def test_a_message_in_chunks(cut: int) -> None:
    """Line and exactly n octets pass as they are, whatever they spell; LAST ends the transaction."""
    play(
        RCPT
        + """
        C>U BDAT 16
        C+U \\n.\\n\\r\\n.\\r\\nQUIT\\r\\n\\0\\r\\
        u>c 250 2.0.0 16 octets
        C>U BDAT 0
        u>c 250 2.0.0 0 octets
        C>U BDAT 4 LAST
        C+U .\\n.\\n\\
        u>c 250 2.0.0 Queued
        """
        + transaction(),
        Profile.STRICT,
        cut=cut,
    )


@pytest.mark.parametrize("line", ["BDAT 0", "BDAT 0 LAST"])
def test_empty_chunks(line: str) -> None:
    """`BDAT 0` has no payload: the next octet is a command; `BDAT 0 LAST` is the end of the message."""
    play(RCPT + f"C>U {line}\nu>c 250 Ok\nC>U NOOP\nu>c 250 Ok", Profile.STRICT)


@EVERY_CUT
def test_chunks_in_one_segment_go_one_by_one(cut: int) -> None:
    """One command in flight: the second chunk waits for the reply to the first, without a finding."""
    play(
        RCPT
        + """
        C> BDAT 3
        C+ abc\\
        C+ BDAT 3 LAST
        C+ def\\
        C+ QUIT
        U< BDAT 3
        U< abc\\
        u>c 250 Ok
        U< BDAT 3 LAST
        U< def\\
        u>c 250 Queued
        U< QUIT
        u>c 221 Bye
        = quit
        """,
        Profile.STRICT,
        cut=cut,
    )


def test_rcpt_and_first_chunk_in_one_group() -> None:
    """BDAT behind RCPTs in flight waits for their replies; with one accepted it is lawful."""
    play(
        MAIL
        + """
        C> RCPT TO:<x@b.example>
        C+ RCPT TO:<b@b.example>
        C+ BDAT 3 LAST
        C+ abc\\
        U< RCPT TO:<x@b.example>
        U< RCPT TO:<b@b.example>
        u>c 550 No
        u>c 250 Ok
        U< BDAT 3 LAST
        U< abc\\
        u>c 250 Queued
        """,
        Profile.STRICT,
    )


@EVERY_CUT
@pytest.mark.parametrize("reply", ["552 5.3.4 Too big", "451 4.3.0 Full", "503 5.5.1 What"])
def test_an_early_refusal_is_kept_until_the_chunk_is_out(reply: str, cut: int) -> None:
    """Rule 13: UPSTREAM's 4xx/5xx before n octets are out is kept, the octets are sent, then it is the reply."""
    surprise = "! SG505 note\n" if reply.startswith("503") else ""
    play(
        RCPT
        + f"C>U BDAT 6\nC+U ab\\\nu> {reply}\n? waiting=content\nC>U cd\\\nC>U ef\\\nc< {reply}\n{surprise}"
        + "C> DATA\nG< 503 5.5.1 SG106\n! SG106 refuse cause=ignored-refusal\nC>U RSET\nu>c 250 Ok",
        cut=cut,
    )


def test_commands_behind_a_chunk_with_a_kept_refusal() -> None:
    """What stands behind the chunk is read when the kept reply was handed on: chunks again."""
    play(
        RCPT
        + """
        C>U BDAT 4
        C+U a\\
        u> 552 Too big
        C> bcdBDAT 2 LAST\\r\\nyz\\
        U< bcd\\
        c< 552 Too big
        U< BDAT 2 LAST
        U< yz\\
        u>c 552 Too big
        """,
        Profile.STRICT,
    )


def test_an_early_refusal_and_upstream_closes() -> None:
    """The kept refusal is handed on where UPSTREAM closes meanwhile, and the session ends."""
    for loss in ("u: eof", "u: lost"):
        play(RCPT + f"C>U BDAT 6\nC+U ab\\\nu> 552 Too big\n{loss}\nc< 552 Too big\n= content-refused cut")


def test_an_early_refusal_and_a_deadline() -> None:
    """The kept refusal is handed on where a deadline falls meanwhile, and the session ends."""
    play(RCPT + "C>U BDAT 6\nC+U ab\\\nu> 552 Too big\n-- expire\nc< 552 Too big\n= content-refused cut")


@pytest.mark.parametrize("reply", ["250 Ok", "354 Go", "221 Bye"])
def test_an_early_2xx_is_out_of_step(reply: str) -> None:
    """Rule 13: a 2xx before the chunk is out must not reach CLIENT."""
    play(RCPT + f"C>U BDAT 6 LAST\nC+U ab\\\nu> {reply}\nG< 421 4.3.0 SG502\n! SG502 note verb=BDAT\n= out-of-step cut")


def test_two_replies_to_one_chunk_are_out_of_step() -> None:
    """A second reply while the first is kept belongs to nothing."""
    play(RCPT + "C>U BDAT 6 LAST\nC+U ab\\\nu> 552 a\nu> 552 b\nG< 421 4.3.0 SG502\n! SG502 note\n= out-of-step cut")


@EVERY_CUT
@pytest.mark.parametrize("size", ["3", "3 LAST"])
def test_a_refused_chunk_is_swallowed(size: str, cut: int) -> None:
    """Refused by us: n octets are swallowed, then the answer; nothing of it reaches UPSTREAM."""
    play(MAIL + f"C> BDAT {size}\nC+ NOO\\\nC+ NOOP\nG< 503 5.5.1 SG104\nU< NOOP\n! SG104 refuse\nu>c 250 Ok", cut=cut)


def test_a_refused_chunk_of_no_octets() -> None:
    """Nothing to swallow: the answer comes at once."""
    play(EHLO + "C> BDAT 0 LAST\nG< 503 5.5.1 SG103\n! SG103 refuse\n" + transaction())


def swallow(size: int, *, sent: int) -> tuple[bytes, bool]:
    """Send a chunk out of order and `sent` octets of it; return what was said and whether the session is over."""
    session = Session(policy_for(Profile.STANDARD), session_id="0123456789AB")
    session.receive(Side.UPSTREAM, b"220 up\r\n")
    out = session.receive(Side.CLIENT, b"EHLO a\r\n")
    session.receive(Side.UPSTREAM, b"250-up\r\n250 CHUNKING\r\n")
    out = session.receive(Side.CLIENT, b"BDAT %d\r\n" % size)
    said, up = b"".join(out.down), out.up
    for start in range(0, sent, MIB):
        out = session.receive(Side.CLIENT, bytes(min(MIB, sent - start)))
        said, up = said + b"".join(out.down), up + out.up
    assert not up
    return said[:9], session.over


def test_16_mib_are_swallowed() -> None:
    """Rule 13: up to 16 MiB a refused chunk is swallowed, and the session goes on."""
    assert swallow(16 * MIB, sent=16 * MIB - 1) == (b"", False)
    assert swallow(16 * MIB, sent=16 * MIB) == (b"503 5.5.1", False)


def test_a_refused_chunk_over_16_mib_closes() -> None:
    """Rule 13: one octet more closes, at once and with the answer."""
    play(EHLO + "C> BDAT 16777217\nG< 503 5.5.1 SG103\n! SG103 refuse\n= violation linger=content")
    play(
        NO_PIPELINING
        + transaction()
        + ACCEPTED
        + "C> BDAT 2147483647 LAST\nG< 503 5.5.1 SG107\n! SG107 refuse\n= violation",
        observing=True,
    )


def test_bdat_out_of_order_in_observe() -> None:
    """Observe forwards what is not safe: a BDAT without recipients, line and payload; chunking is open then."""
    play(
        MAIL
        + """
        C>U BDAT 3
        C+U abc\\
        ! SG104 note enforced=refuse
        u>c 554 No recipients
        C>U MAIL FROM:<c@c.example>
        ! SG106 note enforced=refuse
        u>c 503 no
        """,
        observing=True,
    )


def test_rcpt_accepted_in_chunking_leaves_the_state() -> None:
    """Observe: RCPT 2xx in chunking adds a recipient and chunking stays; MAIL 2xx opens a new transaction."""
    play(
        CHUNKING
        + """
        C>U RCPT TO:<c@c.example>
        ! SG106 note
        u>c 250 Ok
        ! SG505 note
        C>U MAIL FROM:<c@c.example>
        ! SG106 note state=chunking
        u>c 250 Ok
        ! SG505 note
        C>U DATA
        ! SG104 note state=envelope
        u>c 503 no
        """,
        observing=True,
    )


def test_last_ends_the_transaction_whatever_its_answer() -> None:
    """Any final answer to BDAT LAST ends the transaction."""
    for verdict in ("250 Queued", "554 Spam", "451 Later"):
        play(CHUNKING + f"C>U BDAT 1 LAST\nC+U x\\\nu>c {verdict}\n" + transaction() + ACCEPTED, Profile.STRICT)


def test_deadlines_of_a_chunk() -> None:
    """CLIENT's deadline runs while it owes octets of a chunk, then the verdict's behind LAST or a reply's."""
    play(RCPT + "C>U BDAT 3\nC+U a\\\n? waiting=content\nC>U bc\\\n? waiting=reply\nu>c 250 Ok\n? waiting=command")
    play(RCPT + "C>U BDAT 3 LAST\nC+U a\\\n? waiting=content\nC>U bc\\\n? waiting=verdict")
    play(MAIL + "C> BDAT 3\n! SG104 refuse\n? waiting=content")


def test_an_early_421_is_kept_as_any_refusal() -> None:
    """421 to a chunk under way is kept; handed on, it ends the session, whatever brought its time."""
    early = RCPT + "C>U BDAT 3\nC+U a\\\nu> 421 Bye\n"
    play(early + "C>U bc\\\nc< 421 Bye\n= 421")
    play(early + "u: eof\nc< 421 Bye\n= 421 cut")
