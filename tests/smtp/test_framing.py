"""Inbox and ReplyReader: octets into lines and replies, none lost, none changed."""

import pytest

from smtpguard.smtp import MalformedReply, ReplyReader
from smtpguard.smtp.framing import Inbox


def test_inbox_gives_the_same_object_back() -> None:
    """Into an empty inbox octets go as the same object, and come out as it."""
    inbox, data = Inbox(), b"NOOP\r\n"
    inbox.put(data)
    assert inbox.line_length() == 6
    assert inbox.head(6) is data
    assert inbox.take(6) is data
    assert inbox.held == 0


def test_inbox_takes_line_by_line() -> None:
    """Lines are found one behind the other; the rest stays."""
    inbox = Inbox()
    inbox.put(b"A\r\nBB\nC")
    assert (inbox.line_length(), inbox.take(3)) == (3, b"A\r\n")
    assert (inbox.line_length(), inbox.head(2), inbox.take(3)) == (3, b"BB", b"BB\n")
    assert (inbox.line_length(), inbox.held) == (0, 1)
    inbox.put(b"\r\n")
    assert (inbox.line_length(), inbox.take(100), inbox.held) == (3, b"C\r\n", 0)


def test_inbox_knows_what_was_sent_ahead() -> None:
    """All that is held when a reply is given out was sent ahead of it; what comes later was not."""
    inbox = Inbox()
    inbox.mark_ahead()
    assert not inbox.ahead
    inbox.put(b"NOOP\r\nNO")
    inbox.mark_ahead()
    inbox.put(b"OP\r\nRSET\r\n")
    assert inbox.ahead
    inbox.take(6)
    assert inbox.ahead
    inbox.take(6)
    assert not inbox.ahead
    inbox.mark_ahead()
    inbox.clear()
    assert (inbox.ahead, inbox.held, inbox.take(5)) == (False, 0, b"")


def test_a_reply_is_the_same_object() -> None:
    """One whole reply comes out as the octets that came in."""
    reader, data = ReplyReader(), b"250-a\r\n250 b\r\n"
    reader.put(data)
    reply = reader.next()
    assert reply is not None
    assert reply.raw is data
    assert (reply.code, reader.pending, reader.next()) == (250, b"", None)


def test_replies_one_behind_the_other() -> None:
    """Several replies in one piece, and the beginning of one more."""
    reader = ReplyReader()
    reader.put(b"250 a\r\n550-b\r\n550 c\r\n22")
    assert [reply.raw for reply in iter(reader.next, None)] == [b"250 a\r\n", b"550-b\r\n550 c\r\n"]
    assert reader.pending == b"22"
    reader.put(b"0 d\r\n")
    assert reader.next() == (b"220 d\r\n", 220)


@pytest.mark.parametrize(
    "octets",
    [
        b"250 a\n",
        b"250-a\r\n251 b\r\n",
        b"x\r\n",
        b"150 a\r\n",
        b"650 a\r\n",
        b"250 \0\r\n",
        b"250 a\rb\r\n",
        b"250 " + b"x" * 4091 + b"\r\n",
        b"250 " + b"x" * 4092,
        b"250-x\r\n" * 501,
        b"250-" + b"x" * 4000 + b"\r\n",
    ],
)
def test_what_is_no_reply(octets: bytes) -> None:
    """MalformedReply for all that design rule 16 calls malformed, as soon as it is certain."""
    reader = ReplyReader()
    reader.put(octets * 17 if len(octets) == 4006 else octets)
    with pytest.raises(MalformedReply):
        reader.next()


def test_octets_know_the_read_they_came_in() -> None:
    """Each line of held input, also after some were taken, and after all was dropped."""
    inbox = Inbox()
    inbox.arrived(b"a\r\nb\r\nc", 1.0)
    inbox.arrived(b"\r\nd\r\n", 2.0)
    inbox.arrived(b"e\r\n", 3.0)
    assert [inbox.origin(count) for count in (3, 6, 9, 12, 15)] == [(1.0, 1), (1.0, 1), (2.0, 2), (2.0, 2), (3.0, 3)]
    inbox.take(6)
    assert [inbox.origin(count) for count in (3, 6, 9)] == [(2.0, 2), (2.0, 2), (3.0, 3)]
    inbox.clear()
    inbox.arrived(b"f\r\n", 4.0)
    assert inbox.origin(3) == (4.0, 4)
