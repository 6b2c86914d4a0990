"""Three machines in one: client | guard | upstream, network namespaces that a test makes and takes away again.

    client     192.0.2.2      2001:db8:1::2
    guard      192.0.2.1      2001:db8:1::1      and 198.51.100.1   2001:db8:2::1; it forwards
    upstream   198.51.100.2   2001:db8:2::2

The addresses are those of documentation (RFC 5737, RFC 3849) and exist inside alone: nothing leads out. The kernel has
to let us: root, and nft with address translation and tproxy.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.against.deadline import ended
from tests.against.programs import need_root, program

ROOT: Final = Path(__file__).parents[2]

CLIENT: Final = {4: "192.0.2.2", 6: "2001:db8:1::2"}
"""By IP version."""
GUARD: Final = {4: "192.0.2.1", 6: "2001:db8:1::1"}
"""What the client sees of it."""
GUARD_INSIDE: Final = {4: "198.51.100.1", 6: "2001:db8:2::1"}
"""What the upstream sees of it."""
UPSTREAM: Final = {4: "198.51.100.2", 6: "2001:db8:2::2"}

NEEDED: Final = """
table inet trial {
    chain translate {
        type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local tcp dport 25 redirect to :2525
    }
    chain hand_over {
        type filter hook prerouting priority mangle; policy accept;
        meta l4proto tcp socket transparent 1 meta mark set 25 accept
        tcp dport 25 meta nfproto ipv4 tproxy ip to :2525 meta mark set 25
        tcp dport 25 meta nfproto ipv6 tproxy ip6 to :2525 meta mark set 25
    }
}
"""
"""What a kernel must know for deploy/nftables."""


class Namespace:
    """One machine; `enter` in front of a command has it run there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.enter = ("ip", "netns", "exec", name)

    def run(self, *command: object, stdin: str = "", code: int = 0) -> str:
        """Run a command to its end and return all that it prints; it must end with this exit code."""
        return run(*self.enter, *command, stdin=stdin, code=code)

    def python(self, *arguments: object) -> str:
        """The same for a module of this interpreter."""
        return self.run(sys.executable, "-m", *arguments)

    def set(self, switch: str, value: int) -> None:
        """Set a switch of the kernel (sysctl)."""
        self.run("sh", "-c", f"echo {value} >/proc/sys/{switch.replace('.', '/')}")

    @contextlib.contextmanager
    def running(self, *arguments: object, out: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Keep a module of this interpreter running; what it prints is in `out`. SIGTERM ends it, or SIGKILL."""
        # `ip netns exec` becomes the command itself, so the process is the module's.
        command = (*self.enter, sys.executable, "-m", *map(str, arguments))
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with out.open("wb") as said:
            process = subprocess.Popen(
                command, cwd=out.parent, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        try:
            yield process
        finally:
            ended(process)


def run(*command: object, stdin: str = "", code: int = 0) -> str:
    """Run a command to its end and return all that it prints; it must end with this exit code."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=ROOT, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, f"{' '.join(words)} ended with {done.returncode}\n{done.stdout}"
    return done.stdout


def need_namespaces() -> None:
    """Skip where we may not make namespaces, or where the kernel lacks what deploy/nftables asks for."""
    need_root("a network namespace")
    for name in ("ip", "nft"):
        program(name)
    try:
        with namespaces("trial") as (trial,):
            trial.run("nft", "-f", "-", stdin=NEEDED)
    except AssertionError as refused:
        pytest.skip(f"this kernel refuses: {refused}")


@contextlib.contextmanager
def namespaces(*names: str) -> Iterator[Sequence[Namespace]]:
    """Make namespaces, loopback up; their names are this process's own. Whatever happens, they go again."""
    with ExitStack() as stack:
        made = [Namespace(f"smtpguard-{os.getpid()}-{name}") for name in names]
        for namespace in made:
            run("ip", "netns", "add", namespace.name)
            # With a namespace go its interfaces, routes and rules.
            stack.callback(run, "ip", "netns", "del", namespace.name)
            # Else no address of IPv6 is of any use for the first two seconds, until nobody else has claimed it.
            namespace.set("net.ipv6.conf.default.accept_dad", 0)
            namespace.run("ip", "link", "set", "lo", "up")
        yield made


class Site:
    """The three machines, connected."""

    def __init__(self, client: Namespace, guard: Namespace, upstream: Namespace) -> None:
        self.client = client
        self.guard = guard
        self.upstream = upstream
        _cable((client, CLIENT), (guard, GUARD), "outside")
        _cable((upstream, UPSTREAM), (guard, GUARD_INSIDE), "inside")
        for family in (4, 6):
            client.run("ip", f"-{family}", "route", "add", "default", "via", GUARD[family])
            upstream.run("ip", f"-{family}", "route", "add", "default", "via", GUARD_INSIDE[family])
        for switch in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            guard.set(switch, 1)


def _cable(leaf: tuple[Namespace, dict[int, str]], hub: tuple[Namespace, dict[int, str]], name: str) -> None:
    """Connect two machines; the interface has the same name in both."""
    run("ip", "-n", leaf[0].name, "link", "add", name, "type", "veth", "peer", "name", name, "netns", hub[0].name)
    for namespace, addresses in (leaf, hub):
        namespace.run("ip", "address", "add", f"{addresses[4]}/24", "dev", name)
        namespace.run("ip", "address", "add", f"{addresses[6]}/64", "dev", name)
        namespace.run("ip", "link", "set", name, "up")


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """Build the three machines, or skip the test."""
    need_namespaces()
    with namespaces("client", "guard", "upstream") as (client, guard, upstream):
        yield Site(client, guard, upstream)
