"""One task that waits for all sockets of a worker, and calls whoever reads the one that is ready.

A command that passes costs a task of its own more for trio's wait and the switch than for everything that is done
with it: with two tasks a session costs 2.2 times HAProxy before it inspects anything, with one dispatcher 1.6 times
(measured, bare relays), and an idle session 1 KiB instead of 7. So a session's sockets are registered here once,
level-triggered, and its handlers run as plain calls. Nothing of flow control is done here: the moment a peer is
behind, or CLIENT's held input is full, the relay takes its sockets away and goes on with two tasks and the streams'
own waits.

Three things keep one session's octets out of another's. A registration belongs to the stream that owns the socket
and ends when that is closed, once, so nobody can forget a number that means another socket by now. A handler is
looked up when its event is handled, so a socket that was closed earlier in the batch has none. And no socket is
registered while a batch is handled, so a descriptor number that was freed in it cannot mean another session before
the next one.
"""

import select
from collections.abc import Callable
from typing import Final

import trio

BATCH: Final = 32
"""Sockets handled between two looks at what is ready."""

ROUNDS: Final = 8
"""Looks before the other tasks get their turn, some 10 ms at most: a look costs a tenth of a turn of trio's loop."""

LOOK: Final = 0.001
"""Seconds that a look may wait. A peer on a fast network answers within that, and is heard without a turn of trio's
loop."""


class Dispatcher:
    """The ready sockets of one worker."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._handling = False
        self._stopped = False
        self.elsewhere = 0
        """Sessions that tasks read. While there are any no look waits: what they wait for is trio's to see."""

    def __len__(self) -> int:
        return len(self._handlers)

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Call `handler` whenever the socket is readable, until `forget`; it must not raise, and must read or
        forget."""
        assert not self._handling, "a descriptor registered in a batch could be one that the batch has freed"
        self._epoll.register(descriptor, select.EPOLLIN)
        self._handlers[descriptor] = handler

    def forget(self, descriptor: int) -> None:
        """Call no more; to be said once, before the socket is closed."""
        del self._handlers[descriptor]
        if not self._epoll.closed:
            self._epoll.unregister(descriptor)

    def yield_to(self, descriptor: int) -> None:
        """Give the other tasks their turn as soon as this socket is readable, until `forget`: one of them waits for
        it."""
        self.watch(descriptor, self._stop_looking)

    def _stop_looking(self) -> None:
        self._stopped = True

    async def run(self) -> None:
        """Wait and call, for ever."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self._stopped = False
                for _ in range(ROUNDS):
                    ready = self._epoll.poll(0 if self.elsewhere else LOOK, BATCH)
                    self._handle(ready)
                    if self._stopped or not ready:
                        break
        finally:
            self._epoll.close()

    def _handle(self, ready: list[tuple[int, int]]) -> None:
        self._handling = True
        try:
            for descriptor, _ in ready:
                handler = self._handlers.get(descriptor)
                if handler is not None:
                    handler()
        finally:
            self._handling = False
