"""One running smtpguard: the rooms wired together, and the tasks that keep them going.

    main nursery      sweeper, resolvers, recorder, the ping of the service manager's watchdog
    session nursery   tasks of sessions, where one is dialled or behind; it outlives the listeners, so that sessions can
                      end in order
    door nursery      acceptors, wardens (the open-relay probe)

SIGTERM and SIGINT close the listeners; sessions end where CLIENT loses nothing, the others within `GRACE`; then
everything recorded is written, and the exit code is 0. SIGUSR1 has log and audit leave their open files for those of
their names.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Final

import trio

from smtpguard import __version__
from smtpguard.config import Config, Loaded, LogLevel, OnFailure, listeners_of
from smtpguard.net import Deadlines, Gate, Server, Unreachable, Upstream, Warnings
from smtpguard.record import LogSettings, Privacy, Recorder, Retention
from smtpguard.service.account import account, become
from smtpguard.service.activation import ActivationError, Inherited, inherited
from smtpguard.service.descriptors import lift
from smtpguard.service.notify import Notifier
from smtpguard.service.places import examine_places, make_places, privacy_key
from smtpguard.service.plan import Planner
from smtpguard.service.startup import (
    Opened,
    StartupError,
    examine_rights,
    only_loopback,
    open_listeners,
    sessions_at_once,
)
from smtpguard.service.warden import Warden
from smtpguard.smtp import Link

GRACE: Final = 10.0
"""Seconds that sessions in a transaction have to end after SIGTERM."""

LAST_STANDARD_STREAM: Final = 2

AUDIT_LOOKED_AT_EVERY: Final = 0.5
"""Seconds between two looks at whether the audit can be written; it is tried once a second while it cannot."""

ON_FAILURE: Final = "audit.on-failure"

SAID_EVERY: Final = 60.0
"""Seconds between two warnings of a kind that a flood of clients could repeat."""


def serve(loaded: Loaded) -> int:
    """Run until a signal ends it, and return the exit code.

    Raises:
        StartupError: it cannot start; nothing was served.
    """
    _fill_standard_streams()
    notifier = Notifier.from_environment()
    try:
        return trio.run(_main, loaded, notifier)
    finally:
        notifier.close()


def _fill_standard_streams() -> None:
    """Open /dev/null for 0, 1 and 2 where they are closed: a socket with such a number would hear a dying
    interpreter's words."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= LAST_STANDARD_STREAM:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


async def _main(loaded: Loaded, notifier: Notifier) -> int:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1) as signals:
        return await _serve(loaded, notifier, signals)


async def _serve(loaded: Loaded, notifier: Notifier, signals: AsyncIterator[int]) -> int:
    config = loaded.config
    descriptors = lift()
    sessions = sessions_at_once(config, descriptors)
    whom = account(config)
    opened = open_listeners(listeners_of(config), _passed())
    try:
        if whom is not None:
            become(whom)
        examine_rights(listeners_of(config))
        examine_places(config)
        make_places(config)
        recorder = _recorder(config)
        try:
            guard = Guard(config, recorder, sessions, notifier)
            if await _unless_stopped(guard.prepare, signals, recorder):
                for warning in _warnings(loaded, opened):
                    recorder.note("warning", warning)
                recorder.note("info", _greeting(loaded, opened, sessions, descriptors))
                await guard.run(opened, signals)
        finally:
            recorder.close()
    finally:
        for one in opened:
            one.socket.close()
    return 0


def _passed() -> tuple[Inherited, ...]:
    try:
        return inherited()
    except ActivationError as error:
        raise StartupError(str(error)) from error


def _recorder(config: Config) -> Recorder:
    log = LogSettings(level=config.log.level.value, format=config.log.format.value, target=str(config.log.target))
    privacy = Privacy(config.privacy.addresses.value, config.privacy.client_ip.value, privacy_key(config))
    try:
        return Recorder(
            log,
            audit_directory=config.audit.directory,
            retention=Retention(config.audit.retention_days, config.audit.retention_size),
            privacy=privacy,
            hostname=socket.gethostname().partition(".")[0],
        )
    except OSError as error:
        raise StartupError(
            f"log.target = {config.log.target}: {error.strerror}; name a file that may be written, or an open stream"
        ) from error


