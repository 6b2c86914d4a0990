"""Connections of a capture: told apart, ended, and bounded in memory."""

from pathlib import Path

import pytest

from smtpguard.evidence.capture.reassembly import Hole, Over
from tests.evidence import packets as wire
from tests.evidence.captures import DOWN, TURNS, UP, C, U, heard, is_whole, read, session, written
from tests.evidence.packets import CLIENT, START, UPSTREAM, Line, ethernet, pcap


def test_interleaved_connections_are_told_apart(tmp_path: Path) -> None:
    """Two clients, and one of them twice at a time."""
    lines = [session((host, port)) for host, port in (("192.0.2.1", 2000), ("192.0.2.1", 2001), ("192.0.2.2", 2000))]
    frames = [packet for turn in zip(*lines, strict=True) for packet in turn]
    _, said = read(written(tmp_path, pcap(map(ethernet, frames))))
    assert [heard(said, C, number) for number in (1, 2, 3)] == [UP] * 3
    assert [heard(said, U, number) for number in (1, 2, 3)] == [DOWN] * 3


def test_ports_used_again_are_another_connection(tmp_path: Path) -> None:
    """With and without the end of the first one; late segments of the first do not disturb."""
    first = Line().open().said(*TURNS[:2])
    second = Line(client_seq=90_000, upstream_seq=95_000).open().said(*TURNS).close()
    third = Line(client_seq=190_000, upstream_seq=195_000).open().said(*TURNS).close()
    frames = [*first.packets, *second.packets, second.packets[-3], *third.packets]
    _, said = read(written(tmp_path, pcap(map(ethernet, frames))))
    assert [heard(said, C, number) for number in (1, 2, 3)] == [TURNS[1], UP, UP]
    assert [one.talk.ended for one in said if isinstance(one.item, Over)] == ["reuse", "fin", "fin"]


def test_late_segments_of_a_finished_connection_begin_none(tmp_path: Path) -> None:
    """A FIN, and a last line, once more: nothing that would look like the middle of a session."""
    packets = session()
    capture, said = read(written(tmp_path, pcap(map(ethernet, [*packets, packets[-3], packets[7], packets[-1]]))))
    assert is_whole(said)
    assert capture.connections.count == 1


def test_a_session_in_its_middle_is_known_for_it(tmp_path: Path) -> None:
    """The capture began later than the session."""
    _, said = read(written(tmp_path, pcap(map(ethernet, session()[5:]))))
    assert heard(said, C) == b"QUIT\r\n"
    assert not said[0].talk.from_its_start


def test_where_both_ports_are_mail_ports_the_syn_tells_who_called(tmp_path: Path) -> None:
    """Old servers call from port 25."""
    for start in (0, 1):
        _, said = read(written(tmp_path, pcap(map(ethernet, session((CLIENT[0], 25))[start:]))))
        assert heard(said, C) == UP
        assert said[0].talk.key[0] == wire.octets_of(CLIENT[0])


def test_other_ports_can_be_asked_for(tmp_path: Path) -> None:
    """--port 2525."""
    file = written(tmp_path, pcap(map(ethernet, session(upstream=(UPSTREAM[0], 2525)))))
    assert is_whole(read(file, 2525)[1])


def test_idle_connections_are_ended_after_two_hours_of_the_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that vanished is no more kept; one that spoke within the time is."""
    monkeypatch.setattr("smtpguard.evidence.capture.connections._SWEEP", 1)
    old = Line(("192.0.2.1", 1000)).open().said(*TURNS[:2])
    new = Line(("192.0.2.2", 1000)).open().said(*TURNS).close()
    early = pcap(map(ethernet, old.packets))
    late = pcap(map(ethernet, new.packets), start=START + 7201)[24:]
    _, said = read(written(tmp_path, early + late))
    ends = [(one.talk.number, one.talk.ended) for one in said if isinstance(one.item, Over)]
    assert ends == [(1, "idle"), (2, "fin")]


def test_too_many_open_connections_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was silent longest goes, and it is said."""
    monkeypatch.setattr("smtpguard.evidence.capture.connections.OPEN_MAX", 2)
    lines = [Line((f"192.0.2.{n}", 1000)).open().said(*TURNS[:2]) for n in (1, 2, 3)]
    frames = [*lines[0].packets, *lines[1].packets, lines[0].up(b"NOOP\r\n"), *lines[2].packets]
    # Late segments of the one that made room: the answer to its SYN, and a command.
    frames += [lines[1].packets[1], lines[1].up(b"NOOP\r\n")]
    capture, said = read(written(tmp_path, pcap(map(ethernet, frames))))
    ends = [(one.talk.number, one.talk.ended) for one in said if isinstance(one.item, Over)]
    assert ends == [(2, "room"), (1, "end of capture"), (3, "end of capture")]
    assert [text.partition(": ")[2] for text in capture.warnings()] == [
        "1 connection is given up, since too many were open at once"
    ]


def test_what_waits_is_bounded_over_all_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many connections with a gap each: who adds the octet too many is judged up to its gap."""
    monkeypatch.setattr("smtpguard.evidence.capture.connections.WAITING_MAX", 2500)
    frames: list[bytes] = []
    for number in (1, 2, 3):
        line = Line((f"192.0.2.{number}", 1000)).open()
        line.client_seq += 10
        line.up(b"x" * 1000)
        frames += line.packets
    capture, said = read(written(tmp_path, pcap(map(ethernet, frames))))
    whys = [(one.talk.number, one.item.why) for one in said if isinstance(one.item, Hole)]
    assert whys == [
        (3, "too much waits, of all connections together"),
        (1, "the connection ended before it was filled"),
        (2, "the connection ended before it was filled"),
    ]
    assert capture.connections._waiting == 0


def test_finished_connections_are_forgotten_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; a late segment of a forgotten one looks like a session in its middle."""
    monkeypatch.setattr("smtpguard.evidence.capture.connections.FINISHED_KEPT", 1)
    first, second = session(("192.0.2.1", 1000)), session(("192.0.2.2", 1000))
    capture, _ = read(written(tmp_path, pcap(map(ethernet, [*first, *second, second[7], first[7]]))))
    assert capture.connections.count == 3
