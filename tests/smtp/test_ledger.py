"""The ledger: what an event keeps of the reply before it."""

import pytest

from smtpguard.smtp import Finding, Previous, Session, Side, Verb, policy_for


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (b"250-5.1.0 first\r\n250 second\r\n", b"5.1.0 first"),
        (b"250\r\n", b""),
        (b"250 " + b"x" * 900 + b"\r\n", b"x" * 512),
    ],
)
def test_the_reply_before_a_finding(reply: bytes, text: bytes) -> None:
    """An event keeps the first line of the reply behind its code, 512 octets of it."""
    session = Session(policy_for(), session_id="0123456789AB")
    session.receive(Side.UPSTREAM, b"220 up\r\n")
    session.receive(Side.CLIENT, b"EHLO c\r\n")
    session.receive(Side.UPSTREAM, reply)
    (finding,) = session.receive(Side.CLIENT, b"DATA\r\n").events
    assert isinstance(finding, Finding)
    assert finding.previous == Previous(verb=Verb.EHLO, code=250, text=text)
