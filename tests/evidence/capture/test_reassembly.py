"""Reassembly: what each side said comes out once, in order, and what is missing is said."""

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpguard.evidence.capture.reassembly import (
    ACK,
    FIN,
    RST,
    SYN,
    Connection,
    Hole,
    Item,
    Over,
    Shut,
)
from smtpguard.evidence.judge.pieces import Piece
from smtpguard.smtp import Side
from tests.evidence.segments import ISN, C, Turn, U, handshake, holes, played, said, segment


def test_octets_in_order_come_out_as_they_were_captured() -> None:
    """Each segment is one piece, at the time of its capture."""
    items = played([*handshake(), segment(U, 0, b"220 x\r\n", at=1.5), segment(C, 0, b"QUIT\r\n", ack=7, at=2.5)])
    assert items == [Piece(1.5, U, b"220 x\r\n"), Piece(2.5, C, b"QUIT\r\n")]


def test_segments_out_of_order_come_out_when_the_hole_before_them_is_filled() -> None:
    """The receiver could not read them sooner, so they have the time of the segment that filled it."""
    items = played([*handshake(), segment(C, 3, b"def", at=1), segment(C, 6, b"g", at=2), segment(C, 0, b"abc", at=3)])
    assert items == [Piece(3, C, b"abc"), Piece(3, C, b"def"), Piece(3, C, b"g")]


@pytest.mark.parametrize(
    "again",
    [
        pytest.param([segment(C, 0, b"abc")], id="the same"),
        pytest.param([segment(C, 0, b"ab"), segment(C, 2, b"c")], id="cut anew"),
        pytest.param([segment(C, 1, b"bcdef")], id="with more behind it"),
    ],
)
def test_a_retransmission_comes_out_once(again: list[Turn]) -> None:
    """Whole, in parts, or with new octets behind the old ones."""
    connection = Connection()
    items = played([*handshake(), segment(C, 0, b"abc"), *again, segment(C, 3, b"def")], connection)
    assert said(items, C) == b"abcdef"
    assert connection.conflicting == 0


@pytest.mark.parametrize(
    ("turns", "whole"),
    [
        pytest.param([segment(C, 0, b"abc"), segment(C, 0, b"aXc"), segment(C, 3, b"d")], b"abcd", id="delivered"),
        pytest.param([segment(C, 1, b"bc"), segment(C, 1, b"XX"), segment(C, 0, b"a")], b"abc", id="waiting"),
        pytest.param([segment(C, 2, b"cd"), segment(C, 0, b"abXX")], b"abcd", id="over what waits"),
        pytest.param([segment(C, 0, b"abc"), segment(C, 1, b"Xcd")], b"abcd", id="half new"),
    ],
)
def test_of_copies_that_differ_the_first_counts_and_it_is_said(turns: list[Turn], whole: bytes) -> None:
    """Wherever the copies overlap: what came first is what the receiver took."""
    connection = Connection()
    assert said(played([*handshake(), *turns], connection), C) == whole
    assert connection.conflicting == 1


def test_what_was_delivered_long_ago_is_not_compared() -> None:
    """Only the last octets are remembered: a copy of older ones is dropped unseen."""
    connection = Connection()
    items = played(
        [*handshake(), *(segment(C, at, b"x" * 1000) for at in range(0, 10_000, 1000)), segment(C, 0, b"y" * 1000)],
        connection,
    )
    assert said(items, C) == b"x" * 10_000
    assert connection.conflicting == 0


def test_a_large_segment_is_compared_at_its_end() -> None:
    """A card that segments for the host makes segments larger than what is remembered."""
    connection = Connection()
    played([*handshake(), segment(C, 0, b"x" * 60_000), segment(C, 59_000, b"y" * 1000)], connection)
    assert connection.conflicting == 1


