"""deploy/nftables: rules and routes loaded for real, in network namespaces, with a witness in the guard's place."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smtpguard.config import listeners_of, load
from smtpguard.net.arrival import IP_TRANSPARENT
from tests.against.deadline import wait_until
from tests.against.inside import Heard, Seen, Told
from tests.against.netns import CLIENT, GUARD, UPSTREAM, Site, namespaces, need_namespaces, site
from tests.deploy.artefacts import DEPLOY, run

FOLDER = DEPLOY / "nftables"
RULES = {name: FOLDER / f"{name}.nft" for name in ("redirect", "tproxy")}
ROUTES = FOLDER / "routes.sh"
INSIDE = "tests.against.inside"
GREETING = "220 up.example ESMTP"
"""What the upstream itself says."""
TRANSPARENT = f"import socket; socket.socket().setsockopt(socket.IPPROTO_IP, {IP_TRANSPARENT}, 1)"

both = pytest.mark.parametrize("family", [pytest.param(4, id="IPv4"), pytest.param(6, id="IPv6")])


def text(name: str, user: str = "root") -> str:
    """Return a file of rules, for the user that the witness is."""
    found = RULES[name].read_text()
    return found.replace("define guard_user = smtpguard\n", f"define guard_user = {user}\n")


class Stage:
    """The three machines, with the upstream in one and the witness in another."""

    def __init__(self, built: Site, seen: Path) -> None:
        self.site = built
        self._seen = seen

    def load(self, name: str, *, servers: bool = True) -> None:
        """Load a file of rules, and name the upstream as a server behind."""
        self.site.guard.run("nft", "-f", "-", stdin=text(name))
        for family, address in UPSTREAM.items():
            if servers:
                self.switch("add", name, f"servers{family}", address)

    def switch(self, verb: str, name: str, where: str = "bypass", element: str = "25") -> None:
        """Add or delete an element of a set."""
        self.site.guard.run("nft", verb, "element", "inet", f"smtpguard_{name}", where, f"{{ {element} }}")

    def routes(self, verb: str) -> None:
        """Run routes.sh."""
        self.site.guard.run("sh", ROUTES, verb)

    def dial(self, host: str) -> Heard:
        """Have the client play a session."""
        heard: Heard = json.loads(self.site.client.python(INSIDE, "client", host, 25))
        return heard

    def testimony(self, host: str) -> Told:
        """The same where the witness answers."""
        heard = self.dial(host)
        assert heard["error"] == "", heard
        told: Told = json.loads(heard["replies"][0].removeprefix("220 "))
        return told

    def passes(self, family: int) -> bool:
        """Tell whether the client reaches the upstream itself."""
        return self.dial(UPSTREAM[family])["replies"] == [GREETING]

    def seen(self) -> list[Seen]:
        """Return whom the upstream met with so far."""
        return [json.loads(line) for line in self._seen.read_text().splitlines()]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage whose witness dials the upstream, if it has the routes for it."""
    witness, upstream = (INSIDE, "witness", 2525, *UPSTREAM.values()), (INSIDE, "upstream", 25)
    with (
        site() as built,
        built.upstream.running(*upstream, out=tmp_path / "seen"),
        built.guard.running(*witness, out=tmp_path / "witness"),
    ):
        made = Stage(built, tmp_path / "seen")
        wait_until(lambda: made.passes(4), "the upstream")
        wait_until(lambda: ":2525" in built.guard.run("ss", "-Hltn"), "the witness")
        yield made


@pytest.mark.parametrize("name", RULES)
def test_the_rules_are_understood(name: str) -> None:
    """`nft -c -f` takes them, and loading them twice leaves what loading once does."""
    need_namespaces()
    with namespaces("rules") as (machine,):
        machine.run("nft", "-c", "-f", "-", stdin=text(name))
        machine.run("nft", "-f", "-", stdin=text(name))
        once = machine.run("nft", "list", "ruleset")
        machine.run("nft", "-f", "-", stdin=text(name))
        assert machine.run("nft", "list", "ruleset") == once
        machine.run("nft", "delete", "table", "inet", f"smtpguard_{name}")
        assert machine.run("nft", "list", "ruleset") == ""


