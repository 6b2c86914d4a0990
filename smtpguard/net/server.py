"""Accepts clients and starts a relay for each; sweeps them once a second.

One `Server` serves all listening sockets of a worker, each with a `Door`: who comes in there, goes where, and is told
what. Its relays live in one nursery, outside the listeners' tasks.
A client over a cap, or before a gate that is shut, hears 421 and never costs an UPSTREAM connection. When descriptors
run out, accepting pauses; it never spins.
"""

import errno
import itertools
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import trio

from smtpguard.net.deadlines import LINGER, Deadlines
from smtpguard.net.dispatcher import Dispatcher
from smtpguard.net.gate import Gate, folded
from smtpguard.net.identify import destination, identified
from smtpguard.net.proxy import BadHeader
from smtpguard.net.relay import Relay
from smtpguard.net.route import Door, Route
from smtpguard.net.stream import TcpStream
from smtpguard.net.wire import Hooks, Observer, Wire
from smtpguard.smtp import (
    CATALOGUE,
    SHUTTING_DOWN,
    TOO_MANY_SESSIONS,
    UNIDENTIFIED_CLIENT,
    UNRECORDED,
    Close,
    Link,
    Session,
    SessionStarted,
)

BATCH: Final = 64
"""Clients accepted before the other tasks get their turn."""

PAUSE: Final = 0.1
"""Seconds without accepting when the machine is out of descriptors or memory."""

TURNED_AWAY: Final = 32
"""Clients turned away that are read into the void at a time, so that 421 reaches them; more are just closed."""

