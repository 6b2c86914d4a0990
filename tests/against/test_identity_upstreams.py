"""Through smtpguard and the kits of deploy/upstream, the real servers see the client: in log, header and judgement."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import pytest

from tests.against.conftest import MakeGuard
from tests.against.deadline import answers, wait_until
from tests.against.guard import Guard
from tests.against.kit_servers import HELLO, MAKERS, STRANGER, TRUSTED, WAYS, Server, Way, send_mail, try_relay
from tests.against.policy_service import PolicyService
from tests.against.received import KeepingSink


@dataclass(frozen=True)
class Installed:
    """A server behind a guard."""

    way: Way
    server: Server
    guard: Guard
    sink: KeepingSink


@pytest.fixture(scope="module", params=WAYS, ids=str)
def installed(request: pytest.FixtureRequest, keeping_sink: KeepingSink, make_guard: MakeGuard) -> Iterator[Installed]:
    """Each server with its kit installed, behind a guard that takes connections at every address of this machine."""
    way = cast(Way, request.param)
    with PolicyService() as policy:
        server = MAKERS[way.server](keeping_sink.port, policy)
        try:
            way.cut_over(server)
            settings, flags = (f"identity.send={way.send}",), ("-c", str(server.kit.configuration))
            guard = make_guard(server.kit.port, *settings, flags=flags, host="0.0.0.0").wait_served()
            yield Installed(way, server, guard, keeping_sink)
            assert guard.stop() == 0
        finally:
            server.close()


def test_server_has_moved(installed: Installed) -> None:
    """The README's commands take the server from its port, so that nobody goes past smtpguard."""
    assert answers(installed.server.kit.port)
    assert not answers(installed.server.public)


def test_header_names_the_client(installed: Installed) -> None:
    """`Received` names the client's address and its own hello, and not smtpguard's address."""
    forward_path = f"header.{installed.way}@up.example".encode()
    send_mail(installed.guard.port, forward_path)
    received = installed.sink.received_by(forward_path)
    assert f"[{STRANGER}]" in received
    assert HELLO in received
    assert f"[{TRUSTED}]" not in received


def test_log_names_the_client(installed: Installed) -> None:
    """The server's own log names the client's address."""
    send_mail(installed.guard.port, f"log.{installed.way}@up.example".encode())
    line = installed.way.logged(STRANGER)
    wait_until(lambda: line in installed.server.said(), f"{line!r} in the log")


def test_stranger_may_not_relay(installed: Installed) -> None:
    """The server trusts smtpguard's address, and refuses a stranger who comes through smtpguard."""
    assert try_relay(installed.guard.port, STRANGER)[:2] == b"55"


def test_trusted_client_may_relay(installed: Installed) -> None:
    """A client that the server trusts is trusted through smtpguard as well: it is the client who is judged."""
    assert try_relay(installed.guard.port, TRUSTED)[:3] == b"250"


def test_check_live_agrees(installed: Installed) -> None:
    """`smtpguard check --live`, as the README has it, finds nothing wrong; its stranger is in the server's log."""
    said = " ".join(installed.server.kit.run("check")[0].split())
    assert "refuses to relay for strangers through us" in said
    assert "would start" in said
    assert re.search(r"takes the client's address from us \(\S+\): it called us|takes \S+ without complaint", said)
    wait_until(lambda: "192.0.2.1" in installed.server.said(), "the stranger of the check in the log")
