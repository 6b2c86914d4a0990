"""One running smtpguard: the rooms wired together, and the tasks that keep them going.

    main nursery      acceptors, sweeper, resolver, warden (the open-relay probe), signals
    session nursery   two tasks a session; it outlives the listeners, so that sessions can end in order

SIGTERM and SIGINT close the listeners; sessions end where CLIENT loses nothing, the others within `GRACE`; then
everything recorded is written, and the exit code is 0.
"""

import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import trio

from smtpguard import __version__
from smtpguard.config import Config, LogLevel
from smtpguard.net import Deadlines, Gate, Server, Unreachable, Upstream, Warnings
from smtpguard.record import LogSettings, Recorder
from smtpguard.service.descriptors import lift
from smtpguard.service.probe import Trust, probe
from smtpguard.service.startup import StartupError, only_loopback, open_listeners, open_relay, sessions_at_once
from smtpguard.smtp import Link

GRACE: Final = 10.0
"""Seconds that sessions in a transaction have to end after SIGTERM."""

RETRY: Final = 2.0
"""Seconds between two probes of an UPSTREAM that is down."""

DISTRUST: Final = 60.0
"""Seconds between two probes of an UPSTREAM that came back trusting strangers."""

SAID_EVERY: Final = 60.0
"""Seconds between two warnings of a kind that a flood of clients could repeat."""


def serve(config: Config) -> int:
    """Run until a signal ends it, and return the exit code.

    Raises:
        StartupError: it cannot start; nothing was served.
    """
    return trio.run(_main, config)


async def _main(config: Config) -> int:
    descriptors = lift()
    sessions = sessions_at_once(config, descriptors)
    listeners = open_listeners(config.listen)
    try:
        recorder = _recorder(config)
        try:
            guard = Guard(config, recorder, sessions)
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                if await _unless_stopped(guard.prepare, signals):
                    recorder.note("info", _greeting(config, sessions, descriptors))
                    await guard.run(listeners, signals)
        finally:
            recorder.close()
    finally:
        for listener, _ in listeners:
            listener.close()
    return 0


def _recorder(config: Config) -> Recorder:
    log = LogSettings(level=config.log.level.value, format=config.log.format.value, target=str(config.log.target))
    try:
        return Recorder(log, audit_directory=config.audit.directory, hostname=socket.gethostname().partition(".")[0])
    except OSError as error:
        raise StartupError(
            f"log.target = {config.log.target}: {error.strerror}; name a file in a directory that exists and may be "
            "written, or stdout"
        ) from error


def _greeting(config: Config, sessions: int, descriptors: int) -> str:
    listening = ",".join(str(address) for address in config.listen)
    return (
        f"smtpguard {__version__} started: listen={listening} upstream={config.upstream} "
        f"mode={config.policy.mode.value} profile={config.policy.profile.value} tls={config.tls.mode.value} "
        f"sessions={sessions} descriptors={descriptors}"
    )


async def _unless_stopped(work: Callable[[], Awaitable[None]], signals: AsyncIterator[int]) -> bool:
    """Do something to its end, or until a signal; tell which."""
    done = False
    refusal: StartupError | None = None

    async def stop() -> None:
        await anext(signals)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        try:
            await work()
            done = True
        except StartupError as error:
            # Raised behind the nursery, which would wrap it in a group.
            refusal = error
        nursery.cancel_scope.cancel()
    if refusal is not None:
        raise refusal
    return done


