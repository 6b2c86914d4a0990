"""The truth: which host plays which session, and what every reader must say of them all.

`plan` draws the sessions from a seed; `Truth` sums them up, and `write` puts them on the disk before anything is sent.
The sums are made here, from the rows, by plain counting. A session is known by its host and its port, which are drawn
at the start of each run, so that two runs do not meet in the kernel's memory of closed connections.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.against.day.hosts import BUSY, HOSTS, Host
from tests.against.day.kinds import GOOD, Found, Kind
from tests.against.day.kinds_bad import BAD
from tests.against.day.programs import PROGRAMS

KINDS: Final[dict[str, Kind]] = GOOD | BAD | PROGRAMS

DAYS: Final = 7
"""The first session and the last one stand for moments so far apart; see `spread`."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One session to be."""

    number: int
    ip: str
    port: int
    name: str
    """The host's."""
    title: str
    """Its kind's."""

    @property
    def kind(self) -> Kind:
        """Return its row."""
        return KINDS[self.title]

    @property
    def listener(self) -> str:
        """Return the listener that it goes to."""
        return "slow" if self.kind.early else "listener"


def plan(seed: int, count: int, first_port: int) -> list[Planned]:
    """Draw `count` sessions; the first of them are one of each kind."""
    dice = Random(f"day/{seed}")
    homes = {title: host for host in HOSTS for title in host.habit}
    ports = Counter[str]()

    def planned(number: int, host: Host, title: str) -> Planned:
        ports[host.ip] += 1
        return Planned(number, host.ip, first_port + ports[host.ip], host.name, title)

    each = [(homes[title], title) for title in KINDS]
    drawn = each[:count] + [_draw(dice, number / count) for number in range(len(each), count)]
    return [planned(number, host, title) for number, (host, title) in enumerate(drawn)]


def _draw(dice: Random, moment: float) -> tuple[Host, str]:
    hour = moment * DAYS * 24 % 24
    weights = [host.weight * (BUSY if host.busy[0] <= hour < host.busy[1] else 1) for host in HOSTS]
    (host,) = dice.choices(HOSTS, weights)
    (title,) = dice.choices(list(host.habit), list(host.habit.values()))
    return host, title


@dataclass(slots=True)
class Sums:
    """What a report must say of a host, or of all."""

    sessions: int = 0
    """In the audit: probes are not."""
    probes: int = 0
    not_smtp: int = 0
    good: int = 0
    """Sessions of mail with nothing to blame; consequences and facts do not count."""
    affected: int = 0
    """Sessions of mail with something to blame."""
    messages: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    """Rule -> findings that CLIENT is to blame for, another protocol's among them."""
    findings_of_mail: dict[str, int] = field(default_factory=dict)
    """The same without another protocol's."""
    sessions_by_rule: dict[str, int] = field(default_factory=dict)
    consequences: dict[str, int] = field(default_factory=dict)
    facts: dict[str, int] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=dict)
    """Cause -> findings, as `findings_of_mail`."""

    def add(self, kind: Kind) -> None:
        """Count one session."""
        foreign = kind.visible == "none"
        self.probes += kind.probe
        self.sessions += not kind.probe
        self.not_smtp += foreign
        self.good += kind.good
        self.affected += bool(kind.found) and not foreign
        self.messages += kind.messages
        _count(self.findings, kind.found)
        _count(self.consequences, kind.consequences)
        _count(self.facts, kind.facts)
        for rule in {found.rule for found in kind.found}:
            self.sessions_by_rule[rule] = self.sessions_by_rule.get(rule, 0) + 1
        if not foreign:
            _count(self.findings_of_mail, kind.found)
            for found in kind.found:
                self.causes[found.cause] = self.causes.get(found.cause, 0) + found.count


def _count(sums: dict[str, int], found: Iterable[Found]) -> None:
    for one in found:
        sums[one.rule] = sums.get(one.rule, 0) + one.count


@dataclass(frozen=True, slots=True)
class Truth:
    """All that will be."""

    seed: int
    sessions: list[Planned]

    def sums(self, ip: str = "") -> Sums:
        """Return the sums of one host, or of all."""
        sums = Sums()
        for one in self.sessions:
            if ip in ("", one.ip):
                sums.add(one.kind)
        return sums

    def kept(self) -> Iterator[Planned]:
        """Yield the sessions that the audit holds."""
        return (one for one in self.sessions if not one.kind.probe)

    def written(self) -> dict[str, Any]:
        """Return what the file says."""
        return {
            "seed": self.seed,
            "all": asdict(self.sums()),
            "hosts": {host.ip: {"name": host.name, **asdict(self.sums(host.ip))} for host in HOSTS},
            "sessions": [asdict(one) | _row(one) for one in self.sessions],
        }

    def write(self, path: Path) -> None:
        """Put it on the disk, and return when it is there."""
        with path.open("w", encoding="ascii") as file:
            json.dump(self.written(), file, indent=1)
            file.flush()
            os.fsync(file.fileno())


def _row(one: Planned) -> dict[str, Any]:
    kind = one.kind
    return {
        "listener": one.listener,
        "program": kind.program,
        "probe": kind.probe,
        "good": kind.good,
        "visible": kind.visible,
        "close": kind.close,
        "messages": kind.messages,
        "found": [asdict(found) for found in kind.found],
        "consequences": [asdict(found) for found in kind.consequences],
        "facts": [asdict(found) for found in kind.facts],
    }


def read(path: Path) -> Truth:
    """Read back what was written; the kinds are looked up by their titles."""
    file = json.loads(path.read_text(encoding="ascii"))
    names = ("number", "ip", "port", "name", "title")
    return Truth(file["seed"], [Planned(*(row[name] for name in names)) for row in file["sessions"]])
