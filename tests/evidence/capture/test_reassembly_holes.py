"""Reassembly of what was not captured: the middle of a connection, holes, bounds."""

from smtpguard.evidence.capture.reassembly import (
    ACK,
    FIN,
    GRACE_PACKETS,
    SEGMENTS_MAX,
    WAITING_MAX,
    Connection,
    Hole,
    Over,
)
from smtpguard.evidence.judge.pieces import Piece
from tests.evidence.segments import C, U, handshake, holes, played, said, segment


def test_a_connection_in_its_middle_begins_with_what_is_there() -> None:
    """No SYN: the first octets captured are the first known, and it is said."""
    connection = Connection()
    items = played([segment(U, 5000, b"250 x\r\n", ack=900), segment(C, 900, b"QUIT\r\n", ack=5007)], connection)
    assert items == [Piece(0, U, b"250 x\r\n"), Piece(0, C, b"QUIT\r\n")]
    assert connection.from_its_start is False


def test_in_the_middle_older_octets_may_come_first() -> None:
    """What the first acknowledgement counts as received may be captured behind it."""
    items = played([segment(C, 900, b"QUIT\r\n", ack=5007), segment(U, 5000, b"250 x\r\n", ack=900)])
    assert said(items, U) == b"250 x\r\n"


def test_octets_that_were_received_but_not_captured_are_a_hole() -> None:
    """The other side acknowledged them; two seconds later it is plain that they never come."""
    turns = [segment(C, 0, b"abc"), segment(C, 10, b"klm", at=1), segment(U, 0, ack=13, at=1), segment(C, 13, at=3.5)]
    items = played([*handshake(), *turns])
    assert holes(items) == [Hole(3.5, C, 3, 7, "received by the other side, but not captured")]
    assert str(holes(items)[0]) == "hole of 7 octets at 3 from CLIENT: received by the other side, but not captured"


def test_a_hole_is_declared_after_so_many_packets_too() -> None:
    """A busy connection does not wait two seconds."""
    busy = [segment(C, 10 + n, b"x") for n in range(GRACE_PACKETS + 1)]
    items = played([*handshake(), segment(U, 0, ack=10), *busy])
    assert len(holes(items)) == 1
    assert said(items, C) == b""


def test_a_reply_that_was_not_captured_is_a_hole_of_upstream() -> None:
    """CLIENT's next command acknowledges it, so that command is not judged as if it had been sent ahead."""
    turns = [segment(C, 0, b"NOOP\r\n", at=1), segment(C, 6, b"QUIT\r\n", ack=8, at=2), segment(C, 12, ack=8, at=9)]
    items = played([*handshake(), *turns])
    assert said(items, C) == b"NOOP\r\n"
    assert [(hole.side, hole.offset, hole.octets) for hole in holes(items)] == [(U, 0, 8)]


def test_a_gap_that_is_filled_in_time_is_none() -> None:
    """Acknowledged first, captured later: a capture of several queues is out of order."""
    items = played([*handshake(), segment(U, 0, ack=3), segment(C, 0, b"abc"), segment(C, 3, b"d", at=60)])
    assert said(items, C) == b"abcd"
    assert not holes(items)


def test_nothing_comes_behind_a_hole() -> None:
    """What stands behind it cannot be judged as if it were whole; the end is still seen."""
    connection = Connection()
    turns = [
        segment(C, 10, b"klm", at=1),
        segment(U, 0, ack=13, at=1),
        segment(C, 13, at=9),
        segment(C, 13, b"more", flags=ACK | FIN, at=10),
        segment(U, 0, b"250\r\n", ack=18, flags=ACK | FIN, at=11),
    ]
    items = played([*handshake(), *turns], connection)
    assert [type(item) for item in items] == [Hole, Over]


def test_what_waits_behind_a_gap_is_bounded_in_octets() -> None:
    """256 KiB behind a gap: the hole is declared, and the memory is free again."""
    connection = Connection()
    many = [segment(C, 1 + at, b"x" * 60_000) for at in range(0, 2 * WAITING_MAX, 60_000)]
    items = played([*handshake(), *many], connection)
    assert [hole.octets for hole in holes(items)] == [1]
    assert connection.waiting_octets == 0


def test_what_waits_behind_a_gap_is_bounded_in_segments() -> None:
    """Segments of one octet each cost more than their octets."""
    many = [segment(C, 1 + 2 * n, b"x") for n in range(SEGMENTS_MAX + 1)]
    assert [hole.octets for hole in holes(played([*handshake(), *many]))] == [1]


def test_octets_that_the_snapshot_length_cut_are_a_hole() -> None:
    """What was captured of the segment is said, the rest is missing."""
    turns = [segment(C, 0, b"MAIL F", missing=20, at=1), segment(U, 0, b"250\r\n", ack=26, at=2), segment(C, 26, at=9)]
    items = played([*handshake(), *turns])
    assert said(items, C) == b"MAIL F"
    assert [(hole.side, hole.offset, hole.octets) for hole in holes(items)] == [(C, 6, 20)]


def test_a_cut_segment_at_the_end_is_a_hole_too() -> None:
    """Nobody acknowledged it any more, but it is known to have been longer."""
    connection = Connection()
    played([*handshake(), segment(C, 0, b"MAIL F", missing=20)], connection)
    assert [type(item) for item in connection.end(5)] == [Hole, Over]
    assert connection.end(6) == []


def test_a_connection_that_just_ends_has_no_hole() -> None:
    """The capture was stopped."""
    connection = Connection()
    played([*handshake(), segment(C, 0, b"abc")], connection)
    assert connection.end(5) == [Over(5, None)]


def test_what_is_given_up_is_a_hole_if_anything_waits() -> None:
    """For want of room; where nothing waits there is nothing to give up."""
    connection = Connection()
    played([*handshake(), segment(C, 0, b"abc")], connection)
    assert connection.give_up("no room") == []
    played([segment(C, 5, b"fgh")], connection)
    assert connection.give_up("no room") == [Hole(0, C, 3, 2, "no room")]


def test_skipped_octets_are_not_said_and_make_no_hole() -> None:
    """Behind STARTTLS nothing is looked at but the end."""
    connection = Connection()
    played(handshake(), connection)
    connection.skip()
    turns = [segment(C, 9, b"x"), segment(U, 0, ack=99, at=50), segment(C, 10, flags=FIN), segment(U, 0, flags=FIN)]
    assert played(turns, connection) == [Over(50, None)]
    assert connection.end(60) == []


def test_acknowledgements_that_make_no_sense_end_in_a_hole() -> None:
    """Each side claims to have heard what the other never said: nothing comes out, nothing is endless."""
    connection = Connection()
    played([*handshake(), segment(C, 0, b"abc", ack=50), segment(U, 0, b"xyz", ack=50)], connection)
    assert [type(item) for item in connection.end(1)] == [Hole, Over]