@pytest.mark.parametrize("probe", [b"\0", b""])
def test_a_keep_alive_probe_is_no_octet(probe: bytes) -> None:
    """RFC 9293 §3.8.4: the octet before the next one, with anything in it, or none."""
    connection = Connection()
    turns = [segment(C, 0, b"NOOP\r\n"), segment(C, 5, probe), segment(U, 0, ack=6), segment(C, 6, b"QUIT\r\n")]
    assert said(played([*handshake(), *turns], connection), C) == b"NOOP\r\nQUIT\r\n"
    assert connection.conflicting == 0


def test_sequence_numbers_go_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """An initial number just below 2^32: octets before and behind the turn are neighbours."""
    monkeypatch.setitem(ISN, C, 2**32 - 4)
    turns = [segment(C, 3, b"def"), segment(C, 0, b"abc"), segment(U, 0, b"x", ack=6), segment(C, 6, b"ghi", ack=1)]
    assert said(played([*handshake(), *turns]), C) == b"abcdefghi"


def test_a_connection_of_more_than_four_gigabyte_goes_on() -> None:
    """Offsets do not go round with the sequence numbers."""
    connection = Connection()
    played(handshake(), connection)
    flow = connection._client
    flow.next = flow.acked = flow.seen = 5 * 2**32 + 10
    assert said(played([segment(C, 10, b"abc")], connection), C) == b"abc"


def test_a_syn_twice_is_one() -> None:
    """A retransmitted SYN, and a repeated answer to it, change nothing."""
    first, second, third = handshake()
    items = played(
        [first, first, second, second, third, segment(U, 0, b"220 x\r\n"), second, segment(U, 7, b"y", ack=0)]
    )
    assert said(items, U) == b"220 x\r\ny"


def test_data_in_the_syn_counts_from_its_first_octet() -> None:
    """TCP Fast Open (RFC 7413)."""
    turns = [segment(C, -1, b"EHLO x\r\n", ack=-1, flags=SYN), segment(U, -1, ack=8, flags=SYN | ACK), segment(C, 8)]
    assert said(played(turns), C) == b"EHLO x\r\n"


# --- ends -------------------------------------------------------------------------------------------------------------


def test_both_fins_end_it_in_their_order() -> None:
    """CLIENT shuts first, UPSTREAM says a last word."""
    connection = Connection()
    items = played(
        [
            *handshake(),
            segment(C, 0, b"QUIT\r\n", flags=ACK | FIN, at=1),
            segment(U, 0, b"221\r\n", ack=7, flags=ACK | FIN, at=2),
        ],
        connection,
    )
    assert items == [Piece(1, C, b"QUIT\r\n"), Shut(1, C), Piece(2, U, b"221\r\n"), Shut(2, U), Over(2, None)]
    assert connection.over


def test_a_simultaneous_close_is_an_end() -> None:
    """Each FIN was sent before the other came."""
    items = played([*handshake(), segment(C, 0, flags=ACK | FIN), segment(U, 0, flags=ACK | FIN)])
    assert items == [Shut(0, C), Shut(0, U), Over(0, None)]


def test_a_fin_waits_for_the_octets_before_it() -> None:
    """Captured ahead of the last octets, it is said behind them; the acknowledgement of the FIN is no octet."""
    items = played([*handshake(), segment(C, 3, flags=ACK | FIN), segment(C, 0, b"abc"), segment(U, 0, b"x", ack=4)])
    assert items == [Piece(0, C, b"abc"), Shut(0, C), Piece(0, U, b"x")]


def test_a_fin_twice_is_one() -> None:
    """A retransmitted FIN says nothing new."""
    items = played([*handshake(), segment(C, 0, flags=ACK | FIN), segment(C, 0, flags=ACK | FIN)])
    assert items == [Shut(0, C)]


@pytest.mark.parametrize("side", [C, U])
def test_a_reset_ends_it(side: Side) -> None:
    """Whoever resets, what came before is said."""
    items = played([*handshake(), segment(C, 0, b"abc"), segment(side, 3 if side is C else 0, flags=RST | ACK)])
    assert items == [Piece(0, C, b"abc"), Over(0, side)]


