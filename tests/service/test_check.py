"""Would `run` start? Each row, of machines that are well and of machines that are not."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from smtpguard.config import Loaded, Mistake, load
from smtpguard.service import check as checks
from smtpguard.service.check import Examined, Outcome, examine, examine_upstreams
from smtpguard.service.holder import Holder
from tests.against.deadline import free_port
from tests.net.loopback import descriptors
from tests.service.mx import REFUSES, RELAYS, Mx

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root can act as another account")


def loaded(*assignments: str, listen: Sequence[str] = (), upstream: str = "127.0.0.1:9") -> Loaded:
    """Return settings: a free port of loopback, and what else is wanted."""
    addresses = list(listen) or [f"127.0.0.1:{free_port()}"]
    flags = {"--listen": (("listen",), addresses), "--upstream": (("upstream",), [upstream])}
    return load(flags=flags, assignments=assignments)


def rows(source: Loaded, check: str) -> list[Examined]:
    """Return the rows of one check."""
    return [row for row in examine(source) if row.check == check]


def row(source: Loaded, check: str) -> Examined:
    """Return the only row of one check."""
    (only,) = rows(source, check)
    return only


def test_all_good(tmp_path: Path) -> None:
    """Nothing is bad on a good machine, nothing is left behind: no file, no descriptor, no port."""
    source = loaded(f"audit.directory={tmp_path / 'audit'}", f"log.target={tmp_path / 'log'}")
    before = descriptors()
    found = list(examine(source))
    assert [each.check for each in found] == ["configuration", "listener", "audit", "log", "descriptors"]
    assert all((each.verdict, each.exit_code) == (Outcome.GOOD, 0) for each in found)
    assert descriptors() <= before
    assert not list(tmp_path.iterdir())
    socket.create_server((source.config.listen[0].host, source.config.listen[0].port)).close()


def test_configuration(tmp_path: Path) -> None:
    """The files that were read, and how much they change; old names are warnings."""
    file = tmp_path / "smtpguard.toml"
    file.write_text("listen = '127.0.0.1:9925'\nupstream = '127.0.0.1:25'\npolicy.mode = 'observe'\n")
    source = load(file)
    assert row(source, "configuration").text == f"{file}: 3 settings changed"
    old = Mistake("smtpguard.toml", "this key is called b now; smtpguard 0.3 will not know the old name", 3, "a", "1")
    told, _ = rows(Loaded(source.config, source.files, source.layers, (old,)), "configuration")
    assert (told.verdict, told.text) == (Outcome.WARNING, "smtpguard.toml:3: a = 1: this key is called b now")
    assert told.cure == "smtpguard 0.3 will not know the old name"


def test_port_in_use() -> None:
    """The program that holds it is named where it can be seen; the other port is looked at all the same."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken, free = other.getsockname()[1], free_port()
        first, second = rows(loaded(listen=[f"127.0.0.1:{taken}", f"127.0.0.1:{free}"]), "listener")
    assert (first.verdict, first.exit_code) == (Outcome.BAD, 78)
    assert first.text == f"listen = 127.0.0.1:{taken}: Address already in use"
    assert f"pid {os.getpid()}) has this port; stop it" in first.cure
    assert (second.verdict, second.text) == (Outcome.GOOD, f"127.0.0.1:{free} can be opened")


def test_port_of_a_running_smtpguard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks at a configuration beside the running service is warned, not refused."""
    monkeypatch.setattr(checks, "holder", lambda port: Holder(7, "smtpguard", ours=True))
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = row(loaded(listen=[f"127.0.0.1:{other.getsockname()[1]}"]), "listener")
    assert (found.verdict, found.exit_code) == (Outcome.WARNING, 0)
    assert "held by a running smtpguard, pid 7" in found.text


def test_port_of_a_socket_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd holds the port to pass it on: no mistake, and what to look at if it is one."""
    monkeypatch.setattr(checks, "holder", lambda port: Holder(1, "systemd", ours=False))
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = row(loaded(listen=[f"127.0.0.1:{other.getsockname()[1]}"]), "listener")
    assert (found.verdict, found.exit_code) == (Outcome.WARNING, 0)
    assert found.text.endswith(" is held by systemd, pid 1")
    assert found.cure == "nothing, if a .socket unit passes it to `run`; otherwise another unit's ListenStream= has it"


