"""Sessions that the kernel leads to the guard, in three network namespaces: client | guard | upstream.

The rules and routes are those of deploy/nftables; the client dials the upstream and nobody else. The upstream is a
stand-in that tells who connected to it, for that is the question here.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.against.audit import Audit, Event, rule_of
from tests.against.deadline import wait_until
from tests.against.inside import Heard, Seen
from tests.against.netns import CLIENT, GUARD_INSIDE, ROOT, UPSTREAM, Site, site

NFTABLES = ROOT / "deploy" / "nftables"
INSIDE = "tests.against.inside"

MESSAGE = ("MAIL FROM:<a@client.example>", "RCPT TO:<b@up.example>", "DATA", "text\r\n.", "QUIT")
"""What follows EHLO."""
ACCEPTED = ["250", "250", "354", "250", "221"]
"""How it is answered."""

both = pytest.mark.parametrize("family", [pytest.param(4, id="IPv4"), pytest.param(6, id="IPv6")])


@pytest.fixture(scope="module")
def machines() -> Iterator[Site]:
    """The machines, for all the tests here."""
    with site() as built:
        built.guard.run("sh", NFTABLES / "routes.sh", "up")
        yield built


class Stage:
    """A guard between client and upstream, and rules that lead the one to the other by it."""

    def __init__(self, machines: Site, folder: Path, rules: str) -> None:
        self.site = machines
        self.audit = Audit(folder / "audit")
        self.log = folder / "log"
        self._seen = folder / "seen"
        self._table = f"smtpguard_{rules}"

    def play(self, family: int, *lines: str) -> Heard:
        """Have the client dial the upstream's port 25."""
        heard: Heard = json.loads(self.site.client.python(INSIDE, "client", UPSTREAM[family], 25, *lines))
        assert heard["error"] == "", heard
        return heard

    def events(self, client_port: int) -> list[Event]:
        """Return what the audit has of a session that is over; its end is the last."""
        self.audit.wait_for_end(client_port)
        return [event for event in self.audit.events() if event["source"]["port"] == client_port]

    def peer(self, said: str) -> str:
        """Return the address from which somebody said a line to the upstream."""

        def heard() -> list[Seen]:
            sessions = [json.loads(line) for line in self._seen.read_text().splitlines()]
            return [session for session in sessions if said in session["lines"]]

        (session,) = wait_until(heard, f"{said} at the upstream")
        return session["ip"]

    def switch(self, verb: str) -> None:
        """Turn the bypass on (`add`) or off (`delete`)."""
        self.site.guard.run("nft", verb, "element", "inet", self._table, "bypass", "{ 25 }")

    @contextlib.contextmanager
    def client(self, family: int) -> Iterator["Talk"]:
        """Have the client dial the upstream's port 25, and go on as the test likes."""
        command = (*self.site.client.enter, sys.executable, "-m", INSIDE, "talk", UPSTREAM[family], "25")
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield Talk(process)
            finally:
                process.kill()


class Talk:
    """A session line by line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin
        assert process.stdout
        self._to, self._from = process.stdin, process.stdout
        self.greeting = self._from.readline()

    def say(self, line: str) -> str:
        """Say a line and return its reply."""
        self._to.write(line + "\n")
        self._to.flush()
        return self._from.readline()


@contextlib.contextmanager
def load(machines: Site, rules: str, *, servers: bool) -> Iterator[None]:
    """Load a file of rules for a while; the guard runs as root here."""
    text = (NFTABLES / f"{rules}.nft").read_text().replace("guard_user = smtpguard\n", "guard_user = root\n")
    machines.guard.run("nft", "-f", "-", stdin=text)
    try:
        for family, address in UPSTREAM.items():
            if servers:
                machines.guard.run(
                    "nft", "add", "element", "inet", f"smtpguard_{rules}", f"servers{family}", f"{{ {address} }}"
                )
        yield
    finally:
        machines.guard.run("nft", "delete", "table", "inet", f"smtpguard_{rules}")


@contextlib.contextmanager
def stage(
    machines: Site, folder: Path, arrival: str, send: str = "none", *, upstreams: tuple[int, ...] = (4, 6)
) -> Iterator[Stage]:
    """Start the upstream and the guard, which knows it by these IP versions, then lead the client to the guard."""
    addresses = [f"[{UPSTREAM[family]}]:25" if family == 6 else f"{UPSTREAM[family]}:25" for family in upstreams]
    settings = folder / "smtpguard.toml"
    settings.write_text(f"""
