"""Where CLIENT had dialled, and dialling in its name; translated connections are in tests/against/test_arrival.py."""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import cast

import pytest

from smtpguard.net import listen
from smtpguard.net.arrival import (
    IP6T_SO_ORIGINAL_DST,
    IP_TRANSPARENT,
    IPV6_TRANSPARENT,
    SO_ORIGINAL_DST,
    bind_source,
    make_transparent,
    original_destination,
)
from tests.net.loopback import has_ipv6

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="IP_TRANSPARENT wants CAP_NET_RAW")

FAMILIES = [pytest.param("127.0.0.1", id="IPv4"), pytest.param("::1", id="IPv6", marks=needs_ipv6)]


def _translated(name: tuple[str, int], level: int, option: int, sockaddr: bytes) -> socket.socket:
    """Return what stands for an accepted socket that the kernel knows an original destination of."""

    def getsockopt(*asked: int) -> bytes:
        assert asked == (level, option, len(sockaddr))
        return sockaddr

    return cast(socket.socket, SimpleNamespace(getsockname=lambda: name, getsockopt=getsockopt))


def _failing(error: int) -> socket.socket:
    def getsockopt(*_: int) -> bytes:
        raise OSError(error, os.strerror(error))

    return cast(socket.socket, SimpleNamespace(getsockname=lambda: ("192.0.2.1", 2525), getsockopt=getsockopt))


SOCKADDR_IN = socket.AF_INET.to_bytes(2, sys.byteorder) + b"\x00\x19" + bytes([192, 0, 2, 10]) + bytes(8)
"""192.0.2.10, port 25."""


@pytest.mark.parametrize("name", ["192.0.2.1", "::ffff:192.0.2.1"])
def test_ipv4_is_asked_as_ipv4(name: str) -> None:
    """On a dual-stack socket too, where the address is told without its `::ffff:`."""
    accepted = _translated((name, 2525), socket.IPPROTO_IP, SO_ORIGINAL_DST, SOCKADDR_IN)
    assert original_destination(accepted) == ("192.0.2.10", 25)


def test_ipv6_is_asked_as_ipv6() -> None:
    """Flow information before the address, the scope behind it."""
    address = socket.inet_pton(socket.AF_INET6, "2001:db8::10")
    sockaddr = socket.AF_INET6.to_bytes(2, sys.byteorder) + b"\x00\x19" + b"flow" + address + b"zone"
    accepted = _translated(("2001:db8::1", 2525), socket.IPPROTO_IPV6, IP6T_SO_ORIGINAL_DST, sockaddr)
    assert original_destination(accepted) == ("2001:db8::10", 25)


def test_tracked_and_not_translated() -> None:
    """The table also names connections that nobody translates: the destination is our own name."""
    accepted = _translated(("192.0.2.10", 25), socket.IPPROTO_IP, SO_ORIGINAL_DST, SOCKADDR_IN)
    assert original_destination(accepted) is None


@pytest.mark.parametrize("error", [errno.ENOENT, errno.ENOPROTOOPT])
def test_not_tracked(error: int) -> None:
    """Neither a connection without an entry nor a kernel without a table is a mistake."""
    assert original_destination(_failing(error)) is None


def test_gone() -> None:
    """What else goes wrong is told."""
    with pytest.raises(OSError) as raised:
        original_destination(_failing(errno.ENOTCONN))
    assert raised.value.errno == errno.ENOTCONN


@pytest.mark.parametrize("host", FAMILIES)
def test_a_connection_to_ourselves(host: str) -> None:
    """A real socket that nobody translates has no original destination."""
    with listen(host, 0) as listener, socket.create_connection(listener.getsockname()[:2]):
        accepted, _ = listener.accept()
        with accepted:
            assert original_destination(accepted) is None


@needs_ipv6
def test_a_connection_to_ourselves_by_both() -> None:
    """An IPv4 client of a dual-stack listener is asked about as IPv4."""
    with listen("::", 0) as listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1])):
        accepted, _ = listener.accept()
        with accepted:
            assert original_destination(accepted) is None


@needs_root
@pytest.mark.parametrize(
    ("host", "level", "option"),
    [
        pytest.param("127.0.0.1", socket.IPPROTO_IP, IP_TRANSPARENT, id="IPv4"),
        pytest.param("::", socket.IPPROTO_IPV6, IPV6_TRANSPARENT, id="both", marks=needs_ipv6),
    ],
)
def test_a_transparent_listener(host: str, level: int, option: int) -> None:
    """The kernel says so, and a second time changes nothing."""
    with listen(host, 0) as listener:
        assert not listener.getsockopt(level, option)
        make_transparent(listener)
        make_transparent(listener)
        assert listener.getsockopt(level, option)


@contextmanager
def _without_rights() -> Iterator[None]:
    """Be nobody: the effective capabilities go with the effective uid."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_root
@pytest.mark.parametrize("host", FAMILIES)
def test_without_the_right(host: str) -> None:
    """EPERM, and nothing is asked where the service manager has given the right already."""
    with listen(host, 0) as plain, listen(host, 0) as given:
        make_transparent(given)
        with _without_rights():
            make_transparent(given)
            with pytest.raises(OSError) as raised:
                make_transparent(plain)
        assert raised.value.errno == errno.EPERM


@needs_root
@pytest.mark.parametrize("host", FAMILIES)
@pytest.mark.parametrize("client", ["192.0.2.7", "2001:db8::7"])
def test_bind_source(host: str, client: str) -> None:
    """The address is CLIENT's, the port not chosen yet; an address of the other family is refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as dialling:
        if (":" in client) is (":" in host):
            bind_source(dialling, client)
            assert dialling.getsockname()[:2] == (client, 0)
        else:
            with pytest.raises(OSError):
                bind_source(dialling, client)
