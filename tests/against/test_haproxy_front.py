"""HAProxy in front of the guard: its clients are named by PROXY headers, its own checks are LOCAL."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.against.client import RawClient
from tests.against.deadline import answers, free_port, wait_until
from tests.against.guard import Guard
from tests.against.haproxy import running
from tests.against.scripted import ScriptedStandIn

TRUSTED = ("identity.accept-proxy-from=['127.0.0.1']", "identity.i-know-this-is-an-open-relay=true")


@contextmanager
def haproxy(folder: Path, guard: Guard, server: str) -> Iterator[int]:
    """Run HAProxy before the guard, and give out its port."""
    port = free_port()
    lines = (
        f"bind 127.0.0.1:{port}",
        "option smtpchk EHLO check.example",
        f"server guard 127.0.0.1:{guard.port} {server} check check-send-proxy inter 100ms",
    )
    with running(folder, lines) as process:
        wait_until(lambda: process.poll() is not None or answers(port), "HAProxy's port")
        yield port


@pytest.mark.parametrize(("server", "via"), [("send-proxy", "proxy-v1"), ("send-proxy-v2", "proxy-v2")])
def test_the_client_behind_haproxy(tmp_path: Path, server: str, via: str) -> None:
    """Log and audit have the client that HAProxy names, and HAProxy beside it; its checks are counted, not audited."""
    with ExitStack() as stack:
        mx = ScriptedStandIn()
        stack.callback(mx.close)
        guard = Guard(tmp_path / "guard", mx.port, *TRUSTED)
        stack.callback(guard.stop)
        wait_until(lambda: answers(guard.port), "the guard's port")
        port = stack.enter_context(haproxy(tmp_path, guard, server))
        with RawClient(port, source="127.0.0.66") as client:
            assert client.reply().startswith(b"220")
            assert client.say(b"RCPT TO:<a@b>").startswith(b"503 5.5.1")
            client.say(b"QUIT")
            guard.audit.wait_for_end(client.port)
        wait_until(lambda: " via=" in guard.said(), "the session's line in the log")
    (finding,) = guard.audit.findings()
    assert finding["source"]["ip"] == "127.0.0.66"
    session = finding["smtp"]["session"]
    assert (session["via"], session["peer"]["ip"]) == (via, "127.0.0.1")
    assert finding["destination"]["port"] == port
    log = guard.said()
    assert "reject: RCPT from unknown[127.0.0.66]" in log
    assert f" via={via} peer=[127.0.0.1]:" in log
    if via == "proxy-v2":
        # It has looked some times by now: not a line, not an event. Version 1 has no LOCAL: its checks are clients.
        assert [event["source"]["ip"] for event in guard.audit.ends()] == ["127.0.0.66"]
        assert "unknown[127.0.0.1]" not in log
