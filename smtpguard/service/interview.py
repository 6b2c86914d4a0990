"""What UPSTREAM says of itself: its greeting, what it offers behind EHLO, how long it takes. For `check --live`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import trio

from smtpguard.config import Send
from smtpguard.net import Dialogue, Stream, Unreachable, own_preface
from smtpguard.smtp import MalformedReply, Reply

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


async def interview(connect: Callable[[], Awaitable[Stream]], send: Send = Send.NONE) -> Interview:
    """Ask UPSTREAM, introduced as a connection of nobody.

    Raises:
        Unreachable: it cannot be reached, does not answer in time, or what it says is no SMTP.
    """
    stream = await connect()
    try:
        with trio.fail_after(DEADLINE):
            await stream.send_all(own_preface(send))
            return await _ask(Dialogue(stream))
    except trio.TooSlowError:
        raise Unreachable(f"no answer within {DEADLINE:g} s") from None
    except MalformedReply as error:
        raise Unreachable(f"what it says is no SMTP: {error}") from error
    except trio.BrokenResourceError as error:
        raise Unreachable(f"it closed before it had answered ({error})") from error
    finally:
        stream.close()


async def _ask(dialogue: Dialogue) -> Interview:
    greeting = await dialogue.reply()
    if greeting.code >= 400:
        return Interview(greeting, None, 0.0)
    hello = await dialogue.hello()
    asked = trio.current_time()
    await dialogue.say(b"NOOP")
    seconds = trio.current_time() - asked
    await dialogue.say(b"QUIT")
    return Interview(greeting, hello, seconds)
