"""Postfix behind smtpguard, in what it does by client address; and the open relay that comes of no identity at all."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import pytest

from tests.against.client import RawClient
from tests.against.conftest import MakeGuard
from tests.against.deadline import wait_until
from tests.against.guard import Guard
from tests.against.kit_servers import HELLO, KITS, MAKERS, STRANGER, Server, Way, send_mail, try_relay
from tests.against.policy_service import PolicyService
from tests.against.postfix_kit import LIMIT
from tests.against.received import KeepingSink

PROXY, XCLIENT = (way for way in KITS if way.server == "postfix")

OTHER: Final = "127.0.0.78"


@dataclass(frozen=True)
class Installed:
    """Postfix behind a guard, and the policy service behind Postfix."""

    guard: Guard
    policy: PolicyService


@pytest.fixture(scope="module", params=(PROXY, XCLIENT), ids=str)
def installed(request: pytest.FixtureRequest, keeping_sink: KeepingSink, make_guard: MakeGuard) -> Iterator[Installed]:
    """Postfix with its kit, behind a guard that takes the kit's settings from its file."""
    way = cast(Way, request.param)
    with PolicyService() as policy:
        server = MAKERS["postfix"](keeping_sink.port, policy)
        try:
            way.cut_over(server)
            flags = ("-c", str(server.kit.configuration))
            guard = make_guard(server.kit.port, flags=flags, host="0.0.0.0").wait_served()
            yield Installed(guard, policy)
            assert guard.stop() == 0
        finally:
            server.close()


def test_policy_service_sees_the_client(installed: Installed) -> None:
    """What Postfix asks a policy service is about the client: address and hello."""
    send_mail(installed.guard.port, b"policy@up.example")
    asked = wait_until(lambda: list(installed.policy.asked), "a request at the policy service")[-1]
    assert (asked["client_address"], asked["helo_name"]) == (STRANGER, HELLO)


def test_limit_counts_clients(installed: Installed) -> None:
    """The limit per client strikes the one client that exceeds it, and no other, though all come through smtpguard."""
    with ExitStack() as sessions:
        held = [sessions.enter_context(RawClient(installed.guard.port, source=OTHER)) for _ in range(LIMIT)]
        assert [client.reply()[:3] for client in held] == [b"220"] * LIMIT
        one_more = sessions.enter_context(RawClient(installed.guard.port, source=OTHER))
        assert one_more.reply().startswith(b"421 4.7.0")
        another = sessions.enter_context(RawClient(installed.guard.port, source=STRANGER))
        assert another.reply()[:3] == b"220"


@pytest.fixture
def trusting(keeping_sink: KeepingSink) -> Iterator[Server]:
    """A Postfix that trusts smtpguard's address, and has no kit yet."""
    with PolicyService() as policy:
        server = MAKERS["postfix"](keeping_sink.port, policy)
        yield server
        server.close()


def test_the_accident(trusting: Server, tmp_path: Path) -> None:
    """A trusting Postfix and no identity: a stranger could relay, so `run` does not start, and says what to change."""
    guard = Guard(tmp_path / "loopback", trusting.public).wait_served()
    try:
        assert try_relay(guard.port, STRANGER)[:3] == b"250"
    finally:
        assert guard.stop() == 0
    public = Guard(tmp_path / "public", trusting.public, host="0.0.0.0")
    assert public.wait() == 78
    said = public.said()
    assert "relays mail of strangers" in said
    assert "smtpd_upstream_proxy_protocol" in said
    assert "identity.send" in said


@pytest.mark.parametrize("way", [PROXY, XCLIENT], ids=str)
def test_the_cure(trusting: Server, way: Way, tmp_path: Path) -> None:
    """With the kit the same Postfix, trusting as before, lets `run` start, and refuses the stranger itself."""
    way.cut_over(trusting)
    flags = ("-c", str(trusting.kit.configuration))
    guard = Guard(tmp_path, trusting.kit.port, flags=flags, host="0.0.0.0").wait_served()
    try:
        assert try_relay(guard.port, STRANGER).startswith(b"554 5.7.1")
        refused = (
            f"NOQUEUE: reject: RCPT from unknown[{STRANGER}]: 554 5.7.1 <bob@elsewhere.example>: Relay access denied"
        )
        wait_until(lambda: refused in trusting.said(), "the refusal in Postfix's log")
    finally:
        assert guard.stop() == 0


@pytest.mark.parametrize("send", ["xclient", "proxy-v1"])
def test_identity_that_postfix_does_not_take(trusting: Server, send: str, tmp_path: Path) -> None:
    """A Postfix without the kit judges by smtpguard's address, whatever is sent: `run` notices, and does not start."""
    guard = Guard(tmp_path, trusting.public, f"identity.send={send}", host="0.0.0.0")
    assert guard.wait() == 78
    assert send in guard.said().lower()


def test_binary_header_that_postfix_does_not_take(trusting: Server, tmp_path: Path) -> None:
    """Postfix without the kit closes at a v2 header, which holds the word QUIT: no client is greeted."""
    guard = Guard(tmp_path, trusting.public, "identity.send=proxy-v2", host="0.0.0.0")
    wait_until(lambda: guard.process.poll() is not None or guard.greeting(), "a refusal")
    assert guard.greeting()[:3] != b"220"
    if guard.process.poll() is None:
        guard.stop()
    assert guard.process.returncode in (0, 78)
