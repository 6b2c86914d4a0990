"""The end of a session -> `SessionEndRecord`, and that in fewer octets where it is too long."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from smtpguard.record.clock import elapsed, milliseconds
from smtpguard.record.escape import ELLIPSIS, clean, cut, printable
from smtpguard.record.shapes import (
    Counts,
    Endpoint,
    SessionEndRecord,
    ShortEvent,
    ShortObserver,
    ShortSession,
    ShortSmtp,
    protocol,
)
from smtpguard.smtp import Link, SessionEnded

LISTENER_SHOWN: Final = 48
"""Characters of a listener's name in a `session-end`: an IPv6 address with its port fits."""

_MORE: Final = "more"


def peer_of(link: Link) -> Endpoint | None:
    """Return who connected to us, where that was not the client."""
    return Endpoint(ip=link.peer_ip, port=link.peer_port) if link.peer_ip else None


def summed_up(identifier: str, source: Endpoint, link: Link, at: float, ended: SessionEnded) -> SessionEndRecord:
    """Return all of it but the transcript, however long that is."""
    return SessionEndRecord(
        timestamp=milliseconds(at),
        event=ShortEvent(id=identifier),
        source=source,
        observer=ShortObserver(name=clean(link.listener, LISTENER_SHOWN)),
        smtp=ShortSmtp(
            session=ShortSession(id=link.session_id, via=link.via, peer=peer_of(link)),
            close=ended.close.value,
            secs=elapsed(link.started, at),
            visible=_visibility(ended),
            proto=protocol(ended.esmtp, ended.tls, ended.authenticated),
            counts=_counts(ended),
            rules=ended.rules,
            helo=printable(ended.hello, len(ended.hello) * 4),
        ),
    )


def narrowed(record: SessionEndRecord, size: int, length: int) -> Iterator[SessionEndRecord]:
    """Yield the record with less and less in it. What other events hold too goes before what only this one holds.

    First the end of the hello; then how the client's address came, the end of the listener's name, and the rules that
    fired least, which the session's findings name as well.
    """
    excess = length - size
    helo, listener = record.smtp.helo, record.observer.name
    record = replace(record, smtp=replace(record.smtp, helo=_less(helo, excess)))
    yield record
    # Without a hello its key is gone, too; to be cut a little too much matters to nobody.
    excess -= len(helo) - len(record.smtp.helo)
    bare = ShortSession(id=record.smtp.session.id)
    excess -= len(msgspec.json.encode(record.smtp.session)) - len(msgspec.json.encode(bare))
    record = replace(record, smtp=replace(record.smtp, session=bare))
    yield record
    record = replace(record, observer=replace(record.observer, name=_less(listener, excess)))
    yield record
    rules = record.smtp.rules
    while rules.keys() - {_MORE}:
        rules = _fewer(rules)
        yield replace(record, smtp=replace(record.smtp, rules=rules))
    yield replace(record, smtp=replace(record.smtp, rules={}))


def _less(text: str, excess: int) -> str:
    """Cut text by `excess` characters, `...` included; the empty text if that is more than it has."""
    room = len(text) - max(0, excess) - len(ELLIPSIS)
    return cut(text, room) if room > 0 else ""


def _visibility(ended: SessionEnded) -> Literal["full", "until-starttls", "none"]:
    if ended.not_smtp:
        return "none"
    return "until-starttls" if ended.opaque else "full"


def _counts(ended: SessionEnded) -> Counts:
    accepted = said = 0
    for one_accepted, one_said in ended.commands.values():
        accepted += one_accepted
        said += one_said
    return Counts(
        commands_said=said,
        commands_accepted=accepted,
        messages_accepted=ended.accepted_messages,
        messages_refused=ended.refused_messages,
        violations=ended.violations,
        consequences=ended.consequences,
        octets_in=ended.octets_in,
        octets_out=ended.octets_out,
    )


def _fewer(rules: dict[str, int]) -> dict[str, int]:
    """Move the rule that fired least under `more`."""
    rarest = min(rules.keys() - {_MORE}, key=lambda rule_id: (rules[rule_id], rule_id))
    rest = {rule_id: count for rule_id, count in rules.items() if rule_id not in (rarest, _MORE)}
    return {**rest, _MORE: rules.get(_MORE, 0) + rules[rarest]}
