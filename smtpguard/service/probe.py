"""Would UPSTREAM relay mail of strangers for us? Asked before strangers are let in.

Behind a proxy every client has the proxy's address. Where UPSTREAM relays for that address (Postfix: `mynetworks`),
a proxy on a public address is an open relay. So UPSTREAM is asked with the words of a stranger: EHLO, MAIL, RCPT to
domains that are not ours, RSET, QUIT. Never a message; example.com and example.net belong to nobody (RFC 2606).
"""

import socket
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final

import trio

from smtpguard.net import Stream, Unreachable
from smtpguard.smtp import MalformedReply, Reply, ReplyReader

DEADLINE: Final = 30.0
"""Seconds for the whole dialogue."""

STRANGERS: Final = (b"smtpguard-probe@example.com", b"smtpguard-probe@example.net")


RELAY_DENIED: Final = 454
"""Postfix's defer_unauth_destination, its default, refuses to relay so; any other 4yz puts the probe off."""


class Trust(Enum):
    """What the probe found."""

    REFUSES = "refuses to relay"
    RELAYS = "relays"


async def probe(connect: Callable[[], Awaitable[Stream]]) -> Trust:
    """Ask UPSTREAM whether it relays for us.

    Raises:
        Unreachable: it cannot be reached, does not answer in time, or what it says is no SMTP.
    """
    stream = await connect()
    try:
        with trio.fail_after(DEADLINE):
            return await _Dialogue(stream).ask()
    except trio.TooSlowError:
        raise Unreachable(f"no answer to the open-relay probe within {DEADLINE:g} s") from None
    except (trio.BrokenResourceError, MalformedReply) as error:
        raise Unreachable(f"the open-relay probe failed: {error}") from error
    finally:
        stream.close()


class _Dialogue:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._reader = ReplyReader()

    async def ask(self) -> Trust:
        greeting = await self._reply()
        if greeting.code >= 400:
            # No service for us at all, so none for strangers through us; the reason may pass.
            raise Unreachable(f"the upstream's greeting to the open-relay probe is {greeting.code}")
        name = socket.gethostname().encode("ascii", "replace").replace(b"?", b"-") or b"localhost"
        if (await self._say(b"EHLO " + name)).code >= 400:
            await self._say(b"HELO " + name)
        trust = Trust.REFUSES
        for reverse_path in (b"", b"postmaster@" + name):
            if (await self._ask(b"MAIL FROM:<" + reverse_path + b">")).code < 300:
                for forward_path in STRANGERS:
                    if (await self._ask(b"RCPT TO:<" + forward_path + b">")).code < 300:
                        trust = Trust.RELAYS
                await self._say(b"RSET")
        await self._say(b"QUIT")
        return trust

    async def _ask(self, line: bytes) -> Reply:
        """Say what a stranger would say; a temporary refusal proves nothing, unless it is the one for relaying."""
        reply = await self._say(line)
        if 400 <= reply.code < 500 and reply.code != RELAY_DENIED:
            raise Unreachable(f"the upstream put the open-relay probe off: {reply.code}")
        return reply

    async def _say(self, line: bytes) -> Reply:
        await self._stream.send_all(line + b"\r\n")
        return await self._reply()

    async def _reply(self) -> Reply:
        while (reply := self._reader.next()) is None:
            octets = await self._stream.receive_some(4096)
            if not octets:
                raise trio.BrokenResourceError("the upstream closed")
            self._reader.put(octets)
        return reply
