"""What a rule is: verdicts, profiles, sections, and the row of the catalogue that they make up."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from smtpguard.smtp.replies import Answer


class Verdict(Enum):
    """What policy makes of a finding, mildest first."""

    OFF = "off"
    """Forward, keep no record."""
    NOTE = "note"
    """Forward and record."""
    REFUSE = "refuse"
    """Answer it ourselves, do not forward, go on."""
    CLOSE = "close"
    """Answer, then end the session."""

    @property
    def severity(self) -> int:
        """0 (off) to 3 (close)."""
        return _SEVERITY[self]


_SEVERITY: Final = {verdict: rank for rank, verdict in enumerate(Verdict)}


class Section(Enum):
    """The parts of the catalogue; among equal verdicts the earlier one speaks."""

    FOREIGN = "Foreign and forbidden"
    FRAMING = "Framing"
    TIMING = "Timing"
    ORDER = "Order"
    UPSTREAM = "Upstream"
    LIMITS = "Limits"

    @property
    def rank(self) -> int:
        """0 speaks first."""
        return _RANK[self]


_RANK: Final = {section: rank for rank, section in enumerate(Section)}


class Profile(Enum):
    """A column of default verdicts."""

    STRICT = "strict"
    STANDARD = "standard"
    LENIENT = "lenient"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rule:
    """One row of the catalogue; rows are compared by identity."""

    id: str
    name: str
    section: Section
    situation: str
    reference: str
    verdicts: dict[Profile, Verdict]
    answer: Answer | None
    cure: str
    safe: bool = False

    def __repr__(self) -> str:
        return self.id


OFF, NOTE, REFUSE, CLOSE = Verdict
