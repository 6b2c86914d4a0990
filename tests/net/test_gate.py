"""Caps on sessions: in all, per IPv4 address, per IPv6 /64."""

import pytest

from smtpguard.net import Gate, client_of, folded


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
        ("::ffff:0:1", "::ffff:0:1"),
    ],
)
def test_addresses_are_folded(host: str, text: str) -> None:
    """An IPv4 client of a dual-stack listener is an IPv4 client; a zone is no part of who it is."""
    assert folded(host) == text


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::1", "192.0.2.1", False),
    ],
)
def test_who_counts_as_one(one: str, other: str, same: bool) -> None:
    """An IPv4 address, or an IPv6 /64."""
    assert (client_of(one) == client_of(other)) is same


def test_a_shut_gate() -> None:
    """Nobody comes in, whatever the caps, and the setting is named; who is in goes as ever."""
    gate = Gate(2, 2)
    assert gate.enter("192.0.2.1") is None
    gate.shut = "audit.on-failure"
    assert [gate.enter(host) for host in ("192.0.2.1", "")] == ["audit.on-failure"] * 2
    gate.leave("192.0.2.1")
    gate.shut = ""
    assert gate.enter("192.0.2.1") is None
    assert gate.inside == 1


def test_the_cap_per_client() -> None:
    """The third session of a client with room for two is turned away; other clients and a freed place are not."""
    gate = Gate(10, 2)
    assert gate.enter("2001:db8::1") is None
    assert gate.enter("2001:db8::2") is None
    assert gate.enter("2001:db8::3") == "limits.sessions-per-client"
    assert gate.enter("2001:db8:0:1::1") is None
    assert gate.inside == 3
    gate.leave("2001:db8::2")
    assert gate.enter("2001:db8::3") is None


def test_the_cap_in_all() -> None:
    """One too many of all is turned away, whoever it is, and is not counted."""
    gate = Gate(2, 2)
    assert [gate.enter(f"192.0.2.{number}") for number in range(3)] == [None, None, "limits.sessions"]
    assert gate.inside == 2
    gate.leave("192.0.2.0")
    assert gate.enter("192.0.2.2") is None


def test_the_table_is_bounded() -> None:
    """Clients that came and went, or were turned away, leave no row."""
    gate = Gate(5, 1)
    for number in range(1000):
        host = f"2001:db8:0:{number:x}::1"
        gate.enter(host)
        gate.enter(host)
    assert len(gate._clients) == 5
    for number in range(5):
        gate.leave(f"2001:db8:0:{number:x}::1")
    assert gate._clients == {}
    assert gate.inside == 0
