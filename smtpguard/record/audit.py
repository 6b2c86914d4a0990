"""Events -> audit objects in the names of the Elastic Common Schema 9, one JSON object a line.

Two shapes. `FindingRecord` is complete: one per finding, and one for each command that smtpguard declined because of
a setting. `SessionEndRecord` is short, at most 400 octets with its line end, because there is one for every session
that is no probe; it holds the denominators of every report. Where something went wrong it holds the transcript too.
Both have `event.id`, whose tail is boot and sequence (see `identity`).

`event.action` is a closed list: `sequence-violation` (SG1xx; SG4xx, which are commands too), `sync-violation`
(SG2xx), `smuggling-suspect` (SG3xx), `upstream-failed` (SG501, SG502, SG503, SG505), `delivery-uncertain` (SG504),
`limit-reached` (SG6xx), `command-declined`, `session-end`. `event.kind` is `alert` where a rule fired, and `event`
where nobody is to blame: consequences, SG505, and what a setting declined.

Absent is what would be null; what is false or zero in a `FindingRecord` is written.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from smtpguard.record.clock import milliseconds
from smtpguard.record.escape import ELLIPSIS, printable
from smtpguard.record.identity import Numbering
from smtpguard.record.privacy import PRIVACY, Privacy
from smtpguard.record.session_end import narrowed, peer_of, summed_up
from smtpguard.record.shapes import (
    SCHEMA,
    Action,
    Ecs,
    Endpoint,
    EventPart,
    FindingRecord,
    Kind,
    Network,
    Observer,
    PreviousPart,
    Response,
    RulePart,
    SessionPart,
    SmtpPart,
    Tls,
    protocol,
)
from smtpguard.record.transcript import transcribed
from smtpguard.smtp import Answer, Declined, Finding, Link, Previous, Section, SessionEnded

LINE_SHOWN: Final = 1024
"""Characters of an escaped command line; with it an event stays far under 8 KiB."""

REPLY_SHOWN: Final = 512
"""Characters of an escaped reply text."""

HELO_SHOWN: Final = 512
"""Characters of an escaped hello in a finding."""

DETAIL_SHOWN: Final = 512
"""Characters of our own remark."""

SESSION_END_SIZE: Final = 400
"""Octets of a `session-end` with its line end: half of all disk is these."""

UNIQUE_ID_SHOWN: Final = 512
"""Characters of a balancer's id of the connection: 128 octets, each escaped."""

_ACTIONS: Final[dict[Section, Action]] = {
    Section.ORDER: "sequence-violation",
    Section.FOREIGN: "sequence-violation",
    Section.TIMING: "sync-violation",
    Section.FRAMING: "smuggling-suspect",
    Section.UPSTREAM: "upstream-failed",
    Section.LIMITS: "limit-reached",
}
_OWN_ACTIONS: Final[dict[str, Action]] = {"SG504": "delivery-uncertain"}
_FACTS: Final = frozenset({"SG505"})


