"""The servers of deploy/upstream in one shape, and the ways of introducing a client that each kit has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import trustme

from tests.against.client import RawClient, deliver
from tests.against.exim_heavy import EximHeavy
from tests.against.haraka import Haraka
from tests.against.kit import Kit
from tests.against.opensmtpd import OpenSmtpd
from tests.against.policy_service import PolicyService
from tests.against.postfix_kit import KitPostfix

STRANGER: Final = "127.0.0.77"
"""An address of this machine that no server trusts."""

TRUSTED: Final = "127.0.0.1"
"""The address that every server trusts, and that smtpguard dials from."""

HELLO: Final = "true.client.example"


class Server(Protocol):
    """A mail server with its kit; `public` is its port without the kit, `restarts` what makes it read its files."""

    kit: Kit
    public: int
    folder: Path
    restarts: str

    def restart(self) -> None:
        """Do what `restarts` does."""

    def said(self) -> str:
        """Return its log."""

    def close(self) -> None:
        """Stop, and remove all that it wrote."""


def postfix(sink: int, policy: PolicyService) -> Server:
    """Start Postfix, which alone asks the policy service."""
    return KitPostfix(sink, trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.bytes(), policy.port)


MAKERS: Final[Mapping[str, Callable[[int, PolicyService], Server]]] = {
    "postfix": postfix,
    "exim": lambda sink, _: EximHeavy(sink),
    "opensmtpd": lambda sink, _: OpenSmtpd(sink),
    "haraka": lambda sink, _: Haraka(sink),
}

LOGGED: Final[Mapping[str, str]] = {
    "postfix": ": client=unknown[{client}]",
    "exim": "<= ann@client.example H=({hello}) [{client}] ",
    "opensmtpd": " smtp connected address={client} ",
    "haraka": "disconnect ip={client} rdns=",
}
"""What the log of each says of a client that it has seen."""


@dataclass(frozen=True)
class Way:
    """A server, the identity that is sent to it, and the blocks of its README for that."""

    server: str
    send: str
    guard: str = "guard"
    install: str = "install"

    def __str__(self) -> str:
        return f"{self.server}-{self.send}"

    def logged(self, client: str) -> str:
        """Return what the server's log says of a client."""
        return LOGGED[self.server].format(client=client, hello=HELLO)

    def cut_over(self, server: Server) -> None:
        """Do what the README says, on both sides; smtpguard itself is not started."""
        server.kit.run(self.guard)
        assert server.kit.run(self.install)[1] == [server.restarts]
        server.restart()


KITS: Final = (
    Way("postfix", "proxy-v2"),
    Way("postfix", "xclient", "guard-xclient", "install-xclient"),
    Way("exim", "proxy-v2"),
    Way("opensmtpd", "proxy-v2"),
    Way("haraka", "proxy-v1"),
)
"""As the fragments say."""

WAYS: Final = (*KITS, Way("postfix", "proxy-v1"), Way("exim", "proxy-v1"))
"""And as the READMEs say that it may be done too."""


def send_mail(port: int, forward_path: bytes, source: str = STRANGER) -> None:
    """Send a small message as a client at `source`."""
    with RawClient(port, source=source) as client:
        assert client.reply()[:3] == b"220"
        assert client.say(b"EHLO " + HELLO.encode())[:3] == b"250"
        deliver(client, forward_path)
        assert client.say(b"QUIT")[:3] == b"221"


def try_relay(port: int, source: str) -> bytes:
    """Return the reply to a recipient of other people, asked for by a client at `source`."""
    with RawClient(port, source=source) as client:
        assert client.reply()[:3] == b"220"
        assert client.say(b"EHLO " + HELLO.encode())[:3] == b"250"
        assert client.say(b"MAIL FROM:<ann@client.example>")[:3] == b"250"
        answer = client.say(b"RCPT TO:<bob@elsewhere.example>")
        client.say(b"QUIT")
    return answer
