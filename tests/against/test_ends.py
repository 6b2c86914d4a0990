"""Sessions and programs that end at a bad time."""

import itertools
import re

import pytest

from tests.against.client import RawClient, deliver
from tests.against.conftest import MakeGuard, MakeTap
from tests.against.deadline import free_port, wait_until
from tests.against.guard import Guard
from tests.against.postfix import Postfix
from tests.against.sink import Sink

OVERRIDE = "identity.i-know-this-is-an-open-relay"


@pytest.fixture(scope="module")
def guard(postfix: Postfix, make_guard: MakeGuard) -> Guard:
    """A guard before Postfix."""
    return make_guard(postfix.port).wait_served()


def in_content(client: RawClient, box: bytes) -> None:
    """Bring a session into the middle of a message."""
    client.reply()
    client.say(b"EHLO c.example")
    client.say(b"MAIL FROM:<halfway@client.example>")
    client.say(b"RCPT TO:<" + box + b">")
    assert client.say(b"DATA")[:3] == b"354"
    client.send(b"Subject: halfway\r\n\r\n" + b"0123456789\r\n" * 10_000)


@pytest.mark.parametrize("way", ["reset", "close", "half_close"])
def test_a_client_that_leaves_in_content_delivers_nothing(way: str, guard: Guard, postfix: Postfix, sink: Sink) -> None:
    """RST or FIN before the dot: no part of the message comes into the queue."""
    with RawClient(guard.port) as client:
        in_content(client, b"halfway@up.example")
        getattr(client, way)()
        if way == "half_close":
            client.rest()
    assert guard.audit.wait_for_end(client.port)["smtp"]["close"] == "client-gone"
    with RawClient(guard.port) as client:
        client.reply()
        client.say(b"EHLO c.example")
        deliver(client, b"behind-" + way.encode() + b"@up.example")
    sink.wait_for(b"behind-" + way.encode() + b"@up.example")
    assert postfix.accepted("halfway@client.example") == 0
    assert not sink.to(b"halfway@up.example")


def test_an_upstream_that_dies(sink: Sink, certificate_file: bytes, make_guard: MakeGuard) -> None:
    """A session at rest is closed without a word of ours, one in content hears 421; a new one hears 421 4.3.2."""
    postfix = Postfix(sink.port, certificate_file)
    try:
        guard = make_guard(postfix.port).wait_served()
        with RawClient(guard.port) as at_rest, RawClient(guard.port) as busy:
            at_rest.reply()
            at_rest.say(b"EHLO c.example")
            in_content(busy, b"bob@up.example")
            postfix.kill()
            assert at_rest.rest() == b""
            assert busy.reply()[:9] == b"421 4.3.0"
            assert busy.rest() == b""
        with RawClient(guard.port) as refused:
            assert refused.reply()[:9] == b"421 4.3.2"
            assert refused.rest() == b""
    finally:
        postfix.close()


def test_an_upstream_that_is_down_at_start(postfix: Postfix, make_guard: MakeGuard, make_tap: MakeTap) -> None:
    """The guard listens and answers 421; it serves as soon as the upstream is there and has been asked."""
    port = free_port()
    guard = make_guard(port).wait_ready()
    assert guard.greeting()[:9] == b"421 4.3.2"
    make_tap(postfix.port, lambda octets: octets, port)
    wait_until(guard.greets, "a greeting once the upstream is up", 60)


def test_sigterm_ends_cleanly(postfix: Postfix, make_guard: MakeGuard, sink: Sink) -> None:
    """Who is connected hears 421, the exit code is 0, and the audit holds every session, numbered without a hole."""
    guard = make_guard(postfix.port).wait_served()
    ports = []
    for number in range(10):
        with RawClient(guard.port) as client:
            client.reply()
            client.say(b"EHLO c.example")
            client.say(b"DATA")
            deliver(client, b"term-%d@up.example" % number)
            client.say(b"QUIT")
            client.rest()
            ports.append(client.port)
    with RawClient(guard.port) as idle:
        idle.reply()
        idle.say(b"EHLO c.example")
        ports.append(idle.port)
        assert guard.stop() == 0
        assert idle.reply()[:3] == b"421"
        assert idle.rest() == b""

    assert sorted(event["source"]["port"] for event in guard.audit.ends()) == sorted(ports)
    assert len(guard.audit.findings()) == 10
    numbers = sorted(event["event"]["sequence"] for event in guard.audit.findings())
    assert all(a < b for a, b in itertools.pairwise(numbers))
    assert "503 5.5.1" in guard.log.read_text()


def test_an_open_relay_is_refused_by_name_of_its_cure(postfix: Postfix, make_guard: MakeGuard) -> None:
    """A listener that others reach before an upstream that trusts loopback: no start, and the cure is said."""
    guard = make_guard(postfix.trusting, host="0.0.0.0")
    assert guard.wait() in (69, 78)
    assert OVERRIDE in guard.said()
    with pytest.raises(ConnectionRefusedError):
        RawClient(guard.port)


def test_an_open_relay_starts_when_it_is_known(postfix: Postfix, make_guard: MakeGuard) -> None:
    """The override starts it."""
    assert make_guard(postfix.trusting, f"{OVERRIDE}=true", host="0.0.0.0").wait_served().stop() == 0


def test_a_closed_upstream_is_no_open_relay(postfix: Postfix, make_guard: MakeGuard) -> None:
    """The same listener before an upstream that relays for nobody starts."""
    assert make_guard(postfix.port, host="0.0.0.0").wait_served().stop() == 0


def test_the_probe_sends_no_message(postfix: Postfix, make_guard: MakeGuard, make_tap: MakeTap) -> None:
    """What is asked at start is EHLO, one or more times MAIL, RCPT, RSET, then QUIT, and never DATA."""
    tap = make_tap(postfix.port)
    guard = make_guard(tap.port, host="0.0.0.0").wait_served()
    asked = bytes(tap.recordings[0].up)
    # Behind STARTTLS, which Postfix offers, the same is asked within TLS.
    clear, starttls, _ = asked.partition(b"STARTTLS\r\n")
    assert starttls
    assert re.fullmatch(rb"EHLO [^\r\n]+\r\n(MAIL [^\r\n]+\r\n(RCPT [^\r\n]+\r\n)+RSET\r\n)+", clear), clear
    assert guard.stop() == 0
