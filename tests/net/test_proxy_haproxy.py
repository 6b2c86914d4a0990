"""The PROXY protocol with HAProxy itself on the other side: what it sends is read, what we send it takes.

HAProxy is given its listening socket, so that no port is guessed and no connection is made to see whether it listens.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme

from smtpguard.net.proxy import Header, HeaderReader, header_v1, header_v2
from tests.against.haproxy import running
from tests.net.loopback import DEADLINE, has_ipv6

Ends = tuple[tuple[str, int], socket.socket]

TELL_ALL = "send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,unique-id,crc32c,authority"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate with its key."""
    path = tmp_path / "server.pem"
    trustme.CA().issue_cert("mail.example").private_key_and_cert_chain_pem.write_to_path(path)
    return path


@contextmanager
def between(folder: Path, server: str, bind: str = "", host: str = "127.0.0.1") -> Iterator[Ends]:
    """Run HAProxy; hand out where it listens, and the listener to which it connects."""
    with ExitStack() as stack:
        behind = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        behind.settimeout(DEADLINE)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        front = stack.enter_context(socket.create_server((host, 0), family=family))
        lines = (
            f"bind fd@{front.fileno()} {bind}",
            "unique-id-format session-%[src_port]-%[fc_pp_unique_id]",
            f"server next 127.0.0.1:{behind.getsockname()[1]} {server}",
        )
        stack.enter_context(running(folder, lines, [front.fileno()]))
        yield front.getsockname()[:2], behind


def arrived(behind: socket.socket) -> tuple[Header, bytes]:
    """Accept, read a header as it is wanted, and what stands behind it up to 6 octets."""
    connection, _ = behind.accept()
    with connection:
        connection.settimeout(DEADLINE)
        reader, header = HeaderReader(), None
        while reader.wanted:
            octets = connection.recv(reader.wanted)
            assert octets, f"ended after {reader.got} octets"
            header = reader.put(octets)
        assert header
        return header, connection.recv(6) if not header.local else b""


def told(header: Header) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return both endpoints."""
    return (header.source_ip, header.source_port), (header.destination_ip, header.destination_port)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(
    ("server", "version"), [("send-proxy", 1), ("send-proxy-v2", 2), ("send-proxy-v2-ssl", 2), (TELL_ALL, 2)]
)
def test_headers_of_haproxy(tmp_path: Path, host: str, server: str, version: int) -> None:
    """CLIENT's own endpoints arrive, the unique id where HAProxy was told to send it, and CLIENT's octets behind."""
    if host == "::1" and not has_ipv6():
        pytest.skip("no IPv6 on loopback")
    with (
        between(tmp_path, server, host=host) as (front, behind),
        socket.create_connection(front, DEADLINE) as client,
    ):
        client.sendall(b"NOOP\r\n")
        header, rest = arrived(behind)
        assert told(header) == (client.getsockname()[:2], front)
        assert (header.version, header.local, header.tls, rest) == (version, False, False, b"NOOP\r\n")
        unique_id = f"session-{client.getsockname()[1]}-".encode() if server == TELL_ALL else b""
        assert header.unique_id == unique_id


def test_tls_before_haproxy(tmp_path: Path, certificate: Path) -> None:
    """Where HAProxy ends the TLS, its version arrives."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    bind = f"ssl crt {certificate}"
    with (
        between(tmp_path, TELL_ALL, bind) as (front, behind),
        socket.create_connection(front, DEADLINE) as plain,
        context.wrap_socket(plain, server_hostname="mail.example") as client,
    ):
        client.sendall(b"NOOP\r\n")
        header, rest = arrived(behind)
        assert told(header) == (client.getsockname(), front)
        assert (header.tls, header.tls_version, rest) == (True, client.version(), b"NOOP\r\n")


def test_probe_of_haproxy(tmp_path: Path) -> None:
    """A health check says that it is HAProxy's own connection."""
    with between(tmp_path, "send-proxy-v2 check check-send-proxy inter 1s") as (_, behind):
        assert arrived(behind) == (Header(version=2, local=True), b"")


def ended(client: socket.socket) -> bool:
    """Tell that HAProxy closed the connection, with or without a reset."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


SOURCES = [(("198.51.100.7", 43122), ("192.0.2.25", 25)), (("2001:db8::7", 43122), ("2001:db8::25", 25))]


@pytest.mark.parametrize(("source", "destination"), SOURCES)
@pytest.mark.parametrize("version", [1, 2])
def test_haproxy_takes_ours(
    tmp_path: Path, source: tuple[str, int], destination: tuple[str, int], version: int
) -> None:
    """HAProxy reads our header, checks its checksum, and tells the same endpoints in its own header."""
    written = header_v1(source, destination)
    if version == 2:
        written = header_v2(source, destination, session_id="01JDFZ8Q0V7M", tls_version="TLSv1.3", cipher="AES")
    with (
        between(tmp_path, TELL_ALL, "accept-proxy") as (front, behind),
        socket.create_connection(front, DEADLINE) as client,
    ):
        client.sendall(written + b"NOOP\r\n")
        header, rest = arrived(behind)
    assert (told(header), rest) == ((source, destination), b"NOOP\r\n")
    assert header.unique_id == (b"session-43122-01JDFZ8Q0V7M" if version == 2 else b"session-43122-")


def test_haproxy_refuses_a_wrong_checksum(tmp_path: Path) -> None:
    """So the checksum of the test above was really looked at."""
    written = bytearray(header_v2(*SOURCES[0], session_id="01JDFZ8Q0V7M"))
    written[-1] ^= 1
    with (
        between(tmp_path, "send-proxy", "accept-proxy") as (front, _),
        socket.create_connection(front, DEADLINE) as client,
    ):
        client.sendall(written)
        assert ended(client)
