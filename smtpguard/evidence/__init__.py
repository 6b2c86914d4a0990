"""The evidence room: the audit read back, and what a finding means, told to the person who has to act on it.

    store          segments -> events and sessions; what counts against a client
    report/        who broke which rule how often        page/      the same as one HTML page
    show/          one session, the offending line marked dossier/   the letter to the sending host
    judge/         a recorded conversation, judged by the engine itself
    transcripts/   pasted text -> such a conversation     capture/   packets -> such conversations
    replay/        recorded sessions under other rules
    explain        rule id or name -> `Explanation`: the catalogue's row joined with the rule's file
    explanations/  one TOML file per rule: what happened, a transcript, the RFC, other servers, causes, cure
    period         words for a time                       mask, wording  text that may leave the house

The catalogue of the protocol room stays the one owner of ids, names, situations, sections, verdicts, answers and cure
sentences; a file of `explanations` holds only what the catalogue does not. This room never imports the network or the
service. What a verb needs of it is imported from the module that has it, when the verb runs: some need DuckDB, some
need nothing.
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
