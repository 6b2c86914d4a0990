"""Listening sockets: IPv4, IPv6, both behind one, and what may be wrong."""

import errno
import fcntl
import os
import socket

import pytest

from smtpguard.net import listen
from tests.net.loopback import descriptors, has_ipv6

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")


def _reaches(port: int, host: str) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_listener_of_ipv4() -> None:
    """It is non-blocking, not inherited by children, and what it accepts does not wait for delayed ACKs."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.getblocking() is False
        assert fcntl.fcntl(listener, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        with pytest.raises(BlockingIOError):
            listener.accept()
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@needs_ipv6
def test_one_listener_takes_both() -> None:
    """`[::]` is dual stack, whatever net.ipv6.bindv6only says."""
    with listen("::", 0) as listener:
        port = listener.getsockname()[1]
        assert _reaches(port, "127.0.0.1")
        assert _reaches(port, "::1")


@needs_ipv6
def test_beside_ipv4_on_the_same_port() -> None:
    """`[::]` with `only_v6` leaves the port on 0.0.0.0 to another listener, and does not take its clients."""
    with listen("::", 0, only_v6=True) as six:
        port = six.getsockname()[1]
        assert not _reaches(port, "127.0.0.1")
        with listen("0.0.0.0", port) as four:
            assert _reaches(port, "127.0.0.1")
            accepted, peer = four.accept()
            accepted.close()
            assert peer[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "error"),
    [("192.0.2.1", errno.EADDRNOTAVAIL), ("no-such-name.invalid", socket.EAI_NONAME)],
)
def test_an_address_that_is_not_ours(host: str, error: int) -> None:
    """OSError says why, and no descriptor is left."""
    before = descriptors()
    with pytest.raises(OSError) as raised:
        listen(host, 0)
    # A machine without a resolver says EAI_AGAIN of any name.
    assert raised.value.errno in (error, socket.EAI_AGAIN)
    assert descriptors() == before


def test_a_port_in_use() -> None:
    """EADDRINUSE although SO_REUSEADDR is set, and no descriptor is left."""
    with listen("127.0.0.1", 0) as first:
        before = descriptors()
        with pytest.raises(OSError) as raised:
            listen("127.0.0.1", first.getsockname()[1])
        assert raised.value.errno == errno.EADDRINUSE
        assert descriptors() == before


def test_a_port_that_was_in_use_a_moment_ago() -> None:
    """A restart finds its port free although connections of the last run are in TIME_WAIT."""
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = first.accept()
        accepted.close()
        assert client.recv(1) == b""
        client.close()
    with listen("127.0.0.1", port) as second:
        assert os.fstat(second.fileno())
