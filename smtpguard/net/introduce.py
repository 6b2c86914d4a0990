"""How UPSTREAM learns who the client is, before the session begins.

    none          not at all: UPSTREAM sees our address
    proxy-v1, -v2 the first octets are a PROXY header (`preface`)
    xclient       we say EHLO and XCLIENT; what UPSTREAM then greets with is the session's greeting, so that the
                  client's own EHLO reaches it unchanged
    transparent   nothing is said: the connection comes from the client's address (`arrival.bind_source`)

What is composed here consists of addresses in the spelling of `ipaddress`, of numbers and of our session id; no text
of a client or of the DNS is in it.
"""

from typing import Final

import trio

from smtpguard.config import Send
from smtpguard.net.dialogue import Dialogue
from smtpguard.net.proxy import header_v1, header_v2
from smtpguard.net.stream import Stream
from smtpguard.net.upstream import Unreachable
from smtpguard.smtp import TLS_OF_SOME_KIND, Link, MalformedReply, Reply

STRANGER: Final = "192.0.2.1"
"""Of TEST-NET-1 (RFC 5737): nobody's address, and in nobody's list of trusted ones."""

NOBODY: Final = Link(
    session_id="0" * 12, started=0.0, client_ip=STRANGER, client_port=25, local_ip=STRANGER, local_port=25,
    listener="", upstream="",
)  # fmt: skip
"""The client of a connection of our own, a probe's, where UPSTREAM waits to be told of one: by LOCAL and UNKNOWN it
would judge us by our own address, or refuse them."""


class NotTold(Unreachable):
    """UPSTREAM does not take the client's address from us, and will not until somebody changes its configuration."""


def own_preface(send: Send) -> bytes:
    """Return what a connection of our own begins with."""
    return preface(send, NOBODY)


def preface(send: Send, link: Link) -> bytes:
    """Return what is sent before anything else; nothing for all but the PROXY header."""
    source, destination = (link.client_ip, link.client_port), (link.local_ip, link.local_port)
    if send is Send.PROXY_V1:
        return header_v1(source, destination)
    if send is Send.PROXY_V2:
        version = link.tls_before.removeprefix(TLS_OF_SOME_KIND)
        return header_v2(source, destination, session_id=link.session_id, tls_version=version)
    return b""


async def introduce(send: Send, stream: Stream, link: Link) -> bytes:
    """Say who the client is; return what was heard of the session's greeting meanwhile.

    Raises:
        NotTold: UPSTREAM does not take the client's address from us. A session that it would take for ours is never
            begun.
        Unreachable: it is gone.
    """
    try:
        if send is Send.XCLIENT:
            return await _by_xclient(Dialogue(stream), link)
        octets = preface(send, link)
        if octets:
            await stream.send_all(octets)
    except (trio.BrokenResourceError, MalformedReply) as error:
        raise Unreachable(f"it went before its greeting: {error}") from error
    return b""


async def _by_xclient(dialogue: Dialogue, link: Link) -> bytes:
    """Follow XCLIENT_README of Postfix: "220 success", and the session begins anew, with us as that client."""
    greeting = await dialogue.reply()
    if greeting.code != 220:
        # No service: the client is to hear so, and what is behind it.
        return greeting.raw + dialogue.pending
    hello = await dialogue.hello()
    if dialogue.pending:
        # Taken for the answer to XCLIENT, it would leave that answer for the client's own EHLO.
        raise Unreachable("it says more than its reply to our EHLO")
    answer = await dialogue.say(xclient(offered(hello), link))
    # 421 is the new client's: it has too many sessions, say.
    if answer.code not in (220, 421):
        raise NotTold(f"it answers XCLIENT with {answer.code}: it does not take the client's address from us")
    if dialogue.pending:
        raise Unreachable("it says more than its greeting behind XCLIENT")
    return answer.raw


def xclient(attributes: frozenset[bytes], link: Link) -> bytes:
    """Return the command, with those of our attributes that UPSTREAM offers.

    Raises:
        NotTold: it does not offer ADDR, so the client's address would not arrive.
    """
    if b"ADDR" not in attributes:
        raise NotTold("it offers us no XCLIENT with ADDR: it does not take the client's address from us")
    values = {
        # The name that it found for our own address is not the client's.
        b"NAME": b"[UNAVAILABLE]",
        b"ADDR": _address(link.client_ip),
        b"PORT": b"%d" % link.client_port,
        b"DESTADDR": _address(link.local_ip),
        b"DESTPORT": b"%d" % link.local_port,
    }
    return b"XCLIENT " + b" ".join(name + b"=" + value for name, value in values.items() if name in attributes)


def _address(host: str) -> bytes:
    return (f"IPV6:{host}" if ":" in host else host).encode("ascii")


def offered(hello: Reply) -> frozenset[bytes]:
    """Return the attributes of XCLIENT in an EHLO reply; none if it is not offered."""
    for line in hello.raw.upper().split(b"\r\n")[1:-1]:
        word, *attributes = line[4:].split(b" ")
        if word == b"XCLIENT":
            return frozenset(attributes)
    return frozenset()
