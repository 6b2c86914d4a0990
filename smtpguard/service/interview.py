"""What UPSTREAM says of itself: its greeting, what it offers behind EHLO, how long it takes. For `check --live`."""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import trio

from smtpguard.net import Stream, Unreachable
from smtpguard.smtp import MalformedReply, Reply, ReplyReader

DEADLINE: Final = 30.0
"""Seconds for the whole dialogue."""


@dataclass(frozen=True, slots=True)
class Interview:
    """What it said."""

    greeting: Reply
    hello: Reply | None
    """Its reply to EHLO; None: its greeting was a refusal, so it was not asked."""
    seconds: float
    """From a NOOP to its reply; 0 where it was not asked."""

    @property
    def offers(self) -> tuple[bytes, ...]:
        """Return the lines behind the first of its reply to EHLO, codes left out; none where EHLO was refused."""
        if self.hello is None or self.hello.code >= 300:
            return ()
        return tuple(line[4:] for line in self.hello.raw.split(b"\r\n")[1:-1])


async def interview(connect: Callable[[], Awaitable[Stream]]) -> Interview:
    """Ask UPSTREAM.

    Raises:
        Unreachable: it cannot be reached, does not answer in time, or what it says is no SMTP.
    """
    stream = await connect()
    try:
        with trio.fail_after(DEADLINE):
            return await _ask(stream)
    except trio.TooSlowError:
        raise Unreachable(f"no answer within {DEADLINE:g} s") from None
    except MalformedReply as error:
        raise Unreachable(f"what it says is no SMTP: {error}") from error
    except trio.BrokenResourceError as error:
        raise Unreachable(f"it closed before it had answered ({error})") from error
    finally:
        stream.close()


async def _ask(stream: Stream) -> Interview:
    reader = ReplyReader()
    greeting = await _reply(stream, reader)
    if greeting.code >= 400:
        return Interview(greeting, None, 0.0)
    name = socket.gethostname().encode("ascii", "replace").replace(b"?", b"-") or b"localhost"
    hello = await _say(stream, reader, b"EHLO " + name)
    asked = trio.current_time()
    await _say(stream, reader, b"NOOP")
    seconds = trio.current_time() - asked
    await _say(stream, reader, b"QUIT")
    return Interview(greeting, hello, seconds)


async def _say(stream: Stream, reader: ReplyReader, line: bytes) -> Reply:
    await stream.send_all(line + b"\r\n")
    return await _reply(stream, reader)


async def _reply(stream: Stream, reader: ReplyReader) -> Reply:
    while (reply := reader.next()) is None:
        octets = await stream.receive_some(4096)
        if not octets:
            raise trio.BrokenResourceError("end of input")
        reader.put(octets)
    return reply
