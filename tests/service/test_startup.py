"""What must be right before the first client is let in."""

import resource
import socket
from collections.abc import Iterator

import pytest

from smtpguard.config import (
    Address,
    Arrival,
    Config,
    IdentitySettings,
    LimitSettings,
    Listener,
    Send,
    listeners_of,
)
from smtpguard.net import listen as net_listen
from smtpguard.service import StartupError, startup
from smtpguard.service.activation import Inherited
from smtpguard.service.descriptors import lift, sessions_carried
from smtpguard.service.startup import Opened, examine_rights, only_loopback, open_listeners, sessions_at_once
from tests.against.deadline import free_port
from tests.net.loopback import descriptors, has_ipv6

LISTEN = Address("0.0.0.0", 25)
UPSTREAM = Address("127.0.0.1", 10025)


def _config(sessions: int | None = None) -> Config:
    return Config(listen=(LISTEN,), upstream=(UPSTREAM,), limits=LimitSettings(sessions=sessions))


@pytest.mark.parametrize(
    ("hosts", "local"),
    [
        (["127.0.0.1"], True),
        (["127.0.0.2", "::1", "localhost"], True),
        (["0.0.0.0"], False),
        (["::"], False),
        (["127.0.0.1", "192.0.2.1"], False),
        (["mx.example.net"], False),
        (["localhost.example.net"], False),
    ],
)
def test_only_loopback(hosts: list[str], local: bool) -> None:
    """All of them must be; a name is none unless it is localhost."""
    assert only_loopback([Address(host, 25) for host in hosts]) is local


@pytest.mark.parametrize(
    ("descriptors_", "carried"),
    [(0, 0), (32, 0), (33, 0), (34, 1), (1024, 496), (2032, 1000), (1 << 30, (1 << 29) - 16)],
)
def test_sessions_carried(descriptors_: int, carried: int) -> None:
    """(limit - 32) // 2, and never less than none."""
    assert sessions_carried(descriptors_) == carried


@pytest.mark.parametrize(
    ("wanted", "limit", "served"),
    [(None, 1024, 496), (None, 2032, 1000), (None, 1 << 20, 1000), (496, 1024, 496), (5000, 1 << 20, 5000)],
)
def test_sessions_at_once(wanted: int | None, limit: int, served: int) -> None:
    """Unset: what the limit carries, at most 1000; set: that many."""
    assert sessions_at_once(_config(wanted), limit) == served


@pytest.mark.parametrize(("wanted", "limit", "cure"), [(497, 1024, "1026"), (None, 33, "LimitNOFILE"), (1, 33, "34")])
def test_a_limit_that_does_not_carry(wanted: int | None, limit: int, cure: str) -> None:
    """Set and not carried: it refuses to start, and says to how much the limit must be raised."""
    with pytest.raises(StartupError) as raised:
        sessions_at_once(_config(wanted), limit)
    assert cure in str(raised.value)
    assert str(limit) in str(raised.value)


@pytest.fixture
def _limit_given_back() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("_limit_given_back")
def test_the_soft_limit_is_lifted() -> None:
    """To the hard one, whatever the shell has set."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    assert lift() == hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_a_limit_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Infinity carries everything; it is no negative number here."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert sessions_carried(lift()) > 1000


def _listeners(*addresses: Address) -> tuple[Listener, ...]:
    return listeners_of(Config(listen=addresses, upstream=(UPSTREAM,)))


def _opened(*addresses: Address) -> tuple[Opened, ...]:
    return open_listeners(_listeners(*addresses))


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
@pytest.mark.parametrize("order", [1, -1])
def test_both_wildcards_on_one_port(order: int) -> None:
    """[::] beside 0.0.0.0 is IPv6 only, in whichever order they stand; alone it takes both."""
    port = free_port()
    addresses = [Address("0.0.0.0", port), Address("::", port)][::order]
    opened = _opened(*addresses)
    assert [one.listener.name for one in opened] == [str(address) for address in addresses]
    by_family = {one.socket.family: one.socket for one in opened}
    assert by_family[socket.AF_INET6].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    for one in opened:
        one.socket.close()
    (alone,) = _opened(Address("::", port))
    with alone.socket:
        assert not alone.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_a_port_in_use() -> None:
    """The address, what is wrong, the cure; what was opened before it is closed again."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Address("127.0.0.1", other.getsockname()[1])
        before = descriptors()
        with pytest.raises(StartupError) as raised:
            _opened(Address("127.0.0.1", free_port()), taken)
        assert descriptors() == before
    assert str(taken) in str(raised.value)
    assert "another program has this port" in str(raised.value)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-name.invalid"])
