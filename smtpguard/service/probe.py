"""Would UPSTREAM relay mail of strangers for us, and does it take the client's address from us? Asked before strangers
are let in.

Behind a proxy every client has the proxy's address, unless UPSTREAM is told better. Where it relays for that address
(Postfix: `mynetworks`), a proxy on a public address is an open relay. So UPSTREAM is asked with the words of a
stranger, introduced as `identity.send` introduces clients: EHLO, MAIL, RCPT to domains that are not ours, RSET, QUIT.
Never a message; example.com and example.net belong to nobody (RFC 2606), nor does the stranger's address (RFC 5737).
"""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import trio

from smtpguard.config import Send
from smtpguard.net import NOBODY, STRANGER, Dialogue, NotTold, Stream, Unreachable, introduce, offered, own_name
from smtpguard.smtp import MalformedReply, Reply, keywords

DEADLINE: Final = 30.0
"""Seconds for the whole dialogue."""

STRANGERS: Final = (b"smtpguard-probe@example.com", b"smtpguard-probe@example.net")

RELAY_DENIED: Final = 454
"""Postfix's defer_unauth_destination, its default, refuses to relay so; any other 4yz puts the probe off."""

AUTHENTICATION_REQUIRED: Final = 530
"""RFC 4954 §6; RFC 3207 §4 has the same code for "Must issue a STARTTLS command first"."""

NOT_ABOUT_RELAYING: Final = frozenset({501, 504, 556})
"""RCPT is refused for our hello, an address, a domain that takes no mail (RFC 7505): another stranger has others."""


class Trust(Enum):
    """Whether UPSTREAM relays for a stranger."""

    REFUSES = "refuses to relay"
    RELAYS = "relays"
    UNASKED = "could not be asked"
    """It refused before it came to that."""


class Arrives(Enum):
    """Whether UPSTREAM takes the client's address from us."""

    SEEN = "seen"
    """Its reply to EHLO names the stranger's address."""
    UNSEEN = "unseen"
    """Nothing was amiss, and nothing that it says names an address: its log does."""
    NOT = "not"
    """It takes a PROXY header for commands, or takes no XCLIENT from us."""
    UNASKED = "unasked"
    """We introduce nobody."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found."""

    trust: Trust
    arrives: Arrives = Arrives.UNASKED
    authorised: bool = False
    """It offers us XCLIENT, so it would believe us whatever address a client claims to have."""


async def probe(connect: Callable[[], Awaitable[Stream]], send: Send = Send.NONE) -> Probed:
    """Ask UPSTREAM as a stranger, introduced as clients are.

    Raises:
        Unreachable: it cannot be reached, does not answer in time, or what it says is no SMTP.
    """
    stream = await connect()
    try:
        with trio.fail_after(DEADLINE):
            heard = await introduce(send, stream, NOBODY)
            return await _ask(Dialogue(stream, heard), send)
    except NotTold:
        return Probed(Trust.REFUSES, Arrives.NOT)
    except trio.TooSlowError:
        raise Unreachable(f"no answer to the open-relay probe within {DEADLINE:g} s{_hint(send)}") from None
    except (trio.BrokenResourceError, MalformedReply) as error:
        raise Unreachable(f"the open-relay probe failed: {error}{_hint(send)}") from error
    finally:
        stream.close()


def _hint(send: Send) -> str:
    return "; does it wait for a PROXY header (identity.send)?" if send is Send.NONE else ""


async def _ask(dialogue: Dialogue, send: Send) -> Probed:
    greeting = await dialogue.reply()
    if greeting.code >= 400:
        # No service for us at all, so none for strangers through us; the reason may pass.
        raise Unreachable(f"the upstream's greeting to the open-relay probe is {greeting.code}{_hint(send)}")
    hello = await dialogue.hello()
    if hello.code >= 400:
        if send in (Send.PROXY_V1, Send.PROXY_V2):
            # This is its reply to the header: it read that as a command.
            return Probed(Trust.REFUSES, Arrives.NOT)
        await dialogue.say(b"HELO " + own_name())
    secret = b"STARTTLS" in keywords(hello.raw)
    trust = await _trust(dialogue, secret=secret)
    if secret and trust is not Trust.RELAYS:
        trust = _graver(trust, await _trust_in_tls(dialogue))
    await dialogue.say(b"QUIT")
    if trust is Trust.UNASKED:
        raise Unreachable(
            "the open-relay probe could not ask: every MAIL or RCPT was refused for another reason than relaying; see "
            "its log, or set identity.i-know-this-is-an-open-relay"
        )
    return Probed(trust, _arrives(hello, send), authorised=send is not Send.XCLIENT and bool(offered(hello)))


async def _trust_in_tls(dialogue: Dialogue) -> Trust:
    """Ask once more within TLS, where clients may go too, and UPSTREAM may say other things."""
    try:
        if not await dialogue.start_tls():
            return Trust.UNASKED
        await dialogue.hello()
    except (trio.BrokenResourceError, ssl.SSLError):
        raise Unreachable("the open-relay probe could not ask within TLS, which the upstream offers") from None
    return await _trust(dialogue, secret=False)


async def _trust(dialogue: Dialogue, *, secret: bool) -> Trust:
    """Ask whether UPSTREAM relays; `secret`: it may demand TLS first."""
    found = Trust.UNASKED
    for reverse_path in (b"", b"postmaster@" + own_name()):
        mail = await _asked(dialogue, b"MAIL FROM:<" + reverse_path + b">")
        if mail.code < 300:
            found = _graver(found, *[await _relays(dialogue, path, secret=secret) for path in STRANGERS])
            await dialogue.say(b"RSET")
        elif mail.code == AUTHENTICATION_REQUIRED and not secret:
            # Nobody gets through who has no account there.
            found = _graver(found, Trust.REFUSES)
    return found


async def _relays(dialogue: Dialogue, forward_path: bytes, *, secret: bool) -> Trust:
    code = (await _asked(dialogue, b"RCPT TO:<" + forward_path + b">")).code
    if code < 300:
        return Trust.RELAYS
    about_something_else = code in NOT_ABOUT_RELAYING or (code == AUTHENTICATION_REQUIRED and secret)
    return Trust.UNASKED if about_something_else else Trust.REFUSES


def _graver(*found: Trust) -> Trust:
    return next(trust for trust in (Trust.RELAYS, Trust.REFUSES, Trust.UNASKED) if trust in found)


async def _asked(dialogue: Dialogue, line: bytes) -> Reply:
    """Say what a stranger would say; a temporary refusal proves nothing, unless it is the one for relaying."""
    reply = await dialogue.say(line)
    if 400 <= reply.code < 500 and reply.code != RELAY_DENIED:
        raise Unreachable(f"the upstream put the open-relay probe off: {reply.code}")
    return reply


def _arrives(hello: Reply, send: Send) -> Arrives:
    if send is Send.NONE:
        return Arrives.UNASKED
    return Arrives.SEEN if STRANGER.encode() in hello.raw else Arrives.UNSEEN
