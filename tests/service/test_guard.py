"""One whole guard in this process: listeners on loopback, a scripted upstream, a signal by hand, virtual time."""

import contextlib
import json
import shutil
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smtpguard.config import (
    Address,
    AuditSettings,
    Config,
    IdentitySettings,
    LimitSettings,
    OnFailure,
    listeners_of,
)
from smtpguard.record import LogSettings, Recorder
from smtpguard.service import StartupError
from smtpguard.service.guard import Guard, _unless_stopped
from smtpguard.service.startup import open_listeners
from smtpguard.service.warden import DISTRUST
from smtpguard.smtp import Session
from tests.against.deadline import free_port
from tests.net.loopback import Client
from tests.service.mx import REFUSES, RELAYS, Mx


class Running:
    """A guard that runs, and what it wrote."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        self.port = config.listen[0].port
        self._log = folder / "log"
        self._audit = folder / "audit"
        self.recorder = Recorder(LogSettings(target=str(self._log)), audit_directory=self._audit, hostname="mx1")
        self.guard = Guard(config, self.recorder, 100)
        self._signal, self.signals = trio.open_memory_channel[int](1)

    def stop(self) -> None:
        """Stand in for SIGTERM; may be said again."""
        self.send(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """Stand in for any signal."""
        with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError):
            self._signal.send_nowait(number)

    async def greeting(self) -> bytes:
        """Return what a new client hears first; it goes in peace."""
        client = await Client.dial(self.port)
        line = await client.line()
        if line.startswith(b"220"):
            await client.say(b"QUIT")
            await client.hears(b"221")
        await client.hears(b"")
        client.close()
        return line

    def log(self) -> str:
        """Return the operator's log, once it is closed."""
        return self._log.read_text("ascii")

    def events(self) -> list[dict[str, object]]:
        """Return the audit events, once it is closed."""
        segments = sorted(self._audit.rglob("*.jsonl"))
        return [json.loads(line) for segment in segments for line in segment.read_text().splitlines()]


def _config(mx: Mx, host: str = "127.0.0.1", **settings: object) -> Config:
    return Config(listen=(Address(host, free_port()),), upstream=(Address("127.0.0.1", mx.port),), **settings)  # type: ignore[arg-type]


@asynccontextmanager
async def running(config: Config, folder: Path) -> AsyncIterator[Running]:
    """Start a guard, and stop it at the end if the test has not."""
    one = Running(config, folder)
    listeners = open_listeners(listeners_of(config))
    try:
        await one.guard.prepare()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.guard.run, listeners, one.signals)
            yield one
            one.stop()
    finally:
        for opened in listeners:
            opened.socket.close()
        one.recorder.close()