UNIDENTIFIED: Final = 1024
"""Connections of balancers whose header has not come yet; more are just closed."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_TOO_MANY: Final = CATALOGUE["SG606"]
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Warnings:
    """Whom the server tells what an operator should know; neither may block."""

    exhausted: Callable[[OSError], None]
    """Accepting pauses for want of descriptors or memory."""
    turned_away: Callable[[Link, str], None]
    """A client that may not come in heard 421; the second argument names the setting."""
    unidentified: Callable[[Link, str], None]
    """A balancer did not say who the client is; the second argument tells what it did instead."""


class Server:
    """All clients of one worker."""

    def __init__(  # noqa: PLR0913 - each is decided elsewhere
        self,
        deadlines: Deadlines,
        gate: Gate,
        *,
        observe: Observer,
        bug: Callable[[Link], None],
        warnings: Warnings,
        announces: bool = True,
    ) -> None:
        """Wire it up; with `announces` an event tells each session's start, which only a log at debug wants."""
        self._deadlines = deadlines
        self._gate = gate
        self._observe = observe
        self._warnings = warnings
        self._announces = announces
        self._hooks = Hooks(observe=observe, closed=self._forget, bug=bug)
        self._dispatcher = Dispatcher()
        self._relays: dict[Relay, Route] = {}
        self._turned_away = 0
        self._unidentified = 0
        self._ids = session_ids()

    def __len__(self) -> int:
        return len(self._relays)

    async def accept(self, listener: socket.socket, door: Door, nursery: trio.Nursery) -> None:
        """Accept clients of one listening socket for ever; their relays are started into `nursery`."""
        while True:
            descriptor = listener.fileno()
            self._dispatcher.yield_to(descriptor)
            try:
                while not await self._accept_batch(listener, door, nursery):
                    pass
            finally:
                self._dispatcher.forget(descriptor)
            await trio.sleep(PAUSE)

    async def _accept_batch(self, listener: socket.socket, door: Door, nursery: trio.Nursery) -> bool:
        """Wait for clients and accept what has come; True if the machine is exhausted."""
        await trio.lowlevel.wait_readable(listener)
        for _ in range(BATCH):
            try:
                accepted, peer = listener.accept()
            except BlockingIOError:
                break
            except OSError as error:
                # ECONNABORTED and the network errors that accept(2) passes on: the client is gone already.
                if error.errno in _EXHAUSTED:
                    self._warnings.exhausted(error)
                    return True
                break
            self._welcome(accepted, peer, door, nursery)
        return False

    def _welcome(self, accepted: socket.socket, peer: tuple[str, int], door: Door, nursery: trio.Nursery) -> None:
        accepted.setblocking(False)
        stream = TcpStream(accepted)
        try:
            link = self._link(accepted, peer, door)
        except OSError:
            stream.close()
            return
        if not door.requires_header(link.client_ip):
            self._admit(stream, link, door, nursery)
        elif self._unidentified < UNIDENTIFIED:
            self._unidentified += 1
            nursery.start_soon(self._identify, stream, link, door, nursery)
        else:
            stream.close()

    async def _identify(self, stream: TcpStream, link: Link, door: Door, nursery: trio.Nursery) -> None:
        """Have a balancer say who the client is; without that there is no session."""
        try:
            client = await identified(stream, link)
        except BadHeader as error:
            self._warnings.unidentified(link, error.reason)
            await self._say_last(stream, UNIDENTIFIED_CLIENT.spoken("", link.session_id))
        except trio.BrokenResourceError:
            # It went without a word, as a check of the bare port does.
            stream.close()
        except trio.Cancelled:
            stream.close()
            raise
        except Exception:
            self._hooks.bug(link)
            stream.close()
        else:
            self._admit(stream, client, door, nursery)
        finally:
            self._unidentified -= 1

    def _admit(self, stream: TcpStream, link: Link, door: Door, nursery: trio.Nursery) -> None:
        route = door.route
        over = self._gate.enter(_counted(link))
        if over is not None:
            self._turn_away(stream, link, over, door, nursery)
            return
        link = replace(link, upstream=str(route.first(link.client_ip))) if route.several else link
        session = Session(door.policy_for(link.client_ip), session_id=link.session_id, pipeconnect=route.pipeconnect)
        relay = Relay(stream, session, link, self._deadlines, self._hooks)
        self._relays[relay] = route
        if self._announces:
            self._observe(link, link.started, SessionStarted())
        upstream = route.dial_now(link)
        if upstream is not None:
            relay.begin(upstream, nursery, self._dispatcher)
        else:
            nursery.start_soon(relay.serve, partial(route.dial, link), nursery, self._dispatcher)

    def _link(self, accepted: socket.socket, peer: tuple[str, int], door: Door) -> Link:
        via, (host, port) = destination(accepted, door.arrival)
        return Link(
            session_id=next(self._ids),
            started=time.time(),
            client_ip=folded(peer[0]),
            client_port=peer[1],
            local_ip=host,
            local_port=port,
            listener=door.name,
            upstream=door.route.name,
            via=via,
        )

    def _forget(self, relay: Wire) -> None:
        route = self._relays.pop(relay)  # type: ignore[call-overload]  # every Wire here is a Relay
        route.pipeconnect = route.pipeconnect or relay.offers_pipeconnect
        self._gate.leave(_counted(relay.link))

    def _turn_away(self, stream: TcpStream, link: Link, setting: str, door: Door, nursery: trio.Nursery) -> None:
        self._warnings.turned_away(link, setting)
        if self._turned_away >= TURNED_AWAY:
            stream.close()
            return
        self._turned_away += 1
        # The audit that cannot be written is nobody's violation, so no rule is named.
        reply, rule_id = (UNRECORDED, "") if setting == self._gate.shut else (TOO_MANY_SESSIONS, _TOO_MANY.id)
        spoken = reply.spoken(rule_id if door.policy.reply_rule_id else "", link.session_id)
        nursery.start_soon(self._say_no, stream, spoken)

    async def _say_no(self, stream: TcpStream, octets: bytes) -> None:
        try:
            await self._say_last(stream, octets)
        finally:
            self._turned_away -= 1

    async def _say_last(self, stream: TcpStream, octets: bytes) -> None:
        """Say a last word to who gets no session, and see to it that it arrives."""
        seconds, left = LINGER["short"]
        try:
            with trio.move_on_after(seconds):
                await stream.send_all(octets)
                stream.send_eof()
                while left > 0 and (data := await stream.receive_some(65536)):
                    left -= len(data)
        except trio.BrokenResourceError:
            pass
        finally:
            stream.close()

    # --- time ------------------------------------------------------------------------------------------------------

    async def dispatch(self) -> None:
        """Read what clients and UPSTREAM send, for ever."""
        await self._dispatcher.run()

    async def sweep(self) -> None:
        """Look at every session once a second, for ever."""
        while True:
            await trio.sleep(1)
            now = trio.current_time()
            for relay, route in tuple(self._relays.items()):
                route.pipeconnect = route.pipeconnect or relay.offers_pipeconnect
                try:
                    relay.sweep(now)
                except Exception:
                    relay.fail()

    async def drain(self, seconds: float) -> None:
        """End all sessions: at once where CLIENT loses nothing by a 421, the others after `seconds` at the latest."""
        deadline = trio.current_time() + seconds
        # Behind the deadline the last words are on their way: they get the time of a short linger.
        while self._relays and trio.current_time() < deadline + LINGER["short"][0]:
            for relay in tuple(self._relays):
                try:
                    if relay.may_end or trio.current_time() >= deadline:
                        relay.dismiss(SHUTTING_DOWN, Close.SHUTDOWN)
                except Exception:
                    relay.fail()
            await trio.sleep(0.05)
        for relay in tuple(self._relays):
            relay.close()


def _counted(link: Link) -> str:
    """Return whose session it is for the caps; a balancer itself is never limited."""
    return "" if link.via == "local" else link.client_ip


def session_ids() -> Iterator[str]:
    """Give out session ids for ever: 12 characters of base 32, milliseconds first, so that they sort by time.

    Nine characters hold the milliseconds since the epoch, three a counter that begins anywhere: unique over
    restarts, and for 32768 sessions a millisecond.
    """
    known, prefix = -1, ""
    for count in itertools.count(secrets.randbelow(32768)):
        now = time.time_ns() // 1_000_000
        if now != known:
            known, prefix = now, _base32(now, 9)
        yield prefix + _ALPHABET[count >> 10 & 31] + _ALPHABET[count >> 5 & 31] + _ALPHABET[count & 31]


def _base32(number: int, digits: int) -> str:
    return "".join([_ALPHABET[number >> 5 * place & 31] for place in reversed(range(digits))])
