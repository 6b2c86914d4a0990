"""Starts that must be refused: name -> what is made for it, the words behind `run` or `check`, what is told.

Every broken file of `tests.config.broken` is one of them, with every line that is said of it. The rest are machines
that are not as the configuration wants them, and sources that are none.
"""

import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.against.deadline import free_port
from tests.against.scripted import ScriptedStandIn
from tests.config.broken import BROKEN, GOOD

Prepare = Callable[[Path, ExitStack], tuple[str, ...]]
"""Make what is broken, in an empty working directory, and return the words; what is put on the stack stays open."""

FILE: Final = "smtpguard.toml"


@dataclass(frozen=True, slots=True)
class Start:
    """One start that must be refused."""

    prepare: Prepare
    said: tuple[str, ...]
    """Each stands in what is told; `{folder}` is the working directory."""
    environment: Mapping[str, str] = field(default_factory=dict)
    alone: tuple[str, ...] | None = None
    """Not in the test's own process, but in one of its own, started by these words: `()`, `("setpriv", …)`."""
    check: tuple[str, ...] = ()
    """What `check` needs besides, to see what `run` sees."""
    mistake: bool = False
    """It is the configuration itself, so `check` tells it on standard error too."""


def _file(text: str | bytes) -> Prepare:
    def prepare(folder: Path, _: ExitStack) -> tuple[str, ...]:
        (folder / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
        return ("-c", FILE)

    return prepare


def _good(*words: str) -> Prepare:
    """Return a start on a free port, with words that break it."""
    return lambda _folder, _stack: (*_addresses(free_port()), *words)


def _setting(setting: str) -> Prepare:
    return _good("--set", setting)


def _addresses(*ports: int) -> tuple[str, ...]:
    listeners = (word for port in ports for word in ("--listen", f"127.0.0.1:{port}"))
    return (*listeners, "--upstream", "127.0.0.1:9")


def _port_in_use(_: Path, stack: ExitStack) -> tuple[str, ...]:
    other = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    return _addresses(other.getsockname()[1])


def _second_port_in_use(_: Path, stack: ExitStack) -> tuple[str, ...]:
    other = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    return _addresses(free_port(), other.getsockname()[1])


def _wildcard_in_use(_: Path, stack: ExitStack) -> tuple[str, ...]:
    other = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    return ("--listen", f"0.0.0.0:{other.getsockname()[1]}", "--upstream", "192.0.2.1:25")


def _open_relay(folder: Path, stack: ExitStack) -> tuple[str, ...]:
    relay = ScriptedStandIn()
    stack.callback(relay.close)
    upstream = ("--upstream", f"127.0.0.1:{relay.port}")
    return ("--listen", f"0.0.0.0:{free_port()}", *upstream, "--set", f"log.target={folder}/log")


def _plain_file_at(name: str, setting: str) -> Prepare:
    def prepare(folder: Path, _: ExitStack) -> tuple[str, ...]:
        (folder / name).touch()
        return (*_addresses(free_port()), "--set", setting)

    return prepare


def _folder_at(name: str, *words: str) -> Prepare:
    def prepare(folder: Path, _: ExitStack) -> tuple[str, ...]:
        (folder / name).mkdir()
        return words or _addresses(free_port())

    return prepare


def _link(target: str) -> Prepare:
    def prepare(folder: Path, _: ExitStack) -> tuple[str, ...]:
        (folder / FILE).symlink_to(target)
        return ("-c", FILE)

    return prepare


def _fragment(text: str) -> Prepare:
    def prepare(folder: Path, _: ExitStack) -> tuple[str, ...]:
        (folder / FILE).write_text(GOOD)
        (folder / "conf.d").mkdir()
        (folder / "conf.d" / "10.toml").write_text(text)
        return ("-c", FILE)

    return prepare


def _closed_folder(setting: str) -> Prepare:
    """Return a start as nobody, who may not write where root may."""

    def prepare(folder: Path, _: ExitStack) -> tuple[str, ...]:
        folder.chmod(0o755)
        return (*_addresses(free_port()), "--set", "user=nobody", "--set", setting.format(folder=folder))

    return prepare


FILES: Final = {
    name: Start(_file(text), tuple(lines), mistake=True) for name, (text, lines) in BROKEN.items()
}  # fmt: skip

SOURCES: Final = {
    "nothing at all": Start(
        lambda _folder, _stack: (), ("listen: required (", "upstream: required ("), mistake=True
    ),
    "missing file": Start(lambda _folder, _stack: ("-c", "none.toml"), ("none.toml: no such file",), mistake=True),
    "a directory as file": Start(_folder_at("x", "-c", "x"), ("x: a directory; name the file in it",), mistake=True),
    "a device as file": Start(lambda _folder, _stack: ("-c", "/dev/zero"), ("/dev/zero: larger than",), mistake=True),
    "file below a file": Start(
        lambda _folder, _stack: ("-c", "/dev/null/x"), ("/dev/null/x: cannot be read: Not a directory",), mistake=True
    ),
    "file with a long name": Start(
        lambda _folder, _stack: ("-c", "x" * 300), ("cannot be read: File name too long",), mistake=True
    ),
    "link to nothing": Start(_link("none"), (f"{FILE}: no such file",), mistake=True),
    "link to itself": Start(_link(FILE), ("cannot be read: Too many levels of symbolic links",), mistake=True),
    "half a fragment": Start(_fragment("[policy"), ("conf.d/10.toml:1: not TOML: ",), mistake=True),
    "mistake in a fragment": Start(
        _fragment("[policy]\nmode = 'x'\n"), ("conf.d/10.toml:2: policy.mode = 'x': one of 'enforce'",), mistake=True
    ),
    "variable of no key": Start(
        _good(), ("SMTPGUARD_POLICY__MOD: policy.mod = ", "did you mean 'mode'?"),
        environment={"SMTPGUARD_POLICY__MOD": "observe"}, mistake=True,
    ),
    "variable of no name": Start(_good(), ("SMTPGUARD_X__: 'y': ",), environment={"SMTPGUARD_X__": "y"}, mistake=True),
    "--set without a value": Start(_setting("policy.mode"), ("--set: 'policy.mode': write key=value",), mistake=True),
    "--listen of no port": Start(
        _good("--listen", "mx"), ("--listen: listen[1] = 'mx': HOST:PORT; the port is missing",), mistake=True
    ),
    "group without user": Start(_setting("group=nogroup"), ("group = 'nogroup': only beside `user`",), mistake=True),
}  # fmt: skip

MACHINES: Final = {
    "port in use": Start(_port_in_use, ("Address already in use", "stop it, or listen elsewhere")),
    "second port in use": Start(_second_port_in_use, ("Address already in use", "stop it, or listen elsewhere")),
    "port in use on one address": Start(_wildcard_in_use, ("listen = 0.0.0.0:", "Address already in use")),
    "address of another machine": Start(
        _good("--listen", "192.0.2.1:2525"),
        ("listen = 192.0.2.1:2525: Cannot assign requested address; this machine has no such address",),
    ),
    "name of no machine": Start(_good("--listen", "none.invalid:2525"), ("listen = none.invalid:2525: ", "write an")),
    "no right to bind 25": Start(
        lambda _folder, _stack: _addresses(25),
        ("listen = 127.0.0.1:25: Permission denied; ", "CAP_NET_BIND_SERVICE"),
        alone=("setpriv", "--bounding-set=-net_bind_service"),
    ),
    "unknown user": Start(_setting("user=none"), ("user = none: no such user; `adduser",)),
    "unknown group": Start(
        _good("--set", "user=nobody", "--set", "group=none"), ("group = none: no such group; `addgroup",)
    ),
    "audit directory is a file": Start(
        _plain_file_at("x", "audit.directory=x"), ("audit.directory = x: no directory; name one",)
    ),
    "audit directory below a file": Start(
        _plain_file_at("x", "audit.directory=x/y"), ("audit.directory = x/y: ", "x is no directory; name one")
    ),
    "audit directory not writable": Start(
        _closed_folder("audit.directory={folder}"), ("the account nobody may not write there; `chown nobody",), alone=()
    ),
    "log in a missing directory": Start(
        _setting("log.target=none/log"), ("log.target = none/log: no such directory; name a file in one that exists",)
    ),
    "log is a directory": Start(_setting("log.target=./"), ("log.target = ./: a directory; name a file in it",)),
    "log below a file": Start(_plain_file_at("x", "log.target=x/y"), ("log.target = x/y: Not a directory; name a",)),
    "log not writable": Start(
        _closed_folder("log.target={folder}/log"), ("the account nobody may not make files in",), alone=()
    ),
    "more sessions than descriptors": Start(
        _setting("limits.sessions=2000000000"), ("limits.sessions = 2000000000: the descriptor limit of", "raise it")
    ),
    "open relay": Start(
        _open_relay, ("relays mail of strangers for this machine", "mynetworks"), alone=(), check=("--live",)
    ),
}  # fmt: skip

STARTS: Final = {**FILES, **SOURCES, **MACHINES}