async def test_a_session_and_a_signal(jumping_clock: MockClock, tmp_path: Path) -> None:
    """A message goes through; the signal ends the idle client with 421 and the guard; everything is written."""
    async with Mx().listening() as mx, running(_config(mx), tmp_path) as one:
        client = await Client.dial(one.port)
        await client.hears(b"220")
        for line in (b"EHLO c", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>"):
            await client.say(line)
            await client.hears(b"250")
        await client.say(b"DATA")
        await client.hears(b"354")
        await client.say(b"text", b".")
        await client.hears(b"250 queued")
        await client.say(b"RCPT TO:<e@f>")
        await client.hears(b"503 5.5.1")
        one.stop()
        await client.hears(b"421 4.3.2", b"")
        client.close()
    assert mx.lines[:4] == [b"EHLO c", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>", b"DATA"]
    assert b"RCPT TO:<e@f>" not in mx.lines
    assert "rule=SG102" in one.log()
    assert "stopping: 1 sessions open" in one.log()
    assert one.log().splitlines()[-1].endswith("stopped")
    assert len(one.events()) == 2  # the finding and the end of the session


async def test_a_loopback_listener_is_not_probed(jumping_clock: MockClock, tmp_path: Path) -> None:
    """Nobody but this machine can reach it, so an upstream that trusts this machine is right."""
    async with Mx(RELAYS).listening() as mx, running(_config(mx), tmp_path) as one:
        assert (await one.greeting()).startswith(b"220")
    assert [line for line in mx.lines if line] == [b"QUIT"]


async def test_an_open_relay_is_not_started(tmp_path: Path) -> None:
    """A non-loopback listener before an upstream that would relay for us: refused, exit code 78, with the cure."""
    async with Mx(RELAYS).listening() as mx:
        one = Running(_config(mx, "0.0.0.0"), tmp_path)
        with pytest.raises(StartupError) as raised:
            await one.guard.prepare()
        one.recorder.close()
    assert raised.value.exit_code == 78
    assert "identity.i-know-this-is-an-open-relay" in str(raised.value)


async def test_who_knows_what_it_is_is_served(jumping_clock: MockClock, tmp_path: Path) -> None:
    """With the setting it starts, unprobed, and the log says so."""
    identity = IdentitySettings(i_know_this_is_an_open_relay=True)
    async with Mx(RELAYS).listening() as mx, running(_config(mx, "0.0.0.0", identity=identity), tmp_path) as one:
        assert (await one.greeting()).startswith(b"220")
    assert [line for line in mx.lines if line] == [b"QUIT"]
    assert "i-know-this-is-an-open-relay" in one.log()


async def test_probed_and_served(jumping_clock: MockClock, tmp_path: Path) -> None:
    """An upstream that refuses strangers is asked before the first client, and serves."""
    async with Mx(REFUSES).listening() as mx, running(_config(mx, "0.0.0.0"), tmp_path) as one:
        asked = len(mx.lines)
        assert b"QUIT" in mx.lines
        assert (await one.greeting()).startswith(b"220")
        assert [line for line in mx.lines[asked:] if line] == [b"QUIT"]


async def test_what_the_operator_hears(
    jumping_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients over a cap are said once a minute, not once each; a bug is said with session and stack."""

    def raise_planted(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    async with Mx().listening() as mx:
        config = _config(mx, limits=LimitSettings(sessions_per_client=1))
        async with running(config, tmp_path) as one:
            client = await Client.dial(one.port)
            await client.hears(b"220")
            for _ in range(3):
                assert (await one.greeting()).startswith(b"421 4.7.0")
            monkeypatch.setattr(Session, "receive", raise_planted)
            await client.say(b"NOOP")
            await client.hears(b"421 4.3.0", b"")
            client.close()
    assert one.log().count("limits.sessions-per-client reached") == 1
    assert one.log().count("internal error") == 1
    assert "error: RuntimeError at" in one.log()
    assert "in raise_planted" in one.log()


@pytest.mark.parametrize(("choice", "heard"), [(OnFailure.REFUSE, b"421 4.3.0"), (OnFailure.CONTINUE, b"220")])
async def test_an_audit_that_cannot_be_written(
    jumping_clock: MockClock, tmp_path: Path, choice: OnFailure, heard: bytes
) -> None:
    """With `refuse` new clients hear 421 while an event could not be written, with `continue` they are served; who is
    in goes on either way; and when it can be written again everybody is let in, though no event came meanwhile."""
    audit = AuditSettings(directory=tmp_path / "audit", on_failure=choice)
    async with Mx().listening() as mx, running(_config(mx, audit=audit), tmp_path) as one:
        first = await Client.dial(one.port)
        await first.hears(b"220")
        shutil.rmtree(tmp_path / "audit")
        (tmp_path / "audit").write_text("in the way")
        second = await Client.dial(one.port)
        await second.hears(b"220")
        await second.say(b"RCPT TO:<a@b>")
        await second.hears(b"503")
        await _until(lambda: one.recorder.audit_failing != "")
        await trio.sleep(1)
        for _ in range(2):
            assert (await one.greeting()).startswith(heard)
        await first.say(b"EHLO c")
        await first.hears(b"250")
        (tmp_path / "audit").unlink()
        await _until(lambda: one.recorder.audit_failing == "")
        await trio.sleep(1)
        assert (await one.greeting()).startswith(b"220")
        first.close()
        second.close()
    refused = choice is OnFailure.REFUSE
    assert ("audit: File exists; new clients hear 421 until it can be written" in one.log()) is refused
    assert one.log().count("client 127.0.0.1 heard 421: the audit cannot be written [") == refused
    assert one.log().count("audit: it can be written again, new clients are let in") == refused
    assert "audit lines dropped: File exists" in one.log()


async def test_an_audit_that_cannot_be_written_at_the_start(jumping_clock: MockClock, tmp_path: Path) -> None:
    """The very first client is turned away already."""
    (tmp_path / "audit").write_text("in the way")
    audit = AuditSettings(directory=tmp_path / "audit", on_failure=OnFailure.REFUSE)
    async with Mx().listening() as mx, running(_config(mx, audit=audit), tmp_path) as one:
        assert (await one.greeting()).startswith(b"421 4.3.0")


async def test_signals_that_do_not_end_it(jumping_clock: MockClock, tmp_path: Path) -> None:
    """SIGUSR1, as often as it comes, has it leave its files, and it goes on."""
    async with Mx().listening() as mx, running(_config(mx), tmp_path) as one:
        await _until((tmp_path / "log").exists)
        for _ in range(2):
            (tmp_path / "log").unlink()
            one.send(signal.SIGUSR1)
            await _until((tmp_path / "log").exists)
        assert (await one.greeting()).startswith(b"220")
    assert one.log().splitlines()[-1].endswith("stopped")


async def test_a_signal_that_does_not_end_the_start(tmp_path: Path) -> None:
    """SIGUSR1 while the upstream is asked: the files are opened afresh when it runs, and the asking goes on."""
    recorder = Recorder(LogSettings(target=str(tmp_path / "log")))
    send, signals = trio.open_memory_channel[int](2)
    send.send_nowait(signal.SIGUSR1)
    assert await _unless_stopped(wait_all_tasks_blocked, signals, recorder)
    send.send_nowait(signal.SIGUSR1)
    send.send_nowait(signal.SIGTERM)
    assert not await _unless_stopped(trio.sleep_forever, signals, recorder)
    recorder.close()
    assert (tmp_path / "log").read_text().count("SIGUSR1: log and audit are opened afresh") == 2


async def _until(done: Callable[[], bool]) -> None:
    """Let virtual time pass, and threads work, until something is so."""
    while not done():
        await trio.to_thread.run_sync(threading.Event().wait, 0.001)
        await trio.sleep(0.1)


async def test_who_is_no_client(jumping_clock: MockClock, tmp_path: Path) -> None:
    """A peer that has to send a PROXY header and does not is named in one line, with what it did instead."""
    identity = IdentitySettings(accept_proxy_from=(ip_network("127.0.0.0/8"),), i_know_this_is_an_open_relay=True)
    async with Mx().listening() as mx, running(_config(mx, identity=identity), tmp_path) as one:
        for _ in range(3):
            client = await Client.dial(one.port)
            await client.say(b"EHLO c")
            await client.hears(b"421 4.3.0", b"")
            client.close()
    (line,) = [line for line in one.log().splitlines() if "accept-proxy-from" in line]
    assert "warning: peer 127.0.0.1 of identity.accept-proxy-from: no PROXY header; it heard 421" in line


async def test_upstreams_that_go_and_come(jumping_clock: MockClock, tmp_path: Path) -> None:
    """The log says when one of several is down, and when it is up again; clients go to the other meanwhile."""
    first, second = await _down(tmp_path), Mx()
    async with second.listening():
        both = (Address("127.0.0.1", first.port), Address("127.0.0.1", second.port))
        config = _config(second).model_copy(update={"upstream": both})
        async with running(config, tmp_path) as one:
            for _ in range(3):
                assert (await one.greeting()).startswith(b"220")
            async with first.listening():
                await trio.sleep(12)
                assert (await one.greeting()).startswith(b"220")
                one.stop()
                await trio.sleep(15)
    log = one.log()
    assert f"warning: upstream {both[0]} is down: Connection refused; sessions go to the others" in log
    assert f"upstream {both[0]} is up again" in log
    assert log.count("is down") == log.count("is up again") == 1


async def _down(tmp_path: Path) -> Mx:
    """An upstream that has a port and is not up."""
    mx = Mx(REFUSES)
    async with mx.listening():
        pass
    return mx


async def test_upstream_down_at_the_start(jumping_clock: MockClock, tmp_path: Path) -> None:
    """It listens and answers 421 with the session id, is served once the probe has passed, and not before."""
    mx = await _down(tmp_path)
    async with running(_config(mx, "0.0.0.0"), tmp_path) as one:
        assert (await one.greeting()).startswith(b"421 4.3.2 ")
        async with mx.listening():
            # It is up, but nobody has asked it yet.
            assert (await one.greeting()).startswith(b"421 4.3.2 ")
            await trio.sleep(5)
            assert any(line.startswith(b"RCPT TO:<smtpguard-probe@") for line in mx.lines)
            assert (await one.greeting()).startswith(b"220")
            one.stop()
            await trio.sleep(15)


async def test_a_loopback_listener_with_upstream_down(jumping_clock: MockClock, tmp_path: Path) -> None:
    """421 while it is down, served from the moment it is up."""
    mx = await _down(tmp_path)
    async with running(_config(mx), tmp_path) as one:
        assert (await one.greeting()).startswith(b"421 4.3.2 ")
        async with mx.listening():
            assert (await one.greeting()).startswith(b"220")
            one.stop()
            await trio.sleep(15)


async def test_upstream_comes_back_trusting(jumping_clock: MockClock, tmp_path: Path) -> None:
    """Restarted with another configuration it gets no stranger: 421 and an error line, until it is mended."""
    mx = Mx(REFUSES)
    async with mx.listening():
        config = _config(mx, "0.0.0.0")
        one = Running(config, tmp_path)
        listeners = open_listeners(listeners_of(config))
        await one.guard.prepare()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.guard.run, listeners, one.signals)
        assert (await one.greeting()).startswith(b"421")
        mx.script = RELAYS
        async with mx.listening():
            # Between its return and the probe, and behind the probe: no stranger gets through.
            for pause in (0, 5, 5):
                await trio.sleep(pause)
                assert (await one.greeting()).startswith(b"421")
            mx.script = REFUSES
            await trio.sleep(DISTRUST + 2)
            assert (await one.greeting()).startswith(b"220")
            one.stop()
            await trio.sleep(15)
    one.recorder.close()
    errors = [line for line in one.log().splitlines() if "relays mail of strangers" in line]
    assert len(errors) == 1
    assert "error" in errors[0]
    assert one.log().count("refuses to relay for strangers") == 1


async def test_a_name_that_does_not_resolve_at_the_start(
    jumping_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts, says so, answers 421, and serves when the resolver answers; it asks again by itself."""
    original, known = socket.getaddrinfo, False

    async with Mx().listening() as mx:

        def look_up(host: str, *rest: object, **named: object) -> object:
            if host != "mx.test":
                return original(host, *rest, **named)  # type: ignore[arg-type]
            if not known:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", mx.port))]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        config = _config(mx).model_copy(update={"upstream": (Address("mx.test", mx.port),)})
        async with running(config, tmp_path) as one:
            assert (await one.greeting()).startswith(b"421 4.3.2 ")
            known = True
            await trio.sleep(65)
            assert (await one.greeting()).startswith(b"220")
    assert "cannot resolve mx.test" in one.log()


async def test_a_resolver_that_hangs_at_the_start(
    jumping_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start does not wait for ever: clients hear 421 within the connect deadline."""
    original, released = socket.getaddrinfo, threading.Event()

    def look_up(host: str, *rest: object, **named: object) -> object:
        if host != "mx.test":
            return original(host, *rest, **named)  # type: ignore[arg-type]
        released.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    mx = await _down(tmp_path)
    config = _config(mx).model_copy(update={"upstream": (Address("mx.test", mx.port),)})
    one = Running(config, tmp_path)
    try:
        with trio.move_on_after(60) as patience:
            await one.guard.prepare()
        assert not patience.cancelled_caught
        one.recorder.flush_now()
        assert "no answer to the look-up of its name within 10 s" in one.log()
    finally:
        released.set()
        one.recorder.close()
