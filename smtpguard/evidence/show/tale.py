"""One session, told: what the audit holds of it, joined into a `Tale`.

The transcript says who said what and when, a finding says what is wrong with a line and what was done about it. They
are joined by the rule's id: the latest line charged with a rule belongs to the latest finding of that rule, and so on
backwards, because a ring forgets its first lines. A finding that no line of the transcript bears (it was forgotten, or
the rule blames no line) is told beside it.

All text of a `Tale` is printable ASCII, whatever the files held, but for the section signs of our own catalogue.
`styles` lays it out.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from smtpguard.evidence.explain import Speaker
from smtpguard.evidence.store import StoredSession, at, blamed, blames
from smtpguard.evidence.wording import shown
from smtpguard.record import FindingRecord, SessionEndRecord, TranscriptRecord
from smtpguard.smtp import CATALOGUE, Cause

_CONTINUED: Final = re.compile(r"[0-9]{3}-")
_NO_SUCH_CAUSE: Final = ("", "")
_CAUSES: Final[Mapping[str, Cause]] = {cause.value: cause for cause in Cause}


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A rule that fired, and what is to be said about it."""

    rule_id: str
    name: str = ""
    situation: str = ""
    reference: str = ""
    at: float | None = None
    """Seconds since the epoch; None where the finding itself is not in the audit."""
    blames_client: bool = False
    done: str = ""
    """What became of the line, in words."""
    cause: str = ""
    """The cause's id; empty where none is known."""
    meaning: str = ""
    """The cause, told to an administrator; empty where none is known."""
    cure: str = ""
    """For the sending side."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One line of a transcript."""

    after: float
    """Seconds since the session began."""
    speaker: Speaker
    text: str
    piece: int = 0
    """Lines of one speaker with the same number were sent in one packet, or what looks like one; 0: not known."""
    charges: tuple[Charge, ...] = ()


class Address(NamedTuple):
    """An end of a connection."""

    ip: str
    port: int

    def __str__(self) -> str:
        """Return the address and, where there is one, the port."""
        return f"{self.ip} port {self.port}" if self.port else self.ip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tale:
    """All that the audit holds of one session."""

    id: str
    client: Address
    via: str
    peer: Address | None
    """Who connected, where that was not the client."""
    listener: str
    upstream: str
    """Empty where no finding names it."""
    guard: str
    """The host that the guard ran on; empty where no finding names it."""
    began: float
    ended: float | None
    """None: the session is not over, or the guard ended before it."""
    helo: str
    protocol: str
    tls_before: bool
    """CLIENT's connection to the balancer was encrypted."""
    visible: str
    close: str
    counts: Mapping[str, int]
    """As `record.shapes.Counts` names them; empty while the session is not over."""
    rules: Mapping[str, int]
    """Rule id -> findings, consequences not counted."""
    findings: tuple[Charge, ...]
    lines: tuple[Said, ...]
    omitted: int
    """Lines before the first one."""
    unplaced: tuple[Charge, ...]
    """The findings that no line bears."""

    @property
    def against_client(self) -> Counter[str]:
        """Rule -> how often it was broken, also those that were not kept one by one."""
        kept = Counter(each.rule_id for each in self.findings if each.blames_client)
        return kept | Counter({rule_id: count for rule_id, count in self.rules.items() if blames(rule_id)})

    @property
    def only_counted(self) -> Counter[str]:
        """Rule -> how often it was broken besides what was kept one by one: of what is noted 20 are, of each rule."""
        return self.against_client - Counter(each.rule_id for each in self.findings if each.blames_client)

    @property
    def why_no_transcript(self) -> str:
        """Say why there is none; the empty text where there is one."""
        if self.lines:
            return ""
        if self.ended is None:
            return "No transcript: it is written when a session ends, and this one has no end in the audit yet."
        if self.findings:
            return 'No transcript was kept: see audit.transcript, which can be "on-finding", "always" or "never".'
        return 'No transcript was kept, as nothing was found: audit.transcript = "always" keeps one all the same.'


def tale(session: StoredSession) -> Tale:
    """Join what the audit holds of a session.

    Raises:
        ValueError: it holds nothing: no finding, no declined command, no end.
    """
    records = sorted((*session.findings, *session.declined), key=lambda record: record.event.id)
    if not records and session.end is None:
        raise ValueError(f"nothing is known of session {session.id}")
    charges = tuple(map(_charge, session.findings))
    told = Tale(
        id=shown(session.id),
        findings=charges,
        lines=(),
        omitted=session.end.smtp.omitted if session.end else 0,
        unplaced=(),
        **_facts(records, session.end),  # type: ignore[arg-type]
    )
    lines, unplaced = _lines(session.end, charges, told.only_counted)
    return replace(told, lines=lines, unplaced=unplaced)


