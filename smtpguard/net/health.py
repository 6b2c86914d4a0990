"""Which UPSTREAMs can be reached, told from real traffic and from probes, with hysteresis.

One that could not be had `DOWN_AFTER` times in a row is down: it is dialled last. From then on it is probed (greeting,
QUIT) until it was well `UP_AFTER` times in a row. A single stumble changes nothing, and one that flickers gets no
traffic.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from smtpguard.net.dialogue import Dialogue
from smtpguard.net.upstream import Unreachable, Upstream
from smtpguard.smtp import MalformedReply

DOWN_AFTER: Final = 2
UP_AFTER: Final = 2

PAUSE: Final = 5.0
"""Seconds between two probes of an UPSTREAM that is down."""

DEADLINE: Final = 30.0
"""Seconds of one probe."""

Told = Callable[[Upstream, bool, str], None]
"""Hears that an UPSTREAM is up (True) or down, and why."""


@dataclass(slots=True)
class _Record:
    failures: int = 0
    passes: int = 0
    down: bool = False


class Health:
    """The state of the UPSTREAMs of a route.

    Args:
        upstreams: all of them.
        preface: what a probe sends before anything else: a PROXY header for a connection of our own, or nothing.
        told: see `Told`.
    """

    def __init__(self, upstreams: Sequence[Upstream], *, preface: bytes = b"", told: Told | None = None) -> None:
        self._records = {upstream: _Record() for upstream in upstreams}
        self._preface = preface
        self._told = told
        self.any_down = False
        """Look no further where this is False."""

    def is_down(self, upstream: Upstream) -> bool:
        """Tell whether it is to be dialled last."""
        return self._records[upstream].down

    def failed(self, upstream: Upstream, reason: str) -> None:
        """Count a dial or a probe that came to nothing."""
        record = self._records[upstream]
        record.failures += 1
        record.passes = 0
        if record.failures >= DOWN_AFTER and not record.down:
            self._turn(upstream, down=True, reason=reason)

    def passed(self, upstream: Upstream) -> None:
        """Count a dial that stood, or a probe that was answered."""
        record = self._records[upstream]
        record.failures = 0
        record.passes += 1
        if record.down and record.passes >= UP_AFTER:
            self._turn(upstream, down=False, reason="")

    def _turn(self, upstream: Upstream, *, down: bool, reason: str) -> None:
        self._records[upstream].down = down
        self.any_down = any(record.down for record in self._records.values())
        if self._told is not None:
            self._told(upstream, not down, reason)

    async def watch(self) -> None:
        """Probe those that are down, for ever."""
        while True:
            await trio.sleep(PAUSE)
            for upstream, record in self._records.items():
                if record.down:
                    await self._probe(upstream)

    async def _probe(self, upstream: Upstream) -> None:
        try:
            with trio.fail_after(DEADLINE):
                await _greeted(upstream, self._preface)
        except Unreachable as error:
            self.failed(upstream, error.reason)
        except trio.TooSlowError:
            self.failed(upstream, f"no greeting within {DEADLINE:g} s")
        except (trio.BrokenResourceError, MalformedReply) as error:
            self.failed(upstream, str(error))
        else:
            self.passed(upstream)


async def _greeted(upstream: Upstream, preface: bytes) -> None:
    """Hear the greeting and go.

    Raises:
        Unreachable: it is not 220.
    """
    stream = await upstream.connect()
    with contextlib.closing(stream):
        await stream.send_all(preface)
        dialogue = Dialogue(stream)
        greeting = await dialogue.reply()
        if greeting.code != 220:
            raise Unreachable(f"it greets with {greeting.code}")
        await dialogue.say(b"QUIT")
