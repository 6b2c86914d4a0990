"""Which program listens on a port? Read from /proc, as `ss -ltnp` does; other accounts' programs only root can see."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TABLES: Final = ("tcp", "tcp6")

LISTENING: Final = "0A"
"""TCP_LISTEN of the kernel's include/net/tcp_states.h, as /proc/net/tcp spells it."""

PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    """A program that listens."""

    pid: int
    name: str
    ours: bool
    """It is a smtpguard."""

    @property
    def manages_services(self) -> bool:
        """It is process 1: systemd holds the ports of its `.socket` units."""
        return self.pid == 1

    def __str__(self) -> str:
        return f"{self.name}, pid {self.pid}"


def holder(port: int, proc: Path = PROC) -> Holder | None:
    """Return a program that listens on a port, on whatever address; None: there is none, or it cannot be seen."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port, proc)}
    pids = sorted(int(each.name) for each in proc.iterdir() if each.name.isdecimal()) if sockets else []
    found = next((pid for pid in pids if _has_one_of(proc / str(pid) / "fd", sockets)), None)
    return _named(found, proc) if found is not None else None


def _inodes(port: int, proc: Path) -> Iterator[str]:
    for table in TABLES:
        try:
            lines = (proc / "net" / table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            # sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _has_one_of(descriptors: Path, sockets: set[str]) -> bool:
    try:
        return any(str(each.readlink()) in sockets for each in descriptors.iterdir())
    except OSError:
        # Another account's, or gone meanwhile.
        return False


def _named(pid: int, proc: Path) -> Holder | None:
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        name = (proc / str(pid) / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return None
    # The command itself, the same under an interpreter's name, or `python -m smtpguard`.
    programs = [word for word in words[:3] if Path(word).name == "smtpguard" or "/smtpguard/__main__.py" in word]
    ours = bool(programs)
    return Holder(pid, "smtpguard" if ours else name, ours)