def _warnings(loaded: Loaded, opened: Sequence[Opened]) -> Iterator[str]:
    yield from map(str, loaded.warnings)
    if os.geteuid() == 0 and not only_loopback(address for one in opened for address in one.listener.addresses):
        yield "running as root, which nothing here needs: set user, or let the service manager set the account"


def _greeting(loaded: Loaded, opened: Sequence[Opened], sessions: int, descriptors: int) -> str:
    """Say what was started, a key=value for each thing that an operator would ask first."""
    listeners = listeners_of(loaded.config)
    upstreams = dict.fromkeys(str(upstream) for listener in listeners for upstream in listener.upstreams)
    modes = dict.fromkeys(listener.policy.mode.value for listener in listeners)
    profiles = dict.fromkeys(listener.policy.profile.value for listener in listeners)
    tls = dict.fromkeys(listener.tls.mode.value for listener in listeners)
    said = {
        "listen": dict.fromkeys(str(address) for one in listeners for address in one.addresses),
        "upstream": upstreams,
        "mode": modes,
        "profile": profiles,
        "tls": tls,
        "sessions": [str(sessions)],
        "descriptors": [str(descriptors)],
        "config": [str(file) for file in loaded.files] or ["none"],
        "uid": [str(os.geteuid())],
    }
    fields = " ".join(f"{key}={','.join(values)}" for key, values in said.items())
    return f"smtpguard {__version__} started: {fields}"


async def _told_to_stop(signals: AsyncIterator[int], recorder: Recorder) -> None:
    """Wait for a signal that ends it, and do meanwhile what the others ask for."""
    while await anext(signals) == signal.SIGUSR1:
        recorder.note("info", "SIGUSR1: log and audit are opened afresh")
        recorder.renew()


