"""The demo's own UPSTREAM, as a playbook over memory streams: whole segments, and octet by octet."""

from dataclasses import dataclass

import pytest
import trio
import trio.testing

from smtpguard.demo.upstream import LINE_MAXIMUM, MESSAGE_MAXIMUM, Connection, Upstream

EHLO_LINES = 6


@dataclass(frozen=True)
class Said:
    """What a client said in one session, the codes that it hears behind the greeting, and what UPSTREAM keeps."""

    octets: bytes
    codes: tuple[int, ...]
    lines: tuple[str, ...] = ()
    messages: int = 0


MAIL, RCPT = b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<ann@demo.example>\r\n"

BOOK = {
    "hello": Said(b"EHLO x\r\nHELO x\r\n", (*[250] * EHLO_LINES, 250), ("EHLO x", "HELO x")),
    "the small verbs, in any case": Said(
        b"noop\r\nrset\r\nVRFY x\r\nquit\r\n", (250, 250, 252, 221), ("noop", "rset", "VRFY x", "quit")),
    "unknown verb": Said(b"XYZZY\r\n\r\n", (500, 500), ("XYZZY", "")),
    "a message": Said(
        MAIL + RCPT + b"DATA\r\nSubject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n", (250, 250, 354, 250, 221),
        ("MAIL FROM:<a@b>", "RCPT TO:<ann@demo.example>", "DATA", "QUIT"), 1),
    "an empty message": Said(b"DATA\r\n.\r\n", (354, 250), ("DATA",), 1),
    "stuffed dots": Said(b"DATA\r\n..\r\n...\r\n.x\r\nx.\r\n.\r\nNOOP\r\n", (354, 250, 250), ("DATA", "NOOP"), 1),
    "lax: content ends at LF . LF": Said(b"DATA\r\nx\n.\nNOOP\r\n", (354, 250, 250), ("DATA", "NOOP"), 1),
    "lax: any order": Said(RCPT + b"DATA\r\nx\r\n.\r\n" + RCPT + MAIL + MAIL, (250, 354, 250, 250, 250, 250),
        ("RCPT TO:<ann@demo.example>", "DATA", "RCPT TO:<ann@demo.example>", "MAIL FROM:<a@b>", "MAIL FROM:<a@b>"), 1),
    "chunks": Said(
        b"BDAT 6\r\nQUIT\r\nBDAT 0\r\nBDAT 3 LAST\r\nx\r\nNOOP\r\n", (250, 250, 250, 250),
        ("BDAT 6", "BDAT 0", "BDAT 3 LAST", "NOOP"), 1),
    "a chunk of no size": Said(b"BDAT x\r\n", (501,), ("BDAT x",)),
    "nobody of that name": Said(b"RCPT TO:<unknown@demo.example>\r\n", (550,), ("RCPT TO:<unknown@demo.example>",)),
    "no relay": Said(b"RCPT TO:<a@example.net>\r\n", (550,), ("RCPT TO:<a@example.net>",)),
    "postmaster needs no domain": Said(b"RCPT TO:<Postmaster>\r\n", (250,), ("RCPT TO:<Postmaster>",)),
    "no path": Said(b"RCPT ann\r\n", (501,), ("RCPT ann",)),
    "declared too big": Said(
        b"MAIL FROM:<a@b> SIZE=%d\r\n" % (MESSAGE_MAXIMUM + 1), (552,),
        (f"MAIL FROM:<a@b> SIZE={MESSAGE_MAXIMUM + 1}",)),
    "declared as big as may be": Said(
        b"MAIL FROM:<a@b> SIZE=%d\r\n" % MESSAGE_MAXIMUM, (250,), (f"MAIL FROM:<a@b> SIZE={MESSAGE_MAXIMUM}",)),
    "gone in content": Said(b"DATA\r\nhalf", (354,), ("DATA",)),
    "gone in a chunk": Said(b"BDAT 9 LAST\r\nhalf", (), ("BDAT 9 LAST",)),
    "8-bit": Said(b"EHLO \xff\r\n", (250,) * EHLO_LINES, ("EHLO \xff",)),
}  # fmt: skip


async def session(*segments: bytes) -> tuple[tuple[int, ...], Connection]:
    """Say segments, then leave; return the codes heard behind the greeting, and what UPSTREAM keeps."""
    upstream = Upstream()
    client, server = trio.testing.memory_stream_pair()
    heard = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(upstream.handle, server)
        for segment in segments:
            await client.send_all(segment)
            await trio.testing.wait_all_tasks_blocked()
        await client.send_eof()
        nursery.start_soon(_close_behind, upstream, server)
        while octets := await client.receive_some(65536):
            heard += octets
    (connection,) = upstream.since(0)
    codes = tuple(int(line[:3]) for line in heard.split(b"\r\n")[:-1])
    assert codes[0] == 220
    return codes[1:], connection


async def _close_behind(upstream: Upstream, server: trio.abc.AsyncResource) -> None:
    """Close the connection as the listener does when `handle` has returned."""
    await upstream.since(0)[0].over.wait()
    await server.aclose()


@pytest.mark.parametrize("said", BOOK.values(), ids=BOOK)
@pytest.mark.parametrize("cut", ["whole", "octet by octet"])
async def test_playbook(said: Said, cut: str) -> None:
    """Replies, recorded lines and counted messages are the same, however the octets are cut."""
    segments = [said.octets] if cut == "whole" else [bytes([each]) for each in said.octets]
    codes, connection = await session(*segments)
    assert codes == said.codes
    assert tuple(connection.lines) == said.lines
    assert connection.messages == said.messages


async def test_content_that_is_too_big() -> None:
    """It is read to its end, refused, and not counted; the session goes on."""
    part = b"x" * 1022 + b"\r\n"
    codes, connection = await session(b"DATA\r\n", *[part * 1024] * 11, b".\r\nNOOP\r\n")
    assert codes == (354, 552, 250)
    assert connection.messages == 0


async def test_a_line_without_end() -> None:
    """It ends the session, and is not kept."""
    codes, connection = await session(b"x" * (LINE_MAXIMUM + 1))
    assert codes == ()
    assert connection.lines == []


async def test_connections_are_told_apart() -> None:
    """`since` gives the connections behind a mark only, in their order."""
    upstream = Upstream()
    for word in (b"one", b"two", b"three"):
        client, server = trio.testing.memory_stream_pair()
        await client.send_all(b"EHLO " + word + b"\r\nQUIT\r\n")
        await upstream.handle(server)
    assert upstream.count == 3
    assert [each.lines[0] for each in upstream.since(1)] == ["EHLO two", "EHLO three"]


async def test_a_peer_that_cuts() -> None:
    """The other side gone while a reply is being written is an ordinary end."""
    upstream = Upstream()
    client, server = trio.testing.memory_stream_pair()
    await client.aclose()
    await upstream.handle(server)
    assert upstream.since(0)[0].over.is_set()