def test_an_address_of_another_machine(host: str) -> None:
    """It names the address and what to write instead."""
    with pytest.raises(StartupError) as raised:
        _opened(Address(host, free_port()))
    assert host in str(raised.value)
    assert "this machine" in str(raised.value)


def test_passed_sockets() -> None:
    """A socket that was passed is taken for the listener of its address; the others are opened."""
    with net_listen("127.0.0.1", 0) as ready:
        here, there = Address("127.0.0.1", ready.getsockname()[1]), Address("127.0.0.1", free_port())
        first, second = open_listeners(_listeners(there, here), [Inherited("smtp", ready)])
        assert second.socket is ready
        assert (first.listener.name, second.listener.name) == (str(there), str(here))
        first.socket.close()


def test_passed_to_nobody() -> None:
    """A passed socket without a listener is refused, and nothing stays open."""
    before = descriptors()
    with pytest.raises(StartupError, match=r"LISTEN_FDS: .* passes 127\.0\.0\.1:\d+ \(smtp\)"):
        open_listeners(_listeners(Address("127.0.0.1", free_port())), [Inherited("smtp", net_listen("127.0.0.1", 0))])
    assert descriptors() == before


def test_passed_and_another_in_use() -> None:
    """Where one listener cannot be opened the passed sockets are closed too."""
    before = descriptors()
    with socket.create_server(("127.0.0.1", 0)) as other:
        ready = net_listen("127.0.0.1", 0)
        here, taken = (Address("127.0.0.1", one.getsockname()[1]) for one in (ready, other))
        with pytest.raises(StartupError, match="another program has this port"):
            open_listeners(_listeners(here, taken), [Inherited("smtp", ready)])
    assert descriptors() == before


def test_the_right_to_come_from_clients_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked at the start, as the account that will need it; without it no session could be had."""
    listeners = listeners_of(
        Config(listen=(LISTEN,), upstream=(UPSTREAM,), identity=IdentitySettings(send=Send.TRANSPARENT))
    )
    tried: list[str] = []
    monkeypatch.setattr(startup, "bind_source", lambda _socket, source: tried.append(source))
    examine_rights(_listeners(LISTEN))
    assert tried == []
    examine_rights(listeners)
    assert tried == ["192.0.2.1"]

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(startup, "bind_source", refuse)
    with pytest.raises(StartupError, match=r"identity\.send = transparent: Operation not permitted; it needs CAP_NET"):
        examine_rights(listeners)


@pytest.mark.parametrize("passed", [False, True])
def test_the_right_to_take_connections_to_any_address(monkeypatch: pytest.MonkeyPatch, passed: bool) -> None:
    """A TPROXY listener without the right is refused, with both ways to get it; nothing stays open."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("smtpguard.net.listener.make_transparent", refuse)
    monkeypatch.setattr(startup, "make_transparent", refuse)
    before = descriptors()
    ready = net_listen("127.0.0.1", 0) if passed else None
    address = Address("127.0.0.1", ready.getsockname()[1] if ready else free_port())
    listeners = listeners_of(
        Config(listen=(address,), upstream=(UPSTREAM,), identity=IdentitySettings(arrival=Arrival.TPROXY))
    )
    with pytest.raises(StartupError, match=r"needs CAP_NET_RAW .* Transparent=yes in smtpguard.socket"):
        open_listeners(listeners, [Inherited("smtp", ready)] if ready else [])
    assert descriptors() == before
