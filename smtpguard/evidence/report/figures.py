"""The figures of a report, as values: what `report` finds, and the screen, the page, JSON and CSV tell.

A *finding* here is one that counts against a client (`store.blamed`); a *session* is one in SMTP that ended in the
period, or of which a finding fell into it. A session is *affected* if one of its findings did; all others are *in
order*, as far as they could be read. Times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import Final, NamedTuple

from smtpguard.evidence.period import Period

FEWEST: Final = 3
"""Findings in both halves together from which on a trend is told."""

_CHANGED: Final = 1.25
"""How much more or less the second half must have: a quarter."""


class By(Enum):
    """What offenders are grouped by."""

    HOST = "host"
    NETWORK = "network"
    RULE = "rule"
    CAUSE = "cause"
    COMMAND = "command"
    HELO = "helo"
    LISTENER = "listener"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is asked for."""

    period: Period
    host: IPv4Network | IPv6Network | None = None
    """Only this network; of one address for one host."""
    rule: str | None = None
    """Only findings of this rule; the sessions stay all sessions."""
    limit: int = 0
    """Rows of a table; 0: all."""


class Trend(NamedTuple):
    """Findings in the first and in the second half of the time that the audit covers."""

    earlier: int
    later: int

    @property
    def word(self) -> str:
        """Say it."""
        if sum(self) < FEWEST:
            return "too few"
        if not self.earlier:
            return "new"
        if not self.later:
            return "stopped"
        if self.later >= self.earlier * _CHANGED:
            return "more"
        return "fewer" if self.later * _CHANGED <= self.earlier else "steady"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One offender, or one offence."""

    name: str
    findings: int
    affected: int
    """Sessions with such a finding."""
    sessions: int
    """All sessions: of this host, network, helo or listener; of everybody where a finding is what is grouped by."""
    hosts: int
    first_seen: float
    last_seen: float
    trend: Trend
    rules: tuple[str, ...] = ()
    """Of a host: the rules, the one with most sessions first."""

    @property
    def share(self) -> float:
        """Return the share of sessions affected, 0 to 1."""
        return self.affected / self.sessions if self.sessions else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The first rows, and how many there are."""

    by: By
    rows: tuple[Row, ...]
    groups: int


class Apart(NamedTuple):
    """What no client is blamed for, of one rule or of one kind."""

    name: str
    findings: int
    sessions: int
    hosts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The whole period in a few numbers."""

    sessions: int
    affected: int
    visible: Mapping[str, int]
    """Sessions by how far they could be read: `full`, `until-starttls`, `not-ended`."""
    findings: int
    hosts: int
    hosts_affected: int
    other_protocol: int
    """Sessions in another protocol; in no other number here."""
    other_protocol_hosts: int
    consequences: int
    declined: int
    """Commands that a setting declined."""
    upstream: tuple[Apart, ...]
    limits: tuple[Apart, ...]

    @property
    def in_order(self) -> int:
        """Return the sessions without a finding."""
        return self.sessions - self.affected


class Hour(NamedTuple):
    """The sessions of one hour of the wall clock."""

    begins: datetime
    """Without a zone: what the clock on the wall shows."""
    sessions: int
    affected: int


class RuleHour(NamedTuple):
    """The findings of one rule in one hour of the wall clock."""

    begins: datetime
    rule: str
    findings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Offence:
    """What one host did, by rule and cause."""

    rule: str
    cause: str
    findings: int
    affected: int
    first_seen: float
    last_seen: float
    session: str
    """The latest session of it, one whose end is there if there is any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One client, in detail."""

    row: Row
    offences: tuple[Offence, ...]
    """The one with most sessions first."""
    helos: tuple[str, ...]
    listeners: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of it."""

    scope: Scope
    covered: tuple[float, float]
    """The part of the period that the audit holds, by the names of its files."""
    unreadable: int
    totals: Totals
    tables: Mapping[By, Table]
    hours: tuple[Hour, ...] = ()
    rule_hours: tuple[RuleHour, ...] = ()
    hosts: tuple[Host, ...] = ()
