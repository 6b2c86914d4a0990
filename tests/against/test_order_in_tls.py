"""The rows of the order table that need TLS, against the real servers.

With `tls.mode` pass-through a session inside TLS is opaque to the running product, so SG109 and the TLS half of SG101
are reached by the engine alone: a Session that is told that TLS is up (a stand-in for a guard that ends TLS) stands
between a script and a real upstream, in the clear. What was sent on is what the script recorded.
"""

import socket

import pytest

from smtpguard.smtp import Finding, Session, Side, policy_for
from tests.against.sink import Sink

MESSAGE = (b"RCPT TO:<%s>", b"DATA", b"Subject: still here\r\n\r\ntext\r\n.", b"QUIT")


class Between:
    """A script on one side, an upstream on the other, a Session between them."""

    def __init__(self, port: int, *, observing: bool = False) -> None:
        self.session = Session(policy_for(observing=observing), session_id="0123456789AB", tls=True)
        self.sent_on = b""
        self.findings: list[Finding] = []
        self._upstream = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._hear()

    def say(self, *lines: bytes) -> list[int]:
        """Say lines one by one; return the codes of their replies."""
        return [self._say(line) for line in lines]

    def _say(self, line: bytes) -> int:
        output = self.session.receive(Side.CLIENT, line + b"\r\n")
        self._note(output.events)
        if output.down:
            return int(output.down[0][:3])
        self.sent_on += b"".join(output.up)
        self._upstream.sendall(b"".join(output.up))
        return self._hear()

    def _hear(self) -> int:
        while True:
            octets = self._upstream.recv(65536)
            assert octets, "the upstream closed"
            output = self.session.receive(Side.UPSTREAM, octets)
            self._note(output.events)
            if output.down:
                return int(output.down[0][:3])

    def _note(self, events: tuple[object, ...]) -> None:
        self.findings += [event for event in events if isinstance(event, Finding) and event.rule.id != "SG505"]

    def close(self) -> None:
        self._upstream.close()


@pytest.mark.parametrize("server", ["postfix", "exim"])
def test_starttls_inside_tls(server: str, request: pytest.FixtureRequest, sink: Sink) -> None:
    """SG109: 503, UPSTREAM never sees it, and the session goes on to deliver a message."""
    box = b"sg109-%s@up.example" % server.encode()
    between = Between(request.getfixturevalue(server).port)
    assert between.say(b"EHLO c.example", b"STARTTLS", b"MAIL FROM:<ann@client.example>") == [250, 503, 250]
    assert between.say(*(line.replace(b"%s", box) for line in MESSAGE)) == [250, 354, 250, 221]
    between.close()
    assert b"STARTTLS" not in between.sent_on.upper()
    (found,) = between.findings
    assert (found.rule.id, found.state.value, found.cause.value) == ("SG109", "identified", "unknown")
    assert found.previous is not None
    assert (found.previous.verb.value, found.previous.code, found.forwarded) == ("EHLO", 250, False)
    assert sink.wait_for(box).head.endswith(b"text\r\n")


@pytest.mark.parametrize("server", ["postfix", "exim"])
def test_starttls_inside_tls_comes_through_where_only_observed(server: str, request: pytest.FixtureRequest) -> None:
    """The guard taken out: the same line is seen to be sent on."""
    between = Between(request.getfixturevalue(server).port, observing=True)
    between.say(b"EHLO c.example", b"STARTTLS")
    between.close()
    assert between.sent_on.endswith(b"STARTTLS\r\n")


@pytest.mark.parametrize("server", ["postfix", "exim"])
def test_mail_with_no_hello_since_tls_came_up(server: str, request: pytest.FixtureRequest, sink: Sink) -> None:
    """SG101: TLS forgets the hello; 503, nothing forwarded, and behind a new EHLO the message is delivered."""
    box = b"sg101-%s@up.example" % server.encode()
    between = Between(request.getfixturevalue(server).port)
    assert between.say(b"EHLO c.example") == [250]
    between.session.tls_up()
    assert between.say(b"MAIL FROM:<ann@client.example>") == [503]
    assert between.sent_on == b"EHLO c.example\r\n"
    (found,) = between.findings
    assert (found.rule.id, found.state.value, found.cause.value) == ("SG101", "connected", "no-ehlo-after-starttls")
    assert between.say(b"EHLO c.example", b"MAIL FROM:<ann@client.example>") == [250, 250]
    assert between.say(*(line.replace(b"%s", box) for line in MESSAGE)) == [250, 354, 250, 221]
    between.close()
    assert sink.wait_for(box).head.endswith(b"text\r\n")
