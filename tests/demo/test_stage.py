"""The stage: ports, folders, servers that do not answer, and a guard that goes."""

import os
import signal
import socket
from pathlib import Path

import pytest
import trio

from smtpguard.config import Address
from smtpguard.demo import stage
from smtpguard.demo.course import run
from smtpguard.demo.errors import DemoError
from smtpguard.demo.guard import Guard, free_address
from smtpguard.demo.sessions import OURS, sessions
from smtpguard.demo.stage import LISTEN, Options, staged
from tests.against.deadline import free_port


def refusal(options: Options) -> DemoError:
    """Return why a demo with these options is not given."""

    async def demo() -> None:
        async with staged(options):
            raise AssertionError("the stage was set")

    with pytest.raises(DemoError) as raised:
        run(demo)
    return raised.value


def test_a_port_that_is_taken() -> None:
    """The favourite is left for a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_address("127.0.0.1", port).port not in (0, port)
    assert free_address("127.0.0.1", port) == Address("127.0.0.1", port)


async def test_a_demo_beside_another() -> None:
    """Two at once: the second one says that it has moved, and works."""
    async with staged(Options()) as first, staged(Options()) as second:
        assert second.moved
        assert second.guard.listen != first.guard.listen
        assert first.guard.listen.host == second.guard.listen.host == LISTEN.host
        (shown,) = await second.play(sessions(OURS)[1:2])
        assert shown.as_told


async def test_a_port_that_goes_while_the_guard_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look at the favourite port finds it free, the guard finds it taken: it is started at another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        looks = iter([Address(*taken.getsockname())])
        monkeypatch.setattr(
            stage, "free_address", lambda *where: next(looks, None) or free_address("127.0.0.1", free_port())
        )
        async with staged(Options()) as set_up:
            (shown,) = await set_up.play(sessions(OURS)[1:2])
        assert shown.as_told


async def test_the_folder_is_kept(tmp_path: Path) -> None:
    """With --keep configuration, log and audit stay, and nothing else."""
    async with staged(Options(keep=tmp_path / "new" / "folder")) as set_up:
        await set_up.play(sessions(OURS)[1:2])
    assert sorted(each.name for each in (tmp_path / "new/folder").iterdir()) == [
        "audit",
        "smtpguard.log",
        "smtpguard.toml",
    ]
    assert "rule=SG102" in (tmp_path / "new/folder/smtpguard.log").read_text()


def test_a_folder_in_use(tmp_path: Path) -> None:
    """A folder with something in it, or one that cannot be made, is a mistake of usage."""
    (tmp_path / "mine").write_text("mine")
    assert refusal(Options(keep=tmp_path)).exit_code == 2
    assert "not empty" in str(refusal(Options(keep=tmp_path)))
    assert "mine:" in str(refusal(Options(keep=tmp_path / "mine")))


def test_no_upstream() -> None:
    """A dead port, an unknown name: 69, the system's reason, and the cure."""
    dead = refusal(Options(upstream=Address("127.0.0.1", free_port())))
    assert dead.exit_code == 69
    assert ": Connection refused; start it, or name another one" in str(dead)
    unknown = refusal(Options(upstream=Address("nobody.invalid", 25)))
    assert unknown.exit_code == 69
    assert "without --upstream the demo brings one of its own" in str(unknown)


@pytest.mark.parametrize(("greeting", "told"), [(b"554 go away\r\n", "'554 go away'"), (b"", "'nothing'")])
async def test_an_upstream_that_turns_us_away(greeting: bytes, told: str) -> None:
    """A server whose greeting is no 220 is named with what it says."""

    async def serve(stream: trio.SocketStream) -> None:
        await stream.send_all(greeting)
        await stream.send_eof()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    options = Options(upstream=Address(*listeners[0].socket.getsockname()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        with pytest.raises(DemoError) as raised:
            async with staged(options):
                raise AssertionError("the stage was set")
        nursery.cancel_scope.cancel()
    assert raised.value.exit_code == 69
    assert f"greets with {told} instead of 220" in str(raised.value)


def test_the_port_that_was_asked_for_is_taken() -> None:
    """A program has it that greets as a guard would: it is not taken for ours."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = refusal(Options(listen=Address(*taken.getsockname())))
    assert refused.exit_code == 78
    assert "Address already in use; stop the program that has it" in str(refused)


async def test_another_server_is_not_taken_for_the_guard(tmp_path: Path) -> None:
    """A mail server takes the port behind the demo's look at it: the guard cannot start, and that is what is said."""

    async def greet(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 mx.example.net\r\n")
        await stream.receive_some()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = Address(*listeners[0].socket.getsockname())
    guard = Guard(tmp_path, address, Address("127.0.0.1", free_port()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, greet, listeners)
        with pytest.raises(DemoError, match="Address already in use") as raised:
            await guard.start()
        nursery.cancel_scope.cancel()
    await guard.stop()
    assert raised.value.exit_code == 78


def test_a_guard_that_does_not_start() -> None:
    """Its own words and its own exit code come through."""
    refused = refusal(Options(listen=Address("192.0.2.1", free_port())))
    assert refused.exit_code == 78
    assert "this machine has no such address" in str(refused)


def test_a_guard_that_goes() -> None:
    """While a person tries things the guard is killed: it is said, with how it ended."""

    async def demo() -> None:
        async with staged(Options()) as set_up:
            os.kill(set_up.guard.pid, signal.SIGKILL)
            async for _ in set_up.live():
                pass

    with pytest.raises(DemoError, match=r"ended by itself \(killed by signal 9\)") as raised:
        run(demo)
    assert raised.value.exit_code == 69