class Guard:
    """The rooms of one process."""

    def __init__(self, config: Config, recorder: Recorder, sessions: int) -> None:
        self._config = config
        self._recorder = recorder
        timeouts = config.timeouts
        self._upstream = Upstream(
            config.upstream.host,
            config.upstream.port,
            connect_deadline=timeouts.connect,
            guarded=not (only_loopback(config.listen) or config.identity.i_know_this_is_an_open_relay),
        )
        deadlines = timeouts.model_dump(exclude={"connect"})
        self._server = Server(
            self._upstream,
            config.session_policy(),
            Deadlines(**deadlines),
            Gate(sessions, config.limits.sessions_per_client),
            observe=recorder.observe,
            bug=self._bug,
            warnings=Warnings(exhausted=self._exhausted, turned_away=self._turned_away),
            announces=config.log.level is LogLevel.DEBUG,
        )
        self._said: dict[str, float] = {}

    async def prepare(self) -> None:
        """Resolve UPSTREAM's name, and probe it where strangers can reach us.

        Raises:
            StartupError: UPSTREAM would relay for strangers.
        """
        try:
            with trio.move_on_after(self._config.timeouts.connect):
                await self._upstream.resolve()
        except Unreachable as error:
            self._recorder.note("warning", f"upstream: {error.reason}; clients hear 421 until this is mended")
        if self._config.identity.i_know_this_is_an_open_relay:
            self._recorder.note("warning", "identity.i-know-this-is-an-open-relay is set: the upstream is not probed")
        if not self._upstream.guarded:
            return
        try:
            trust = await probe(self._upstream.connect)
        except Unreachable as error:
            self._recorder.note("warning", f"upstream: {error.reason}; clients hear 421 until it answers the probe")
            return
        if trust is Trust.RELAYS:
            raise open_relay(self._config)
        self._upstream.admitted = True

    async def run(self, listeners: list[tuple[socket.socket, str]], signals: AsyncIterator[int]) -> None:
        """Serve until a signal."""
        async with trio.open_nursery() as keepers:
            keepers.start_soon(self._recorder.run)
            keepers.start_soon(self._upstream.keep_resolved)
            keepers.start_soon(self._server.dispatch)
            keepers.start_soon(self._server.sweep)
            async with trio.open_nursery() as sessions:
                async with trio.open_nursery() as doors:
                    for listener, name in listeners:
                        doors.start_soon(self._server.accept, listener, name, sessions)
                    if self._upstream.guarded:
                        doors.start_soon(self._keep_watch)
                    await anext(signals)
                    doors.cancel_scope.cancel()
                self._recorder.note("info", f"stopping: {len(self._server)} sessions open")
                for listener, _ in listeners:
                    listener.close()
                await self._server.drain(GRACE)
                sessions.cancel_scope.cancel()
            keepers.cancel_scope.cancel()
        self._recorder.note("info", "stopped")

    async def _keep_watch(self) -> None:
        """Probe UPSTREAM when it is down or came back: it may have been given another configuration."""
        upstream, pause = self._upstream, RETRY
        while True:
            await trio.sleep(pause)
            pause = RETRY
            if upstream.admitted:
                continue
            try:
                trust = await probe(upstream.connect)
            except Unreachable:
                continue
            if trust is Trust.RELAYS:
                self._recorder.note("error", f"{open_relay(self._config)}".partition("\n")[0])
                pause = DISTRUST
            else:
                upstream.admitted = True
                self._recorder.note("info", f"upstream {upstream} answers and refuses to relay for strangers")

    # --- what the network room tells -------------------------------------------------------------------------------

    def _bug(self, link: Link) -> None:
        error = sys.exception()
        if error is not None:
            self._recorder.bug(f"session {link.session_id}", error)

    def _exhausted(self, error: OSError) -> None:
        self._warn_seldom("accept", f"accept: {error.strerror}; accepting pauses until descriptors are free")

    def _turned_away(self, link: Link, setting: str) -> None:
        self._warn_seldom(setting, f"client {link.client_ip} heard 421: {setting} reached [SG606 {link.session_id}]")

    def _warn_seldom(self, kind: str, text: str) -> None:
        now = time.monotonic()
        if now - self._said.get(kind, -SAID_EVERY) >= SAID_EVERY:
            self._said[kind] = now
            self._recorder.note("warning", text)