def _facts(records: list[FindingRecord], end: SessionEndRecord | None) -> dict[str, object]:
    """Return who, when and how, from a session's end and from what was recorded before it."""
    latest = records[-1] if records else None
    either = end or latest
    assert either is not None
    part = either.smtp.session
    peer = (latest.smtp.session.peer if latest else None) or part.peer
    return {
        "client": Address(shown(either.source.ip), either.source.port),
        "via": shown(latest.smtp.session.via if latest else part.via),
        "peer": Address(shown(peer.ip), peer.port) if peer else None,
        "listener": shown(either.observer.name),
        "upstream": shown(latest.smtp.upstream) if latest else "",
        "guard": shown(latest.observer.hostname) if latest else "",
        "tls_before": bool(latest and latest.smtp.session.tls_before),
        **(_of_end(end) if end else _of_latest(latest)),
        "began": at(latest.smtp.session.start) if latest else at(either.timestamp) - (end.smtp.secs if end else 0.0),
    }


def _of_end(end: SessionEndRecord) -> dict[str, object]:
    smtp = end.smtp
    return {
        "ended": at(end.timestamp),
        "helo": shown(smtp.helo),
        "protocol": shown(smtp.proto),
        "visible": smtp.visible,
        "close": shown(smtp.close),
        "counts": {name: getattr(smtp.counts, name) for name in smtp.counts.__struct_fields__},
        "rules": {shown(rule_id): count for rule_id, count in smtp.rules.items()},
    }


def _of_latest(latest: FindingRecord | None) -> dict[str, object]:
    assert latest is not None
    return {
        "ended": None,
        "helo": shown(latest.smtp.helo or ""),
        "protocol": shown(latest.smtp.protocol or ""),
        "visible": "",
        "close": "",
        "counts": {},
        "rules": {},
    }


# --- what was found ---------------------------------------------------------------------------------------------------


def _charge(record: FindingRecord) -> Charge:
    rule, smtp = record.rule, record.smtp
    assert rule is not None
    cause = _CAUSES.get(smtp.cause or "")
    meaning, cure = (cause.meaning, cause.cure) if cause and cause is not Cause.UNKNOWN else _NO_SUCH_CAUSE
    known = CATALOGUE.get(rule.id)
    return Charge(
        rule_id=shown(rule.id),
        name=shown(rule.name),
        situation=known.situation if known else shown(record.event.reason),
        reference=known.reference if known else shown(rule.reference),
        at=at(record.timestamp),
        blames_client=blamed(record),
        done=_done(record),
        cause=cause.value if cause and meaning else "",
        meaning=meaning,
        cure=cure or (known.cure if known else ""),
        detail=shown(smtp.detail or ""),
    )


def _done(record: FindingRecord) -> str:
    smtp = record.smtp
    if smtp.consequence:
        return "answered, and nobody blamed: it was sent before the refusal could be read (RFC 2920 §3.1)"
    answer = f"{smtp.response.code} {smtp.response.enhanced}" if smtp.response else ""
    if smtp.verdict == "close":
        return f"answered {answer}, session closed" if answer else "session closed"
    if answer:
        return f"answered {answer} by smtpguard, not passed on"
    would = smtp.enforced if smtp.enforced in ("refuse", "close") else ""
    return f"noted and passed on; mode enforce would {would} it" if would else "noted"


def _unknown_charge(rule_id: str, done: str = "") -> Charge:
    """Return what is known of a rule that a line is charged with, where the finding is not in the audit."""
    if (known := CATALOGUE.get(rule_id)) is None:
        return Charge(rule_id=shown(rule_id))
    return Charge(
        rule_id=rule_id,
        name=known.name,
        situation=known.situation,
        reference=known.reference,
        done=done,
        cure=known.cure,
    )


# --- the transcript ---------------------------------------------------------------------------------------------------


def _lines(
    end: SessionEndRecord | None, charges: tuple[Charge, ...], only_counted: Counter[str]
) -> tuple[tuple[Said, ...], tuple[Charge, ...]]:
    """Put findings to the lines that bear them, the latest first; return also those that no line bears.

    What was only counted came behind what was kept one by one.
    """
    waiting: dict[str, list[Charge]] = {}
    for charge in charges:
        waiting.setdefault(charge.rule_id, []).append(charge)
    latest_first: list[Said] = []
    records = end.smtp.transcript if end else ()
    for line, behind in zip(reversed(records), (None, *reversed(records)), strict=False):
        borne = () if _goes_on(line, behind) else line.rules
        said = Said(
            after=line.t,
            speaker=Speaker(line.dir),
            text=shown(line.line),
            piece=line.piece,
            charges=tuple(_take(waiting, only_counted, rule_id) for rule_id in borne),
        )
        latest_first.append(said)
    left = [charge for each in waiting.values() for charge in each]
    return tuple(reversed(latest_first)), tuple(charge for charge in charges if charge in left)


def _goes_on(line: TranscriptRecord, behind: TranscriptRecord | None) -> bool:
    """Tell whether a line is one of a reply whose last line, which tells what it bears, is yet to come."""
    return (
        behind is not None
        and line.dir != "C"
        and _CONTINUED.match(line.line) is not None
        and (behind.dir, behind.rules) == (line.dir, line.rules)
    )


def _take(waiting: dict[str, list[Charge]], only_counted: Counter[str], rule_id: str) -> Charge:
    if only_counted[rule_id]:
        only_counted[rule_id] -= 1
        return _unknown_charge(rule_id, "counted, and not kept one by one")
    charges = waiting.get(shown(rule_id))
    return charges.pop() if charges else _unknown_charge(rule_id)
