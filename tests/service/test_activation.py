"""Sockets passed by the service manager: real ones, passed to ourselves."""

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from smtpguard.config import Address
from smtpguard.service import activation
from smtpguard.service.activation import ActivationError, Inherited, assign, claim, inherited
from tests.net.loopback import descriptors, has_ipv6

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")

FIRST = 200
"""Where these tests put the passed descriptors: 3 is pytest's."""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test opened."""
    with ExitStack() as stack:
        yield stack


def listening(stack: ExitStack, host: str = "127.0.0.1") -> socket.socket:
    """Return a listener as systemd makes one: blocking."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return stack.enter_context(socket.create_server((host, 0), family=family))


def environment(count: int | str, *, pid: int | str = os.getpid(), names: str = "") -> dict[str, str]:
    """Return the variables of sd_listen_fds(3)."""
    return {"LISTEN_PID": str(pid), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names}


def passed(stack: ExitStack, *sockets: socket.socket, names: str = "") -> tuple[Inherited, ...]:
    """Pass sockets to ourselves, as exec would: inheritable, at FIRST and above."""
    for place, one in enumerate(sockets):
        os.dup2(one.fileno(), FIRST + place, inheritable=True)
    taken = inherited(environment(len(sockets), names=names), first=FIRST)
    for each in taken:
        stack.enter_context(each.socket)
    return taken


def address_of(one: socket.socket) -> Address:
    """Return where a socket is bound."""
    host, port = one.getsockname()[:2]
    return Address(host, port)


def test_a_passed_socket(stack: ExitStack) -> None:
    """It has its name and address, is non-blocking, not inherited further, and accepts without Nagle's delay."""
    original = listening(stack)
    (taken,) = passed(stack, original, names="smtp")
    assert taken.name == "smtp"
    assert str(taken) == f"127.0.0.1:{original.getsockname()[1]} (smtp)"
    assert taken.socket.getblocking() is False
    assert fcntl.fcntl(taken.socket, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    client = stack.enter_context(socket.create_connection(original.getsockname()))
    accepted, peer = taken.socket.accept()
    with accepted:
        assert peer == client.getsockname()
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_names(stack: ExitStack) -> None:
    """Names go by place; a socket without one is called as systemd calls it."""
    taken = passed(stack, listening(stack), listening(stack), listening(stack), names="one:two")
    assert [each.name for each in taken] == ["one", "two", "unknown"]


def test_the_variables_are_taken_out() -> None:
    """Children do not inherit them; the rest of the environment stays."""
    environ = environment(0, names="a:b") | {"HOME": "/"}
    assert inherited(environ) == ()
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        environment(0),
        {"LISTEN_PID": str(os.getpid())},
        # Meant for our parent: a shell in ExecStart= that forgot `exec`.
        environment(5, pid=os.getppid()),
        {"LISTEN_FDS": "5"},
    ],
)
def test_nothing_was_passed(environ: dict[str, str]) -> None:
    """No variables, no sockets, or sockets of another process: the listeners are opened in the plain way."""
    assert inherited(environ) == ()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (environment(1, pid="me"), "LISTEN_PID = me: a whole number, set by systemd; start smtpguard without it"),
        (environment("-1"), "LISTEN_FDS = -1: a whole number, set by systemd; start smtpguard without it"),
    ],
)
def test_a_variable_that_is_no_number(environ: dict[str, str], message: str) -> None:
    """The message names the variable."""
    with pytest.raises(ActivationError) as raised:
        inherited(environ)
    assert str(raised.value) == message


def unix(stack: ExitStack, folder: Path) -> int:
    """Return a listening unix socket: ListenStream=/path."""
    made = stack.enter_context(socket.socket(socket.AF_UNIX))
    made.bind(str(folder / "socket"))
    made.listen()
    return made.fileno()


def datagram(stack: ExitStack, _: Path) -> int:
    """Return a UDP socket: ListenDatagram=25."""
    return stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).fileno()


def connection(stack: ExitStack, _: Path) -> int:
    """Return a connection: Accept=yes."""
    return stack.enter_context(socket.create_connection(listening(stack).getsockname())).fileno()


