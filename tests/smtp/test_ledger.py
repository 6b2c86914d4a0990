"""The ledger: what an event keeps of the reply before it."""

import pytest

from smtpguard.smtp import Finding, Previous, Session, SessionEnded, Side, Verb, policy_for


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


def test_notes_are_capped_and_refusals_are_not() -> None:
    """20 notes of a rule become events, all are counted; an answer is recorded behind any number of them."""
    session = Session(policy_for(), session_id="0123456789AB")
    session.receive(Side.UPSTREAM, b"220 up\r\n")
    events = list(session.receive(Side.CLIENT, b"HELO c\r\n" * 101 + b"DATA\r\n").events)
    for _ in range(101):
        events += session.receive(Side.UPSTREAM, b"250 up\r\n").events
    rules = [event.rule.id for event in events if isinstance(event, Finding)]
    assert (rules.count("SG202"), rules.count("SG203"), rules[-1]) == (20, 20, "SG103")
    session.receive_eof(Side.CLIENT)
    ended = session.ended()
    assert isinstance(ended, SessionEnded)
    assert (ended.rules["SG203"], ended.rules["SG103"]) == (101, 1)
