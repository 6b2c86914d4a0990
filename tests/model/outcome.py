"""What must come of a session, as plain values."""

from dataclasses import dataclass, field

from tests.model.book import verdict_of


@dataclass(frozen=True)
class Told:
    """One reply that CLIENT hears: UPSTREAM's octets, or ours with the codes that would do."""

    octets: bytes = b""
    codes: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Found:
    """One finding."""

    rule: str
    verdict: str
    consequence: bool | None = False
    """None: the documents allow either."""
    sure: bool = True


@dataclass
class Outcome:
    """What must come of a session."""

    up: bytes = b""
    may: bytes = b""
    """Octets that may, from their first on and as far as one likes, be forwarded behind `up`."""
    down: list[Told] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    stop: str = ""
    """waiting, undecided, or how the session ended."""

    @property
    def over(self) -> bool:
        """The session ended."""
        return self.stop not in ("waiting", "undecided")


class Stop(Exception):
    """The walk is over."""


@dataclass(frozen=True)
class Terms:
    """What the administrator decided."""

    profile: str = "standard"
    observing: bool = False
    changes: dict[str, str] = field(default_factory=dict)
    violations: int = 20
    empty_commands: int = 100

    def verdict(self, rule: str) -> str:
        """Return what is done about a finding of `rule`."""
        return verdict_of(rule, self.profile, observing=self.observing, changes=self.changes)