class Auditor:
    """Makes lines of events. One per process: it counts them."""

    __slots__ = ("_encode", "_hostname", "_privacy", "_version", "numbering")

    def __init__(
        self, *, hostname: str, version: str, numbering: Numbering | None = None, privacy: Privacy = PRIVACY
    ) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._hostname = hostname
        self._version = version
        self._privacy = privacy
        self.numbering = numbering or Numbering()

    def line(self, link: Link, at: float, event: Finding | Declined) -> bytes:
        """Return the line of one event of the session."""
        return self.finding(link, at, event) if isinstance(event, Finding) else self.declined(link, at, event)

    def finding(self, link: Link, at: float, finding: Finding) -> bytes:
        """Return the line of a finding."""
        rule, answer = finding.rule, finding.answer
        blameless = finding.consequence or rule.id in _FACTS
        event = self._event(
            at,
            "event" if blameless else "alert",
            _OWN_ACTIONS.get(rule.id, _ACTIONS[rule.section]),
            answer,
            rule.situation,
        )
        line = self._privacy.shown(finding.line, LINE_SHOWN)
        smtp = SmtpPart(
            schema=SCHEMA,
            boot=self.numbering.boot,
            session=_session(link),
            upstream=link.upstream,
            helo=printable(finding.hello, HELO_SHOWN) or None,
            protocol=protocol(finding.esmtp, finding.tls, finding.authenticated),
            authenticated=finding.authenticated,
            state=finding.state.value,
            command=finding.verb.value,
            command_number=finding.sequence,
            expected=tuple(verb.value for verb in finding.expected),
            line=line,
            line_truncated=line.endswith(ELLIPSIS) and not finding.line.endswith(b"..."),
            previous=self._previous(finding.previous),
            cause=finding.cause.value,
            pipelined=finding.sent_ahead,
            consequence=finding.consequence,
            response=_response(answer),
            forwarded=finding.forwarded,
            verdict=finding.verdict.value,
            enforced=finding.enforced.value,
            violation_count=finding.violations,
            detail=self._privacy.shown(finding.detail.encode(), DETAIL_SHOWN) or None,
        )
        named = RulePart(id=rule.id, name=rule.name, ruleset=f"smtpguard@{SCHEMA}", reference=rule.reference)
        return self._line(link, at, event, smtp, named, Tls(established=finding.tls))

    def declined(self, link: Link, at: float, declined: Declined) -> bytes:
        """Return the line of a command that a setting declined."""
        reason = f"declined by {declined.setting}"
        event = self._event(at, "event", "command-declined", declined.answer, reason)
        smtp = SmtpPart(
            schema=SCHEMA,
            boot=self.numbering.boot,
            session=_session(link),
            upstream=link.upstream,
            state=declined.state.value,
            command=declined.verb.value,
            command_number=declined.sequence,
            previous=self._previous(declined.previous),
            response=_response(declined.answer),
            forwarded=False,
            setting=declined.setting,
        )
        return self._line(link, at, event, smtp)

    def session_end(self, link: Link, at: float, ended: SessionEnded) -> bytes:
        """Return the line of a session's end: of at most 400 octets, or with a transcript of at most 64 KiB."""
        record = summed_up(self.numbering.next_id(at), self._source(link), link, at, ended)
        if ended.transcript.lines:
            lines, omitted = transcribed(ended.transcript, link.started, self._privacy)
            record = replace(record, smtp=replace(record.smtp, transcript=lines, omitted=omitted))
            return self._encode(record) + b"\n"
        line = self._encode(record) + b"\n"
        if len(line) <= SESSION_END_SIZE:
            return line
        for narrower in narrowed(record, SESSION_END_SIZE, len(line)):
            line = self._encode(narrower) + b"\n"
            if len(line) <= SESSION_END_SIZE:
                break
        return line

    def _previous(self, previous: Previous | None) -> PreviousPart | None:
        if previous is None:
            return None
        text = self._privacy.shown(previous.text, REPLY_SHOWN)
        return PreviousPart(command=previous.verb.value, reply_code=previous.code, reply_text=text)

    def _source(self, link: Link) -> Endpoint:
        ip, port = self._privacy.client(link.client_ip, link.client_port)
        return Endpoint(ip=ip, port=port)

    def _event(self, at: float, kind: Kind, action: Action, answer: Answer | None, reason: str) -> EventPart:
        return EventPart(
            kind=kind,
            category=("network", "email"),
            type=("protocol", "denied") if answer else ("protocol", "info"),
            action=action,
            outcome="failure" if answer else "unknown",
            id=self.numbering.next_id(at),
            sequence=self.numbering.sequence,
            code=str(answer.code) if answer else "",
            reason=reason,
        )

    def _line(  # noqa: PLR0913 - a declined command has neither rule nor TLS
        self,
        link: Link,
        at: float,
        event: EventPart,
        smtp: SmtpPart,
        rule: RulePart | None = None,
        tls: Tls | None = None,
    ) -> bytes:
        record = FindingRecord(
            timestamp=milliseconds(at),
            ecs=Ecs(),
            event=event,
            rule=rule,
            source=self._source(link),
            destination=Endpoint(ip=link.local_ip, port=link.local_port),
            network=Network(protocol="smtp", transport="tcp", type="ipv6" if ":" in link.client_ip else "ipv4"),
            tls=tls,
            observer=Observer(
                product="smtpguard", type="proxy", version=self._version, hostname=self._hostname, name=link.listener
            ),
            smtp=smtp,
        )
        return self._encode(record) + b"\n"


def _session(link: Link) -> SessionPart:
    return SessionPart(
        id=link.session_id,
        start=milliseconds(link.started),
        via=link.via,
        peer=peer_of(link),
        unique_id=printable(link.unique_id, UNIQUE_ID_SHOWN),
        tls_before=link.tls_before,
    )


def _response(answer: Answer | None) -> Response | None:
    return Response(code=answer.code, enhanced=answer.enhanced, text=answer.text) if answer else None
