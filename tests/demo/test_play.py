"""The demo's client: transcripts, and other sides that misbehave."""

import socket

import pytest
import trio

from smtpguard.config import Address
from smtpguard.demo.play import Mark, Marked, play
from smtpguard.demo.sessions import QUIT, Session, Step, say


def session(*steps: Step, waits: bool = True) -> Session:
    """Return a session of these steps."""
    return Session(title="", story="", host=9, steps=steps, waits=waits)


async def played_at(answers: bytes, *steps: Step, waits: bool = True) -> tuple[list[Marked], str, bytes]:
    """Play at a server that says `answers` at once and closes; return transcript, trouble, and what the server got."""
    got = b""

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal got
        await stream.send_all(answers)
        await stream.send_eof()
        while octets := await stream.receive_some():
            got += octets

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        played = await play(session(*steps, waits=waits), Address(*listeners[0].socket.getsockname()))
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    assert played.host == "127.0.0.9"
    return played.transcript, played.trouble, got


async def test_marks() -> None:
    """Said, heard, and heard from the guard itself: told by the reference at the reply's end, and only there."""
    answers = b"220 hi [SG102 1M856DF92690] no\r\n250-a\r\n250 b\r\n503 5.5.1 no [SG102 1M856DF92690]\r\n"
    transcript, trouble, got = await played_at(answers, say("EHLO x"), QUIT)
    assert trouble == ""
    assert [each.mark for each in transcript] == [Mark.HEARD, Mark.SAID, Mark.HEARD, Mark.HEARD, Mark.SAID, Mark.GUARD]
    assert got == b"EHLO x\r\nQUIT\r\n"


@pytest.mark.parametrize(
    ("octets", "texts"),
    [
        (b"a\r\n\r\nb\r\n", ["a", "", "b"]),
        (b"a\nb\r\n", [r"a\x0A", "b"]),
        (b"\x16\x03\xff", [r"\x16\x03\xFF"]),
        (b"a\rb\r\n", [r"a\x0Db"]),
    ],
)
async def test_octets_shown(octets: bytes, texts: list[str]) -> None:
    """A transcript is printable ASCII; a line end that is not CRLF can be seen."""
    transcript, _, _ = await played_at(b"220 hi\r\n", Step(octets))
    assert [each.text for each in transcript if each.mark is Mark.SAID] == texts


async def test_it_may_speak_first() -> None:
    """A client that does not wait sends its first step at once, and reads the greeting behind it."""
    transcript, _, got = await played_at(b"220 hi\r\n250 x\r\n", say("NOOP"), waits=False)
    assert [each.text for each in transcript] == ["NOOP", "220 hi", "250 x"]
    assert got == b"NOOP\r\n"


async def test_no_smtp() -> None:
    """What is no reply is told as trouble, not raised."""
    _, trouble, _ = await played_at(b"HTTP/1.1 400 Bad Request\r\n", QUIT)
    assert trouble


async def test_nobody_there() -> None:
    """A refused connection is told as trouble, not raised."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        played = await play(session(QUIT), Address(*taken.getsockname()))
    assert "refused" in played.trouble


async def test_silence(autojump_clock: trio.testing.MockClock) -> None:
    """A server that says nothing is given up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        played = await play(session(QUIT), Address(*silent.getsockname()))
    assert played.trouble == "no reply within 20 s"
