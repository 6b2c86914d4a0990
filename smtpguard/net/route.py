"""The way from a listener to its UPSTREAMs: which of them, and as whom.

A dial that fails goes on to the next UPSTREAM, all within one connect deadline; behind the first octet of a session
nothing is tried again. One that is down (`health`) is dialled last, so that a host that swallows connection requests
costs a few clients a part of the deadline, not each of them.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import NamedTuple

import trio

from smtpguard.config import Arrival, Choice, Send
from smtpguard.net.gate import client_of
from smtpguard.net.health import Health, Told
from smtpguard.net.introduce import introduce, own_preface, preface
from smtpguard.net.stream import Stream, TcpStream
from smtpguard.net.upstream import Unreachable, Upstream
from smtpguard.smtp import Link, Policy


class Dialled(NamedTuple):
    """A connection that a session can begin on."""

    stream: Stream
    upstream: str
    """HOST:PORT."""
    heard: bytes = b""
    """The session's greeting, where it was heard already (XCLIENT)."""

    def named(self, link: Link) -> Link:
        """Return the link with the UPSTREAM that was reached."""
        return link if link.upstream == self.upstream else replace(link, upstream=self.upstream)


class Route:
    """UPSTREAMs in the order of the configuration, one at least.

    Args:
        upstreams: share nothing with other routes that is not meant to be shared.
        choice: the first, or one by the client's address; either way all others behind it.
        send: how UPSTREAM learns who the client is.
        connect_deadline: seconds until a connection must stand, whichever it is.
        introduce_deadline: seconds for saying who the client is.
        told: hears of UPSTREAMs that go down and come up again.
    """

    def __init__(  # noqa: PLR0913 - each is decided elsewhere
        self,
        upstreams: Sequence[Upstream],
        *,
        choice: Choice = Choice.FAILOVER,
        send: Send = Send.NONE,
        connect_deadline: float = 10.0,
        introduce_deadline: float = 300.0,
        told: Told | None = None,
    ) -> None:
        self.pipeconnect = False
        """One of them offered PIPECONNECT to some session."""
        self.send = send
        self.health = Health(upstreams, preface=own_preface(send), told=told)
        self.name = str(upstreams[0])
        """The first of its UPSTREAMs."""
        self.several = len(upstreams) > 1
        self._upstreams = tuple(upstreams)
        self._choice = choice
        self._connect_deadline = connect_deadline
        self._introduce_deadline = introduce_deadline
        self._at_once = send in (Send.NONE, Send.PROXY_V1, Send.PROXY_V2)
        self._fixed = not self.several or choice is Choice.FAILOVER

    def first(self, client_ip: str) -> Upstream:
        """Return the one that a client's session goes to, unless it cannot be reached."""
        return self._in_order(client_ip)[0]

    def _in_order(self, client_ip: str) -> Sequence[Upstream]:
        if self._fixed and not self.health.any_down:
            return self._upstreams
        ordered = list(self._upstreams)
        if self._choice is Choice.SPREAD:
            ordered.sort(key=partial(_weight, client_of(client_ip)))
        return sorted(ordered, key=self.health.is_down)

    def dial_now(self, link: Link) -> TcpStream | None:
        """Connect without waiting, where the first is near enough for that; None: `dial` has to."""
        stream = self.first(link.client_ip).dial_now() if self._at_once else None
        if stream is not None and self.send is not Send.NONE:
            octets = preface(self.send, link)
            try:
                if stream.send_now(octets) == len(octets):
                    return stream
            except trio.BrokenResourceError:
                pass
            # Nothing of a session is lost: this connection is given up, and `dial` makes another.
            stream.cut()
            return None
        return stream

    async def dial(self, link: Link) -> Dialled:
        """Connect to the first that takes the connection, and introduce the client.

        Raises:
            Unreachable: none did, or sessions may not go there yet, or it does not take the client's address from us.
        """
        reasons = []
        upstreams = self._in_order(link.client_ip)
        deadline = trio.current_time() + self._connect_deadline
        source = link.client_ip if self.send is Send.TRANSPARENT else ""
        for left, upstream in zip(range(len(upstreams), 0, -1), upstreams, strict=True):
            share = max(0.0, deadline - trio.current_time()) / left
            try:
                stream = await upstream.dial(within=share, source=source)
            except Unreachable as error:
                # In a client's own name a dial may fail for want of a way back to that client.
                if self.several and self.send is not Send.TRANSPARENT:
                    self.health.failed(upstream, error.reason)
                reasons.append(error.reason if len(upstreams) == 1 else f"{upstream}: {error.reason}")
            else:
                if self.several:
                    self.health.passed(upstream)
                return Dialled(stream, str(upstream), await self._introduced(stream, link))
        raise Unreachable("; ".join(reasons))

    async def _introduced(self, stream: TcpStream, link: Link) -> bytes:
        try:
            with trio.fail_after(self._introduce_deadline):
                return await introduce(self.send, stream, link)
        except trio.TooSlowError:
            stream.close()
            raise Unreachable(f"no answer to XCLIENT within {self._introduce_deadline:g} s") from None
        except BaseException:
            stream.close()
            raise


def _weight(client: str, upstream: Upstream) -> int:
    """Weigh an UPSTREAM for a client: highest random weight, so that one that goes takes only its own clients along."""
    return zlib.crc32(f"{client} {upstream}".encode())


@dataclass(frozen=True, slots=True)
class Door:
    """What the server must know of a listener."""

    name: str
    """How log and audit call it."""
    route: Route
    policy: Policy
    """What the sessions that come in here are told."""
    arrival: Arrival = Arrival.DIRECT
    """How the destination that CLIENT dialled is found."""
    balancers: tuple[IPv4Network | IPv6Network, ...] = ()
    """From whom a PROXY header is required, and accepted."""
    exceptions: tuple[tuple[IPv4Network | IPv6Network, Policy], ...] = ()
    """What the clients of some networks are told instead; the first that fits speaks."""

    def policy_for(self, client_ip: str) -> Policy:
        """Return what a client's session is told."""
        if not self.exceptions:
            return self.policy
        address = ip_address(client_ip)
        return next((policy for network, policy in self.exceptions if address in network), self.policy)

    def requires_header(self, peer_ip: str) -> bool:
        """Tell whether a peer has to say who the client is."""
        if not self.balancers:
            return False
        address = ip_address(peer_ip)
        return any(address in network for network in self.balancers)