def test_the_user_of_the_loop_guard() -> None:
    """Without the user the rules are not loaded at all: a guard that is redirected to itself cannot come about."""
    need_namespaces()
    with namespaces("rules") as (machine,):
        said = machine.run("nft", "-f", "-", stdin=text("redirect", user="no-such-user"), code=1)
        assert "User does not exist" in said
        assert machine.run("nft", "list", "ruleset") == ""


def test_the_script_is_clean() -> None:
    """The shell's linter has nothing to say."""
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is missing: apt-get install shellcheck")
    done = subprocess.run(["shellcheck", ROUTES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_routes_come_and_go() -> None:
    """`up` twice leaves one rule of each family, `down` twice the machine as it was."""
    need_namespaces()
    with namespaces("routes") as (machine,):

        def state() -> list[str]:
            routes = [["rule"], ["route", "show", "table", "all"]]
            return [machine.run("ip", family, *what) for family in ("-4", "-6") for what in routes]

        before = state()
        for _ in range(2):
            machine.run("sh", ROUTES, "up")
        there = state()
        assert [there[place].count("fwmark 0x19 lookup 25") for place in (0, 2)] == [1, 1]
        assert [there[place].count("local default dev lo table 25") for place in (1, 3)] == [1, 1]
        for _ in range(2):
            machine.run("sh", ROUTES, "down")
        assert state() == before
        machine.run("sh", ROUTES, "sideways", code=2)


@both
def test_redirect(stage: Stage, family: int) -> None:
    """The original destination is known, for a server behind this machine and for this machine's own address."""
    stage.load("redirect")
    stage.load("tproxy", servers=False)
    stage.routes("up")
    for dialled in (UPSTREAM[family], GUARD[family]):
        told = stage.testimony(dialled)
        assert (told["peer"], told["original"]) == (CLIENT[family], [dialled, 25])
        assert (told["name"], told["port"]) == (GUARD[family], 2525)
        # identity.send = "transparent" with it: the rules of both files bear each other.
        assert told["upstream"].startswith(GREETING)


@both
def test_redirect_of_own_programs(stage: Stage, family: int) -> None:
    """A program of this machine meets the witness; the user of the loop guard goes out untouched."""
    stage.load("redirect")
    greeting = ("bash", "-c", f"exec 3<>/dev/tcp/{UPSTREAM[family]}/25 && head -n 1 <&3")
    nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    told: Told = json.loads(stage.site.guard.run(*nobody, *greeting).removeprefix("220 "))
    assert told["original"] == [UPSTREAM[family], 25]
    assert stage.site.guard.run(*greeting).strip() == GREETING


@both
def test_tproxy(stage: Stage, family: int) -> None:
    """Nothing is translated: the socket's name is what the client dialled, and the upstream sees the client."""
    stage.load("tproxy")
    stage.routes("up")
    before = len(stage.seen())
    told = stage.testimony(UPSTREAM[family])
    assert (told["peer"], told["name"], told["port"]) == (CLIENT[family], UPSTREAM[family], 25)
    assert told["original"] is None
    assert told["upstream"].startswith(GREETING)
    (seen,) = wait_until(lambda: stage.seen()[before:], "the upstream's word")
    assert seen["ip"] == CLIENT[family]


@both
def test_sending_needs_the_rules(stage: Stage, family: int) -> None:
    """The proof that they matter: without them the upstream's answers go to the client, which knows nothing of it."""
    stage.load("redirect")
    assert stage.testimony(GUARD[family])["upstream"] == "timed out"


@both
@pytest.mark.parametrize("name", RULES)
def test_bypass(stage: Stage, name: str, family: int) -> None:
    """With the switch on clients go to the server; off, and they meet the witness again."""
    stage.load(name)
    stage.routes("up")
    assert not stage.passes(family)
    stage.switch("add", name)
    assert stage.passes(family)
    stage.switch("delete", name)
    assert not stage.passes(family)


@both
@pytest.mark.parametrize("name", RULES)
def test_a_guard_that_is_down(stage: Stage, name: str, family: int) -> None:
    """Nobody gets to the server unguarded, until the switch says so; taken away, all is as it was."""
    stage.load(name)
    stage.routes("up")
    rules = text(name).replace(":2525", ":2526")
    assert rules.count(":2526") >= 2
    stage.site.guard.run("nft", "-f", "-", stdin=rules)
    stage.switch("add", name, f"servers{family}", UPSTREAM[family])
    heard = stage.dial(UPSTREAM[family])
    assert heard["error"] in {"timed out", "[Errno 111] Connection refused"}
    stage.switch("add", name)
    assert stage.passes(family)
    stage.switch("delete", name)
    stage.site.guard.run("nft", "delete", "table", "inet", f"smtpguard_{name}")
    stage.routes("down")
    assert stage.passes(family)


README = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_settings_of_the_readme(tmp_path: Path) -> None:
    """They are understood, with the addresses of the drop-ins, and there is one example of each arrival."""
    arrivals = []
    for number, lines in enumerate(re.findall(r"```toml\n(.*?)```", README, re.DOTALL)):
        path = tmp_path / f"{number}.toml"
        path.write_text('upstream = ["192.0.2.10:25"]\n' + lines)
        listeners = listeners_of(load(path).config)
        (arrival,) = {listener.identity.arrival.value for listener in listeners}
        arrivals.append(arrival)
        listening = [str(address) for listener in listeners for address in listener.addresses]
        opened = re.findall(r"^ListenStream=(.+)$", (FOLDER / f"{arrival}-socket.conf").read_text(), re.MULTILINE)
        assert opened == listening
    assert arrivals == list(RULES)


def test_the_readme_knows_every_file() -> None:
    """Each has its place in the first table."""
    table = README.split("## Which one")[0]
    assert {path.name for path in FOLDER.iterdir()} == {*re.findall(r"`([\w.-]+\.\w+)`", table), "README.md"}


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units of deploy/systemd beside the drop-ins of this folder, the program replaced by one that exists."""
    for unit in ("smtpguard.service", "smtpguard.socket"):
        written = (DEPLOY / "systemd" / unit).read_text()
        (tmp_path / unit).write_text(written.replace("/opt/smtpguard/bin/smtpguard", "/bin/true"))
        (tmp_path / f"{unit}.d").mkdir()
    shutil.copy(FOLDER / "smtpguard-routes.service", tmp_path)
    return tmp_path


def verify(unit: Path, code: int = 0) -> str:
    """Return what systemd says of a unit."""
    return run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit, code=code)


@pytest.mark.parametrize(
    ("unit", "drop_in"),
    [
        ("smtpguard.service", "transparent.conf"),
        ("smtpguard.socket", "redirect-socket.conf"),
        ("smtpguard.socket", "tproxy-socket.conf"),
    ],
)
def test_drop_ins(units: Path, unit: str, drop_in: str) -> None:
    """Systemd knows every option, and would notice a misspelt one."""
    place = units / f"{unit}.d" / drop_in
    shutil.copy(FOLDER / drop_in, place)
    assert "smtpguard" not in verify(units / unit)
    place.write_text(re.sub(r"^(\w+)=", r"\1X=", place.read_text(), count=1, flags=re.MULTILINE))
    assert "Unknown key" in verify(units / unit, code=1)


def test_the_unit_of_the_routes(units: Path) -> None:
    """Systemd knows its options; it runs the script by the shell, as an administrator would."""
    unit = units / "smtpguard-routes.service"
    assert "smtpguard-routes" not in verify(unit)
    assert re.findall(r"^Exec\w+=/bin/sh /etc/smtpguard/routes\.sh (.*)$", unit.read_text(), re.MULTILINE) == [
        "up",
        "down",
    ]


def test_the_right_that_is_given() -> None:
    """The capability of the drop-in is enough for a transparent socket, and without any it is refused."""
    need_namespaces()
    given = re.findall(r"^AmbientCapabilities=CAP_(.*)$", (FOLDER / "transparent.conf").read_text(), re.MULTILINE)
    assert given == ["NET_RAW"]
    for rights, allowed in (("-all,+net_raw", True), ("-all", False)):
        # What root may have after an exec is the bounding set.
        words = ("setpriv", f"--inh-caps={rights}", f"--bounding-set={rights}", sys.executable, "-c", TRANSPARENT)
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert (done.returncode == 0) is allowed, done.stderr