def a_file(stack: ExitStack, folder: Path) -> int:
    """Return a plain file: the unit has no socket at all, or OpenFile=."""
    return stack.enter_context((folder / "file").open("wb")).fileno()


@pytest.mark.parametrize(
    ("make", "cure"),
    [
        (unix, " is no listening TCP socket: use ListenStream=ADDRESS:25 instead of a path in the .socket unit"),
        (datagram, " is no listening TCP socket: use ListenStream= instead of ListenDatagram= in the .socket unit"),
        (connection, " is no listening TCP socket: use Accept=no in the .socket unit"),
        (a_file, ": Socket operation on non-socket: use ListenStream=ADDRESS:25 in the .socket unit"),
    ],
)
def test_not_a_listening_tcp_socket(
    stack: ExitStack, tmp_path: Path, make: Callable[[ExitStack, Path], int], cure: str
) -> None:
    """Each kind is refused with the option to mend, and no socket that was taken before it stays open."""
    os.dup2(listening(stack).fileno(), FIRST)
    os.dup2(make(stack, tmp_path), FIRST + 1)
    with pytest.raises(ActivationError) as raised:
        inherited(environment(2, names="good:bad"), first=FIRST)
    assert str(raised.value) == f"LISTEN_FDS: descriptor {FIRST + 1} (bad){cure}"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(FIRST)
    if make is a_file:
        os.close(FIRST + 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(FIRST + 1)


def test_another_protocol(stack: ExitStack) -> None:
    """A stream socket that is not TCP is refused: SocketProtocol=sctp. (A kernel without SCTP cannot make one.)"""
    descriptor = os.dup(listening(stack).fileno())
    named = stack.enter_context(
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP, fileno=descriptor)
    )
    assert activation._mistake(named) == "no SocketProtocol="


def test_a_descriptor_that_is_not_there() -> None:
    """More descriptors promised than passed: the message says which."""
    with pytest.raises(ActivationError) as raised:
        inherited(environment(1), first=FIRST)
    assert str(raised.value).startswith(f"LISTEN_FDS: descriptor {FIRST} (unknown): Bad file descriptor: use ")


def test_claim_by_address(stack: ExitStack) -> None:
    """The socket is the one bound to the address, whatever its name; a host name is as good as its address."""
    one, two = listening(stack), listening(stack)
    taken = passed(stack, one, two, names="same:same")
    assert claim(taken, address_of(two)) is taken[1].socket
    assert claim(taken, Address("localhost", one.getsockname()[1])) is taken[0].socket
    assert claim(taken, Address("127.0.0.2", one.getsockname()[1])) is None
    assert claim(taken, Address("no-such-name.invalid", one.getsockname()[1])) is None


@needs_ipv6
def test_claim_of_ipv6(stack: ExitStack) -> None:
    """IPv6 addresses are compared as addresses; the wildcards of the two families are two addresses."""
    six = listening(stack, "::")
    taken = passed(stack, six)
    port = six.getsockname()[1]
    assert claim(taken, Address("::", port)) is taken[0].socket
    assert claim(taken, Address("0:0::0", port)) is taken[0].socket
    assert claim(taken, Address("0.0.0.0", port)) is None


def test_assign(stack: ExitStack) -> None:
    """Each configured address gets its socket, in the configuration's order; one without must be opened."""
    one, two = listening(stack), listening(stack)
    taken = passed(stack, one, two)
    addresses = [address_of(two), Address("192.0.2.1", 25), address_of(one)]
    assert assign(taken, addresses) == (taken[1].socket, None, taken[0].socket)
    assert assign((), addresses) == (None, None, None)


def test_a_socket_that_nobody_listens_on(stack: ExitStack) -> None:
    """Its clients would wait for ever: the message names both sides, and no socket stays open."""
    one, two = listening(stack), listening(stack)
    before = descriptors()
    taken = passed(stack, one, two, names="smtp:extra")
    with pytest.raises(ActivationError) as raised:
        assign(taken, [address_of(one), Address("::", 25)])
    assert str(raised.value) == (
        f"LISTEN_FDS: the .socket unit passes {address_of(two)} (extra), and the configuration listens on "
        f"{address_of(one)}, [::]:25: write the same addresses after ListenStream= and in the configuration"
    )
    assert descriptors() == before
