"""The session's clock values, which its caller compares once a second."""

import pytest

from smtpguard.smtp import Session, Side, Waiting, policy_for

HELLO = (b"220 up\r\n", b"EHLO c\r\n", b"250-up\r\n250 STARTTLS\r\n", b"STARTTLS\r\n", b"220 go\r\n", b"\x16\x03\x01")


def opaque_session() -> Session:
    """Climb to the opaque phase, the sides by turns."""
    session = Session(policy_for(), session_id="0123456789AB")
    for place, octets in enumerate(HELLO):
        session.receive(Side.CLIENT if place % 2 else Side.UPSTREAM, octets)
    return session


@pytest.mark.parametrize("side", list(Side))
def test_any_octet_starts_the_deadline_of_an_opaque_session_anew(side: Side) -> None:
    """Opaque phase: 600 s without an octet, of whichever side."""
    session = opaque_session()
    assert (session.opaque, session.waiting) == (True, Waiting.OPAQUE)
    before = session.progress
    session.receive(side, b"\x17")
    assert session.progress > before


def test_a_command_line_in_pieces_does_not() -> None:
    """Command: from the last octet of the reply before to the line's end; its octets do not extend it."""
    session = Session(policy_for(), session_id="0123456789AB")
    session.receive(Side.UPSTREAM, b"220 up\r\n")
    before = session.progress
    for octet in b"EHLO client":
        session.receive(Side.CLIENT, bytes([octet]))
    assert session.progress == before
