"""Which session is meant: an id as people paste, read out and mistype it; all sessions of a host or a network."""

import re
import zlib
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from smtpguard.evidence.show.tale import Tale, tale
from smtpguard.evidence.store import Store, StoredSession, opened
from smtpguard.evidence.wording import shown
from smtpguard.record import FindingRecord, SessionEndRecord

Network = IPv4Network | IPv6Network

ID_LENGTH: Final = 12
"""Characters of a session's id."""

BEGINNING: Final = 6
"""Characters from which on the beginning of an id says something: five are those of a quarter of an hour."""

_ID: Final = re.compile(rb'"session":\{"id":"([0-9A-Z]{12})"')
_IN_REPLY: Final = re.compile(r"\[SG\d{3} +(\w{12})\]", re.IGNORECASE)
_IN_LINE: Final = re.compile(r"\bsession[= ](\w{12})\b", re.IGNORECASE)
# Crockford's base 32 has no I, L, O and U; who reads an id aloud or types it says them all the same.
_MISREAD: Final = str.maketrans("ILO", "110")
_ALPHABET: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]*")


def session_id_in(words: str) -> str:
    """Return the session's id in what was pasted: the id or the beginning of one, the end of a reply, a log's line.

    Raises:
        ValueError: there is none; the sentence says what one looks like.
    """
    text = words.strip()
    found = _IN_REPLY.search(text) or _IN_LINE.search(text)
    wanted = (found[1] if found else text.strip("[]")).upper().translate(_MISREAD)
    if not BEGINNING <= len(wanted) <= ID_LENGTH or not _ALPHABET.fullmatch(wanted):
        raise ValueError(
            f"{shown(text)!r} is no session's id: {ID_LENGTH} digits and letters such as 1M856DF92690, "
            "as they stand in replies, in the log (session=...) and in events"
        )
    return wanted


def near(store: Store, wanted: str, limit: int = 5) -> list[str]:
    """Return the ids of the store that are nearest: first those with the fewest other characters, then the latest.

    Of the beginning of an id, those that begin so.
    """
    known = _ids(store)
    distances = {each: distance for each in known if (distance := _distance(each, wanted)) is not None}
    return sorted(sorted(distances, reverse=True), key=distances.__getitem__)[:limit]


def _ids(store: Store) -> set[str]:
    """Return the ids of all sessions; of a million events, decoded one by one, that would take five times as long."""
    known: set[str] = set()
    for path in store.segments():
        try:
            with opened(path) as lines:
                known.update(found[1].decode("ascii") for line in lines if (found := _ID.search(line)))
        except (OSError, EOFError, zlib.error):
            # Whoever asks has read the segment before, and told what is wrong with it.
            continue
    return known


def _distance(known: str, wanted: str) -> int | None:
    """Return in how many characters an id differs; None: in too many to have been meant."""
    if len(wanted) < ID_LENGTH:
        return 0 if known.startswith(wanted) else None
    others = sum(one != other for one, other in zip(known, wanted, strict=False))
    return others if others <= 2 else None


def network_of(text: str) -> Network:
    """Return the network that an address or a network names; an IPv4 address within IPv6 is the IPv4 one.

    Raises:
        ValueError: it is neither.
    """
    word = text.strip().strip("[]")
    try:
        address = ip_address(word)
        return ip_network(getattr(address, "ipv4_mapped", None) or address)
    except ValueError:
        return ip_network(word, strict=False)


def sessions_of(store: Store, network: Network, since: float, until: float) -> list[StoredSession]:
    """Return the sessions of a host or a network in a period, in the order of their ends, those without one last."""
    if network.num_addresses == 1:
        return list(store.host(str(network.network_address), since, until))
    gathered: dict[str, list[FindingRecord]] = {}
    ends: dict[str, SessionEndRecord] = {}
    for record in store.events(since, until):
        if _within(network, record.source.ip):
            if isinstance(record, SessionEndRecord):
                ends[record.smtp.session.id] = record
            else:
                gathered.setdefault(record.smtp.session.id, []).append(record)
    return [
        StoredSession(
            id=session_id,
            findings=tuple(record for record in gathered.get(session_id, ()) if record.rule),
            declined=tuple(record for record in gathered.get(session_id, ()) if not record.rule),
            end=ends.get(session_id),
        )
        for session_id in (*ends, *(each for each in gathered if each not in ends))
    ]


def _within(network: Network, ip: str) -> bool:
    try:
        return ip_address(ip) in network
    except ValueError:
        return False


def latest_first(sessions: Iterable[StoredSession]) -> Iterator[Tale]:
    """Yield the tales of the sessions in which a rule fired, the latest first."""
    told = [tale(session) for session in sessions if session.findings]
    yield from sorted(told, key=lambda each: (each.ended or each.began, each.id), reverse=True)