def test_a_reset_with_any_sequence_number_makes_no_hole() -> None:
    """A host that knows nothing of the connection answers with a number that it was told."""
    assert played([*handshake(), segment(U, 90_000, flags=RST)]) == [Over(0, U)]


def test_a_reset_behind_a_gap_says_both() -> None:
    """What waited is behind a hole, and the connection is over."""
    items = played([*handshake(), segment(C, 3, b"def"), segment(U, 0, flags=RST | ACK)])
    assert [(type(item), item.side if isinstance(item, Hole) else None) for item in items] == [(Hole, C), (Over, None)]
    assert holes(items)[0].octets == 3


def test_ports_that_are_used_again_restart() -> None:
    """A SYN with another number begins another connection; the same SYN twice, or an answer to it, does not."""
    connection = Connection()
    played(handshake(), connection)
    assert connection.restarts(*segment(C, 5000, flags=SYN))
    assert not connection.restarts(*segment(C, -1, flags=SYN))
    assert not connection.restarts(*segment(U, 5000, flags=SYN | ACK))
    assert not connection.restarts(*segment(C, 5000, b"x"))


# --- any order --------------------------------------------------------------------------------------------------------


def conversation(turns: Sequence[tuple[Side, bytes]], cuts: random.Random) -> list[Turn]:
    """Return the segments of a lock-step conversation, each turn cut anywhere, each acknowledging all before it."""
    position = {C: 0, U: 0}
    segments = handshake()
    for side, octets in turns:
        other = U if side is C else C
        borders = sorted({0, len(octets), *(cuts.randrange(len(octets) + 1) for _ in range(cuts.randrange(4)))})
        for begin, end in pairwise(borders):
            segments.append(segment(side, position[side] + begin, octets[begin:end], ack=position[other]))
        position[side] += len(octets)
    return segments


@given(
    turns=st.lists(st.tuples(st.sampled_from([C, U]), st.binary(min_size=1, max_size=40)), min_size=1, max_size=12),
    numbers=st.tuples(*[st.one_of(st.integers(2**32 - 60, 2**32 - 1), st.integers(0, 2**32 - 1))] * 2),
    window=st.integers(1, 12),
    seed=st.randoms(use_true_random=False),
)
def test_any_order_gives_the_same_octets_and_never_an_effect_before_its_cause(
    turns: list[tuple[Side, bytes]], numbers: tuple[int, int], window: int, seed: random.Random
) -> None:
    """Shuffled within a window, repeated, cut anywhere, numbers near the turn: what each side said is whole, and no
    octet comes out before those of the other side that it acknowledges."""
    before = dict(ISN)
    ISN.update(zip((C, U), numbers, strict=True))
    try:
        segments = conversation(turns, seed)
        repeated = [one for one in segments[3:] for _ in range(seed.choice((1, 1, 1, 2)))]
        # Each is moved by less than a window; the handshake is where a connection begins.
        order = sorted(range(len(repeated)), key=lambda place: place + seed.uniform(0, window))
        items = played([*segments[:3], *(repeated[place] for place in order)])
    finally:
        ISN.update(before)
    for side in (C, U):
        assert said(items, side) == b"".join(octets for speaker, octets in turns if speaker is side)
    assert not holes(items)
    assert _speakers(items) == _speakers([Piece(0, side, octets) for side, octets in turns])


def _speakers(items: Sequence[Item]) -> list[tuple[Side, int]]:
    """Return who spoke how much before the other did: in lock step no other order is lawful."""
    runs: list[tuple[Side, int]] = []
    for item in items:
        if isinstance(item, Piece):
            if runs and runs[-1][0] is item.side:
                runs[-1] = item.side, runs[-1][1] + len(item.octets)
            else:
                runs.append((item.side, len(item.octets)))
    return runs