listen = ["0.0.0.0:2525", "[::]:2525"]
upstream = {json.dumps(addresses)}
audit.directory = "{folder / "audit"}"
log.target = "{folder / "log"}"
identity.arrival = "{arrival}"
identity.send = "{send}"
""")
    upstream, guard = (INSIDE, "upstream", 25), ("smtpguard", "run", "--config", settings)
    with contextlib.ExitStack() as stack:
        made = Stage(machines, folder, arrival)
        stack.enter_context(machines.upstream.running(*upstream, out=folder / "seen"))
        # The guard asks it at the start.
        wait_until(lambda: ":25" in machines.upstream.run("ss", "-Hltn"), "the upstream")
        process = stack.enter_context(machines.guard.running(*guard, out=folder / "said"))

        def started() -> bool:
            log = made.log.read_text() if made.log.exists() else ""
            assert process.poll() is None, (folder / "said").read_text() + log
            return " started: " in log

        wait_until(started, "the guard")
        stack.enter_context(load(machines, arrival, servers=True))
        if send == "transparent" and arrival != "tproxy":
            stack.enter_context(load(machines, "tproxy", servers=False))
        yield made


def codes(heard: Heard) -> list[str]:
    """Return the reply codes."""
    return [reply[:3] for reply in heard["replies"]]


@pytest.mark.parametrize("arrival", ["redirect", "tproxy"])
def test_the_destination_that_was_dialled(machines: Site, tmp_path: Path, arrival: str) -> None:
    """The audit names client and destination as the client knows them, and how it came; a violation has its 503."""
    with stage(machines, tmp_path, arrival) as played:
        for family in (4, 6):
            hello = f"EHLO by-ipv{family}.example"
            heard = played.play(family, hello, "RCPT TO:<b@up.example>", *MESSAGE)
            assert codes(heard) == ["220", "250", "503", *ACCEPTED]
            events = played.events(heard["port"])
            (finding,) = (event for event in events if rule_of(event))
            assert rule_of(finding) == "SG102"
            assert (finding["destination"]["ip"], finding["destination"]["port"]) == (UPSTREAM[family], 25)
            for event in events:
                assert (event["source"]["ip"], event["source"]["port"]) == (CLIENT[family], heard["port"])
                assert event["smtp"]["session"]["via"] == arrival
            assert played.peer(hello) in GUARD_INSIDE.values()


@pytest.mark.parametrize("arrival", ["redirect", "tproxy"])
def test_the_upstream_sees_the_client(machines: Site, tmp_path: Path, arrival: str) -> None:
    """`transparent`: the upstream's peer has the client's own address, and the guard still says its 503."""
    with stage(machines, tmp_path, arrival, "transparent") as played:
        for family in (4, 6):
            hello = f"EHLO by-ipv{family}.example"
            heard = played.play(family, hello, "RCPT TO:<b@up.example>", *MESSAGE)
            assert codes(heard) == ["220", "250", "503", *ACCEPTED]
            assert played.peer(hello) == CLIENT[family]
            finding, *_ = (event for event in played.events(heard["port"]) if rule_of(event))
            assert (finding["source"]["ip"], rule_of(finding)) == (CLIENT[family], "SG102")


def test_one_family_does_not_harm_the_other(machines: Site, tmp_path: Path) -> None:
    """An UPSTREAM without an address of the client's family is not down for that: it serves the next client at once."""
    with stage(machines, tmp_path, "tproxy", "transparent") as played:
        for family in (4, 6, 6, 6, 4):
            assert codes(played.play(family, "EHLO a.example")) == ["220", "250"], family
    # Its log is whole now.
    assert "is down" not in played.log.read_text()


def test_no_upstream_of_the_family(machines: Site, tmp_path: Path) -> None:
    """Its clients hear 421, and the others nothing of it."""
    with stage(machines, tmp_path, "tproxy", "transparent", upstreams=(4,)) as played:
        for family, heard in ((4, ["220", "250"]), (6, ["421", ""]), (4, ["220", "250"])):
            assert codes(played.play(family, "EHLO a.example")) == heard, family


@both
@pytest.mark.parametrize(("arrival", "send"), [("redirect", "none"), ("tproxy", "transparent")])
def test_the_switch(machines: Site, tmp_path: Path, arrival: str, send: str, family: int) -> None:
    """A session under way stays with the guard, new clients go to the upstream, and back again."""
    misplaced, answers = "RCPT TO:<b@up.example>", ["220", "250", "503"]
    with stage(machines, tmp_path, arrival, send) as played, played.client(family) as talk:
        assert talk.say("EHLO under-way.example").startswith("250")
        played.switch("add")
        assert talk.say(misplaced).startswith("503")
        # The stand-in knows no order.
        assert codes(played.play(family, "EHLO direct.example", misplaced)) == ["220", "250", "250"]
        assert played.peer("EHLO direct.example") == CLIENT[family]
        played.switch("delete")
        assert codes(played.play(family, "EHLO again.example", misplaced)) == answers
        assert talk.say("QUIT").startswith("221")
