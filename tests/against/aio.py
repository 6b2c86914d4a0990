"""aiosmtpd on a thread: the upstream that offers no PIPELINING and no CHUNKING.

The same world as `postfix`, but a message ends here: its content is kept as a `sink.Delivered`.
"""

import hashlib
import ssl

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.against.deadline import free_port
from tests.against.sink import KEPT, Delivered

REFUSED = {
    "nobody@up.example": "550 5.1.1 no such user",
}


class World:
    """The handler: who may send, who is here, and what came."""

    def __init__(self) -> None:
        self.delivered: list[Delivered] = []

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse one reverse path."""
        if address == "refused@client.example":
            return "550 5.7.1 not from you"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse what is not ours."""
        if refusal := REFUSED.get(address):
            return refusal
        if not address.endswith("@up.example"):
            return "554 5.7.1 relay not permitted"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the message."""
        content = envelope.original_content or b""
        digest = hashlib.sha256(content).hexdigest()
        paths = tuple(path.encode() for path in envelope.rcpt_tos)
        reverse = (envelope.mail_from or "").encode()
        self.delivered.append(Delivered(reverse, paths, digest, len(content), content[:KEPT]))
        return "250 2.0.0 Ok: kept"


class LateRefusal(SMTP):
    """aiosmtpd asks its handler nothing at DATA; this refuses there what `postfix` refuses."""

    async def smtp_DATA(self, arg: str | None) -> None:
        """Refuse DATA for the one recipient latefail."""
        if self.envelope is not None and self.envelope.rcpt_tos == ["latefail@up.example"]:
            await self.push("550 5.7.1 not now")
            return
        await super().smtp_DATA(arg)


def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    """Let ann in."""
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ann", b"secret")
    return AuthResult(success=known, handled=False)


class Aiosmtpd:
    """One running instance: `port`, and `delivered`."""

    offers_pipelining = False

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.port = free_port()
        self.world = World()
        world = self.world

        class _Controller(Controller):
            def factory(self) -> SMTP:
                return LateRefusal(
                    world, hostname="mx.up.example", ident="ESMTP", data_size_limit=52428800, enable_SMTPUTF8=True,
                    tls_context=tls, authenticator=authenticate, auth_require_tls=False, decode_data=False,
                    command_call_limit=1000,
                )  # fmt: skip

        self._controller = _Controller(world, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    @property
    def delivered(self) -> list[Delivered]:
        """The messages that came."""
        return self.world.delivered

    def close(self) -> None:
        """Stop."""
        self._controller.stop()
