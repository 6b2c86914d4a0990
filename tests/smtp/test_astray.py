"""Pipelined messages: what follows a MAIL that was refused because of us does not end up in another message."""

import pytest

from smtpguard.smtp import Finding, Session, Side, policy_for

GROUP = (
    b"MAIL FROM:<1>\r\nRCPT TO:<bad>\r\nBDAT 3 LAST\r\nabcMAIL FROM:<2>\r\n%sRCPT TO:<good>%sBDAT 3 LAST\r\nxyzNOOP\r\n"
)


@pytest.mark.parametrize("between", [b"", b"NOOP\r\n"])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_the_second_message_stays_out_of_the_first_ones_transaction(between: bytes, line_end: bytes) -> None:
    """The first one's recipients were refused and its chunk swallowed, so UPSTREAM's transaction is still open: MAIL is
    refused, and with it RCPT and BDAT, all of them consequences."""
    session = Session(policy_for(), session_id="0123456789AB")
    forwarded: list[bytes] = []
    findings: list[Finding] = []

    def hear(side: Side, octets: bytes) -> None:
        output = session.receive(side, octets)
        forwarded.extend(output.up)
        findings.extend(event for event in output.events if isinstance(event, Finding))

    for side, octets in (
        (Side.UPSTREAM, b"220 up\r\n"),
        (Side.CLIENT, b"EHLO c\r\n"),
        (Side.UPSTREAM, b"250-up\r\n250-CHUNKING\r\n250 PIPELINING\r\n"),
        (Side.CLIENT, GROUP % (between, line_end)),
        (Side.UPSTREAM, b"250 ok\r\n"),
        (Side.UPSTREAM, b"550 no\r\n"),
    ):
        hear(side, octets)
    if between:
        hear(Side.UPSTREAM, b"250 ok\r\n")
    assert forwarded[1:] == [b"MAIL FROM:<1>\r\n", b"RCPT TO:<bad>\r\n", *[between] * bool(between), b"NOOP\r\n"]
    refused = [one for one in findings if one.answer is not None and one.rule.id.startswith("SG1")]
    assert [one.rule.id for one in refused] == ["SG104", "SG105", "SG102", "SG104"]
    assert all(one.consequence for one in refused)
    assert session.ended().violations == 0
