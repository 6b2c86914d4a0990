"""The evidence room: what a finding means, told to the person who has to act on it.

    explain        rule id or name -> `Explanation`: the catalogue's row joined with the rule's file
    explanations/  one TOML file per rule: what happened, a transcript, the RFC, other servers, causes, cure

The catalogue of the protocol room stays the one owner of ids, names, situations, sections, verdicts, answers and cure
sentences; a file here holds only what the catalogue does not. This room never imports the network or the service.
"""

from smtpguard.evidence.explain import (
    VERSIONS,
    Explanation,
    Likely,
    Line,
    Mark,
    Measured,
    Speaker,
    UnknownRuleError,
    explanation,
    rule_called,
)

__all__ = [
    "VERSIONS",
    "Explanation",
    "Likely",
    "Line",
    "Mark",
    "Measured",
    "Speaker",
    "UnknownRuleError",
    "explanation",
    "rule_called",
]
