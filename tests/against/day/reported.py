"""What `report --json` must say of the day: its totals, and each of its tables row by row.

Hosts, networks, rules, causes and listeners are counted from the truth. Which command a finding is about and which
name a client gave are not in it: these two are counted from the audit, by this folder's own reader.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from tests.against.day.truth import Planned, Truth
from tests.against.day.verify import Event, seconds

BY: Final = ("host", "network", "rule", "cause", "command", "helo", "listener")


class Expected(NamedTuple):
    """One row."""

    findings: int
    affected: int
    sessions: int
    hosts: int


class Book:
    """The truth and the audit, ready to be counted."""

    def __init__(self, truth: Truth, ports: dict[str, int], audit: Iterable[Event]) -> None:
        self.truth = truth
        self.mail = [one for one in truth.kept() if one.kind.visible != "none"]
        self._listeners = {"listener": f"127.0.0.1:{ports['listener']}", "slow": "slow"}
        by_key = {(one.ip, one.port): one for one in self.mail}
        self._helos = dict[int, str]()
        self._findings = list[tuple[Planned, Event]]()
        for event in audit:
            one = by_key.get((event["source"]["ip"], event["source"]["port"]))
            if one is None:
                continue
            if "rule" not in event:
                self._helos[one.number] = event["smtp"].get("helo", "")
            elif not event["smtp"]["consequence"] and event["rule"]["id"][:3] not in ("SG5", "SG6"):
                self._findings.append((one, event))

    def table(self, by: str) -> dict[str, Expected]:
        """Return name -> row."""
        findings, affected, hosts = Counter[str](), defaultdict[str, set[int]](set), defaultdict[str, set[str]](set)
        for name, one, count in self._charges(by):
            findings[name] += count
            affected[name].add(one.number)
            hosts[name].add(one.ip)
        sessions = self._sessions(by)
        return {
            name: Expected(findings[name], len(affected[name]), sessions[name], len(hosts[name])) for name in findings
        }

    def seen(self, by: str) -> dict[str, tuple[float, float]]:
        """Return name -> first and last finding, in seconds since the epoch."""
        times = defaultdict[str, list[float]](list)
        for one, event in self._findings:
            times[self._name(by, one, event)].append(seconds(event["@timestamp"]))
        return {name: (min(held), max(held)) for name, held in times.items()}

    def _charges(self, by: str) -> Iterator[tuple[str, Planned, int]]:
        if by in ("command", "helo"):
            yield from ((self._name(by, one, event), one, 1) for one, event in self._findings)
            # What had no event of its own goes where the latest of its rule went.
            latest = {(one.number, event["rule"]["id"]): (one, event) for one, event in self._findings}
            for (one, event), left in ((latest[at], left) for at, left in self._left().items()):
                yield self._name(by, one, event), one, left
            return
        for one in self.mail:
            for found in one.kind.found:
                told = {"smtp": {"cause": found.cause}, "rule": {"id": found.rule}}
                yield self._name(by, one, told), one, found.count

    def _left(self) -> dict[tuple[int, str], int]:
        """Return (session, rule) -> findings that were counted and not kept."""
        founds = [(one, found) for one in self.mail for found in one.kind.found]
        return {(one.number, found.rule): found.count - found.kept for one, found in founds if found.count > found.kept}

    def _name(self, by: str, one: Planned, event: Event) -> str:
        names = {"host": one.ip, "network": "127.0.1.0/24", "listener": self._listeners[one.listener]}
        if by in names:
            return names[by]
        if by == "helo":
            return self._helos[one.number]
        return str(event["rule"]["id"] if by == "rule" else event["smtp"][by])

    def _sessions(self, by: str) -> Counter[str]:
        """Return name -> sessions of mail that a row is a share of."""
        if by in ("rule", "cause", "command"):
            return Counter(dict.fromkeys((name for name, _, _ in self._charges(by)), len(self.mail)))
        return Counter(self._name(by, one, {}) for one in self.mail)

    def totals(self) -> dict[str, Any]:
        """Return the totals, less the shares."""
        sums, truth = self.truth.sums(), self.truth
        return {
            "sessions": len(self.mail),
            "in_order": sums.good,
            "affected": sums.affected,
            "visible": dict(Counter(one.kind.visible for one in self.mail)),
            "findings": sum(sums.findings_of_mail.values()),
            "hosts": len({one.ip for one in self.mail}),
            "hosts_affected": len({one.ip for one in self.mail if one.kind.found}),
            "other_protocol": {
                "sessions": sums.not_smtp,
                "hosts": len({one.ip for one in truth.kept() if one.kind.visible == "none"}),
            },
            "not_blamed": {
                "consequences": sum(sums.consequences.values()),
                "declined": 0,
                "upstream": self._facts("SG5"),
                "limits": self._facts("SG6"),
            },
        }

    def _facts(self, section: str) -> list[dict[str, Any]]:
        findings, hosts = Counter[str](), defaultdict[str, set[str]](set)
        sessions = Counter[str]()
        for one in self.truth.kept():
            for fact in one.kind.facts:
                findings[fact.rule] += fact.count
                sessions[fact.rule] += 1
                hosts[fact.rule].add(one.ip)
        return [
            {"rule": rule, "findings": findings[rule], "sessions": sessions[rule], "hosts": len(hosts[rule])}
            for rule in sorted(findings)
            if rule.startswith(section)
        ]