def test_nobody_can_be_seen_behind_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the right to look, the cure says how to."""
    monkeypatch.setattr(checks, "holder", lambda port: None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = row(loaded(listen=[f"127.0.0.1:{other.getsockname()[1]}"]), "listener")
    assert found.cure == "another program has this port; stop it, or listen elsewhere (`ss -ltnp` shows which)"


def test_address_of_another_machine() -> None:
    """What is not here cannot be opened; the holder of a port is not asked for."""
    found = row(loaded(listen=["192.0.2.1:2525"]), "listener")
    assert (found.verdict, found.text) == (Outcome.BAD, "listen = 192.0.2.1:2525: Cannot assign requested address")
    assert found.cure.startswith("this machine has no such address")


def test_two_names_of_one_address() -> None:
    """Each can be opened, but not both."""
    port = free_port()
    *single, both = rows(loaded(listen=[f"127.0.0.1:{port}", f"{_name_of('127.0.0.1')}:{port}"]), "listener")
    assert [each.verdict for each in single] == [Outcome.GOOD] * 2
    assert both.verdict is Outcome.BAD
    assert "in use" in both.text


def test_both_families_beside_another_program() -> None:
    """What can only be opened together is good: [::] takes IPv4 too when it is alone, and there the port is taken."""
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        found = rows(loaded(listen=[f"[::]:{port}", f"127.0.0.1:{port}"]), "listener")
    assert [each.verdict for each in found] == [Outcome.GOOD] * 2


def _name_of(host: str) -> str:
    """Return a name that this machine resolves to the address first."""
    for name in ("localhost", "localhost4", "127.0.0.1."):
        try:
            if socket.getaddrinfo(name, 25, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4][0] == host:
                return name
        except OSError:
            continue
    pytest.skip(f"no name of {host} in /etc/hosts that comes first")


def test_account() -> None:
    """Nobody of that name."""
    found = row(loaded("user=no-such-user"), "account")
    assert (found.verdict, found.exit_code) == (Outcome.BAD, 78)
    assert found.text == "user = no-such-user: no such user"
    assert "adduser" in found.cure


@AS_ROOT
def test_places_are_looked_at_as_the_account() -> None:
    """What root may write, the account may not; behind the look we are root again."""
    # Not pytest's own folder, which nobody may enter.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        places = (f"audit.directory={folder}", f"log.target={folder}/log")
        source = loaded("user=nobody", *places)
        assert row(source, "account").text.startswith("nobody (uid ")
        for check in ("audit", "log"):
            found = row(source, check)
            assert (found.verdict, found.exit_code) == (Outcome.BAD, 78)
            assert "the account nobody may not" in found.text
            assert found.cure
        assert os.geteuid() == 0
        assert row(loaded(*places), "audit").verdict is Outcome.GOOD


def test_a_key_that_is_none(tmp_path: Path) -> None:
    """What would keep `run` from starting is a row of its own; a key that is well, or to be made, is none."""
    source = loaded(f"audit.directory={tmp_path}", "privacy.addresses=hash")
    assert rows(source, "privacy") == []
    (tmp_path / "privacy.key").write_text("secret")
    found = row(source, "privacy")
    assert (found.verdict, found.exit_code) == (Outcome.BAD, 78)
    assert found.cure.startswith("restore it, or remove it")


@AS_ROOT
def test_root_stays_root() -> None:
    """It is said where strangers can reach it."""
    found = row(loaded(listen=[f"0.0.0.0:{free_port()}"]), "account")
    assert (found.verdict, found.exit_code) == (Outcome.WARNING, 0)
    assert found.cure.startswith("set user")


def test_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is nearly full is a warning."""
    monkeypatch.setattr(checks, "LITTLE_SPACE", 1 << 80)
    found = row(loaded(f"audit.directory={tmp_path / 'a' / 'b'}"), "audit")
    assert found.verdict is Outcome.WARNING
    assert "GiB free" in found.text


def test_no_syslog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that is not there is a warning: it may come."""
    monkeypatch.setattr(checks, "SYSLOG", tmp_path / "log")
    assert row(loaded("log.target=syslog"), "log").verdict is Outcome.WARNING
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(tmp_path / "log"))
        assert row(loaded("log.target=syslog"), "log").verdict is Outcome.GOOD


@pytest.mark.parametrize(
    ("limit", "assignments", "verdict", "text"),
    [
        (5000, (), Outcome.GOOD, "1000 sessions at once, of a descriptor limit of 5000"),
        (1032, (), Outcome.WARNING, "500 sessions at once, of a descriptor limit of 1032"),
        (1032, ("limits.sessions=500",), Outcome.GOOD, "500 sessions at once"),
        (
            1032,
            ("limits.sessions=501",),
            Outcome.BAD,
            "limits.sessions = 501: the descriptor limit of 1032 carries 500",
        ),
        (33, (), Outcome.BAD, "the descriptor limit of 33 carries no session"),
    ],
)
def test_descriptors(
    limit: int, assignments: tuple[str, ...], verdict: Outcome, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the limit carries, against what is asked for."""
    monkeypatch.setattr(checks, "lift", lambda: limit)
    found = row(loaded(*assignments), "descriptors")
    assert found.verdict is verdict
    assert found.text.startswith(text)