async def _unless_stopped(work: Callable[[], Awaitable[None]], signals: AsyncIterator[int], recorder: Recorder) -> bool:
    """Do something to its end, or until a signal that ends it; tell which."""
    done = False
    refusal: StartupError | None = None

    async def stop() -> None:
        await _told_to_stop(signals, recorder)
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

    def __init__(self, config: Config, recorder: Recorder, sessions: int, notifier: Notifier | None = None) -> None:
        self._config = config
        self._recorder = recorder
        self._notifier = notifier or Notifier()
        self._plan = Planner(config, self._turned).plan()
        self._wardens = [Warden(way, recorder) for way in self._plan.ways if way.upstream.guarded]
        self._gate = Gate(sessions, config.limits.sessions_per_client)
        self._mind_the_audit()
        self._server = Server(
            Deadlines(**config.timeouts.model_dump(exclude={"connect"})),
            self._gate,
            observe=recorder.observe,
            bug=self._bug,
            warnings=Warnings(
                exhausted=self._exhausted, turned_away=self._turned_away, unidentified=self._unidentified
            ),
            announces=config.log.level is LogLevel.DEBUG,
        )
        self._said: dict[str, float] = {}

    async def prepare(self) -> None:
        """Resolve the names of all UPSTREAMs, and probe those that strangers can reach through us.

        Raises:
            StartupError: one of them would relay for strangers.
        """
        for listener in listeners_of(self._config):
            if listener.identity.i_know_this_is_an_open_relay:
                told = f"listener {listener.name}: i-know-this-is-an-open-relay is set: its upstream is not probed"
                self._recorder.note("warning", told)
        async with trio.open_nursery() as nursery:
            for way in self._plan.ways:
                nursery.start_soon(self._resolve, way.upstream)
        for warden in self._wardens:
            await warden.examine()

    async def _resolve(self, upstream: Upstream) -> None:
        seconds = self._config.timeouts.connect
        reason = f"no answer to the look-up of its name within {seconds:g} s"
        try:
            with trio.move_on_after(seconds):
                await upstream.resolve()
                return
        except Unreachable as error:
            reason = error.reason
        self._recorder.note("warning", f"upstream {upstream}: {reason}; clients hear 421 until this is mended")

    async def run(self, opened: Sequence[Opened], signals: AsyncIterator[int]) -> None:
        """Serve until a signal."""
        async with trio.open_nursery() as keepers:
            keepers.start_soon(self._recorder.run)
            for way in self._plan.ways:
                keepers.start_soon(way.upstream.keep_resolved)
            for route in self._plan.routes:
                if route.several:
                    keepers.start_soon(route.health.watch)
            keepers.start_soon(self._server.dispatch)
            keepers.start_soon(self._server.sweep)
            keepers.start_soon(self._ping)
            if self._config.audit.on_failure is OnFailure.REFUSE:
                keepers.start_soon(self._watch_the_audit)
            async with trio.open_nursery() as sessions:
                async with trio.open_nursery() as doors:
                    for one in opened:
                        doors.start_soon(self._server.accept, one.socket, self._plan.doors[one.listener.name], sessions)
                    for warden in self._wardens:
                        doors.start_soon(warden.keep_watch)
                    self._notifier.ready(f"serving {', '.join(self._plan.doors)}")
                    await _told_to_stop(signals, self._recorder)
                    doors.cancel_scope.cancel()
                stopping = f"stopping: {len(self._server)} sessions open"
                self._notifier.stopping(stopping)
                self._recorder.note("info", stopping)
                for one in opened:
                    one.socket.close()
                await self._server.drain(GRACE)
                sessions.cancel_scope.cancel()
            keepers.cancel_scope.cancel()
        self._recorder.note("info", "stopped")

    async def _watch_the_audit(self) -> None:
        while True:
            await trio.sleep(AUDIT_LOOKED_AT_EVERY)
            self._mind_the_audit()

    def _mind_the_audit(self) -> None:
        """Let nobody in while what would happen could not be recorded, if that is wanted."""
        failing = self._recorder.audit_failing
        if self._config.audit.on_failure is not OnFailure.REFUSE or bool(failing) == bool(self._gate.shut):
            return
        self._gate.shut = ON_FAILURE if failing else ""
        if failing:
            self._recorder.note("warning", f"audit: {failing}; new clients hear 421 until it can be written")
        else:
            self._recorder.note("info", "audit: it can be written again, new clients are let in")

    async def _ping(self) -> None:
        """Tell the service manager's watchdog that this loop turns."""
        pause = self._notifier.watchdog
        while pause is not None:
            self._notifier.alive()
            await trio.sleep(pause)

    # --- what the network room tells -------------------------------------------------------------------------------

    def _bug(self, link: Link) -> None:
        error = sys.exception()
        if error is not None:
            self._recorder.bug(f"session {link.session_id}", error)

    def _exhausted(self, error: OSError) -> None:
        self._warn_seldom("accept", f"accept: {error.strerror}; accepting pauses until descriptors are free")

    def _turned_away(self, link: Link, setting: str) -> None:
        why = "the audit cannot be written [" if setting == ON_FAILURE else f"{setting} reached [SG606 "
        self._warn_seldom(setting, f"client {link.client_ip} heard 421: {why}{link.session_id}]")

    def _unidentified(self, link: Link, reason: str) -> None:
        told = f"peer {link.client_ip} of identity.accept-proxy-from: {reason}; it heard 421 [{link.session_id}]"
        self._warn_seldom(f"{link.client_ip} {reason}", told)

    def _turned(self, upstream: Upstream, up: bool, reason: str) -> None:
        if up:
            self._recorder.note("info", f"upstream {upstream} is up again")
        else:
            self._recorder.note("warning", f"upstream {upstream} is down: {reason}; sessions go to the others")

    def _warn_seldom(self, kind: str, text: str) -> None:
        now = time.monotonic()
        if now - self._said.get(kind, -SAID_EVERY) >= SAID_EVERY:
            self._said[kind] = now
            self._recorder.note("warning", text)
