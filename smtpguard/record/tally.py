"""How much one session may write: what a client does cannot fill log and audit."""

from dataclasses import dataclass, field
from typing import Final

from smtpguard.smtp import Declined, Finding, Verdict

LINES_PER_SESSION: Final = 20
"""Lines of one session about what was only noted, or was a consequence."""

EVENTS_PER_SESSION: Final = 100
"""Audit events of one session about the same."""

ANSWERED_PER_SESSION: Final = 200
"""Lines and events of one session about refusals, which no note may crowd out; a close is always written. Sessions end
after `limits.violations` of them, so the bound is met only where that is switched off."""


@dataclass(slots=True)
class Tally:
    """What one session was given so far."""

    lines: int = 0
    events: int = 0
    answered_lines: int = 0
    answered_events: int = 0
    noticed: bool = False
    held_back: dict[str, int] = field(default_factory=dict)

    def admits_line(self, finding: Finding) -> bool:
        """Count a line about a finding, and tell whether it is written."""
        if _is_answered(finding):
            self.answered_lines += 1
            return self.answered_lines <= ANSWERED_PER_SESSION or finding.verdict is Verdict.CLOSE
        self.lines += 1
        return self.lines <= LINES_PER_SESSION

    def admits_event(self, event: Finding | Declined) -> bool:
        """Count an audit event, and tell whether it is kept."""
        if isinstance(event, Finding) and _is_answered(event):
            self.answered_events += 1
            return self.answered_events <= ANSWERED_PER_SESSION or event.verdict is Verdict.CLOSE
        self.events += 1
        return self.events <= EVENTS_PER_SESSION


def _is_answered(finding: Finding) -> bool:
    return finding.answer is not None and not finding.consequence