# --- the upstreams ---------------------------------------------------------------------------------------------------


async def asked(mx: Mx, listen: str = "127.0.0.1", *assignments: str) -> list[Examined]:
    """Examine an upstream behind a listener."""
    async with mx.listening():
        source = loaded(*assignments, listen=[f"{listen}:{free_port()}"], upstream=f"127.0.0.1:{mx.port}")
        return await examine_upstreams(source.config)


OFFERS = {b"EHLO": b"250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 \x1b[31mODD"}


async def test_upstream_that_is_well() -> None:
    """Greeting, extensions with those that are missing, and the probe; nothing of the wire reaches the terminal raw."""
    greeting, offers, trust = await asked(Mx({**OFFERS, **REFUSES}))
    assert [each.verdict for each in (greeting, offers, trust)] == [Outcome.GOOD] * 3
    assert "says 220 mx (" in greeting.text
    assert greeting.text.endswith("ms for a NOOP)")
    assert offers.text.endswith(r"offers PIPELINING, SIZE 1000, \x1b[31mODD; not CHUNKING, STARTTLS")
    assert trust.text.endswith("refuses to relay for strangers through us")


async def test_open_relay() -> None:
    """It is bad where strangers can reach us, and what `run` says then; on loopback it is a warning."""
    *_, inside = await asked(Mx({**OFFERS, **RELAYS}))
    assert (inside.verdict, inside.exit_code) == (Outcome.WARNING, 0)
    *_, outside = await asked(Mx({**OFFERS, **RELAYS}), "0.0.0.0")
    assert (outside.verdict, outside.exit_code) == (Outcome.BAD, 78)
    assert "relays mail of strangers for this machine" in outside.text
    assert "Nothing was started" not in outside.text + outside.cure
    assert "mynetworks" in outside.cure
    *_, known = await asked(Mx(dict(RELAYS)), "0.0.0.0", "identity.i-know-this-is-an-open-relay=true")
    assert (known.verdict, known.exit_code) == (Outcome.WARNING, 0)


async def test_upstream_that_is_asked_twice() -> None:
    """Two listeners before one upstream: it is asked once, as strangers would find it."""
    mx = Mx({**OFFERS, **RELAYS})
    async with mx.listening():
        listen = [f"127.0.0.1:{free_port()}", f"0.0.0.0:{free_port()}"]
        found = await examine_upstreams(loaded(listen=listen, upstream=f"127.0.0.1:{mx.port}").config)
    assert [each.verdict for each in found] == [Outcome.GOOD, Outcome.GOOD, Outcome.BAD]


async def test_upstream_that_is_down() -> None:
    """It cannot be reached: 69, for `run` would start."""
    (found,) = await examine_upstreams(loaded(upstream=f"127.0.0.1:{free_port()}").config)
    assert (found.verdict, found.exit_code) == (Outcome.BAD, 69)
    assert found.text.endswith("Connection refused")
    assert found.cure


async def test_upstream_that_nobody_knows() -> None:
    """A name without an address."""
    (found,) = await examine_upstreams(loaded(upstream="no-such-host.invalid:25").config)
    assert (found.verdict, found.exit_code) == (Outcome.BAD, 69)
    assert "cannot resolve no-such-host.invalid" in found.text


async def test_upstream_that_refuses_service() -> None:
    """A greeting that is a refusal is as good as none."""
    (found,) = await asked(Mx(greeting=b"554 go away"))
    assert (found.verdict, found.exit_code) == (Outcome.BAD, 69)
    assert "554 go away" in found.text


async def test_upstream_without_ehlo() -> None:
    """It can be talked to; somebody should know."""
    _, hello, trust = await asked(Mx({b"EHLO": b"502 no", **REFUSES}))
    assert (hello.verdict, trust.verdict) == (Outcome.WARNING, Outcome.GOOD)
    assert "answers EHLO with 502" in hello.text


async def test_probe_put_off() -> None:
    """A temporary refusal proves nothing."""
    *_, trust = await asked(Mx({b"MAIL": b"450 later"}))
    assert (trust.verdict, trust.exit_code) == (Outcome.WARNING, 0)
    assert "put the open-relay probe off: 450" in trust.text
