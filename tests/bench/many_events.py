"""A large audit in little time: lines of the auditor's own making, with time, id, address and rule put in by hand.

Of a hundred sessions two break rules, one hides behind STARTTLS, one speaks another protocol: one event in fifty or so
is a finding, the rest are compact ends. What is written is spread evenly over the days before `until`, over
two workers and as many hosts as asked for; a quarter of the hosts makes most of the traffic. The same arguments give
the same octets. `Made` holds what the report must find.
"""

import gzip
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from smtpguard.record.audit import Auditor
from smtpguard.record.clock import day_and_hour, milliseconds
from smtpguard.record.identity import Numbering
from tests.record.samples import ended, finding, link

WORKERS: Final = 2
RULES: Final = ("SG101", "SG102", "SG104", "SG104", "SG104", "SG105", "SG202", "SG301")
_BASE32: Final = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_IP: Final = b"198.51.100.7"
_SESSION: Final = b"01JDFZ8Q0V7M"
_AT: Final = 1795458001.0
_STAMP: Final = milliseconds(_AT).encode()


@dataclass(slots=True)
class Made:
    """What was written."""

    events: int = 0
    octets: int = 0
    sessions: int = 0
    """In SMTP."""
    other_protocol: int = 0
    other_protocol_hosts: int = 0
    affected: int = 0
    rules: Counter[str] = field(default_factory=Counter)


class _Line:
    """A line with holes: time, id, session, address."""

    def __init__(self, line: bytes) -> None:
        whole = line.replace(b"%", b"%%")
        head, _, tail = whole.partition(b'"id":"')
        holed = head + b'"id":"%(id)s' + tail[26:]
        self.form = holed.replace(_STAMP, b"%(at)s").replace(_SESSION, b"%(session)s").replace(_IP, b"%(ip)s")

    def filled(self, at: bytes, number: int, ip: bytes, session: bytes) -> bytes:
        """Fill the holes."""
        return self.form % {b"at": at, b"id": b"01M84T5TJAWQ4S6Q%010d" % number, b"ip": ip, b"session": session}


def write(
    directory: Path,
    *,
    events: int,
    days: int,
    until: float,
    hosts: int = 5000,
    packed: bool = False,
    margin: float = 0.0,
) -> Made:
    """Write about so many events below `directory/events`; all hours but the last are gzipped if `packed`.

    The oldest are `margin` seconds younger than `days`, so that a report asked for a little later has them all.
    """
    chance = random.Random(5321)
    auditor = Auditor(hostname="mx1", version="0", numbering=Numbering("WQ4S6Q"))
    clean = _Line(auditor.session_end(link(), _AT, ended()))
    opaque = _Line(auditor.session_end(link(), _AT, ended(opaque=True)))
    foreign = _Line(auditor.session_end(link(), _AT, ended(not_smtp=True, rules={"SG401": 1})))
    other = _Line(auditor.finding(link(), _AT, finding("SG401")))
    pairs = {
        rule: (
            _Line(auditor.finding(link(), _AT, finding(rule))),
            _Line(auditor.session_end(link(), _AT, ended(rules={rule: 1}, violations=1))),
        )
        for rule in RULES
    }
    made = Made()
    addresses = [b"10.%d.%d.%d" % (n >> 14, n >> 6 & 255, n & 63) for n in range(hosts)]
    hours = days * 24
    others: set[bytes] = set()
    last = int(until // 3600)
    for hour in range(last - hours, last + 1):
        for worker in range(WORKERS):
            lines: list[bytes] = []
            wanted = events // (hours * WORKERS)
            for place in range(wanted):
                at = hour * 3600 + 3599 * place / wanted
                if at < until - days * 86400 + margin:
                    continue
                if at >= until:
                    break
                number = made.events + len(lines) + 1
                ip = addresses[min(chance.randrange(hosts), chance.randrange(hosts))]
                session = _session_id(at, number)
                stamp = milliseconds(at).encode()
                lot = chance.randrange(100)
                if lot < 2:
                    rule = RULES[chance.randrange(len(RULES))]
                    broken, end = pairs[rule]
                    lines += (broken.filled(stamp, number, ip, session), end.filled(stamp, number + 1, ip, session))
                    made.rules[rule] += 1
                    made.affected += 1
                    made.sessions += 1
                elif lot == 2:
                    lines += (other.filled(stamp, number, ip, session), foreign.filled(stamp, number + 1, ip, session))
                    made.other_protocol += 1
                    others.add(ip)
                else:
                    lines.append((opaque if lot == 3 else clean).filled(stamp, number, ip, session))
                    made.sessions += 1
            made.events += len(lines)
            made.octets += _written(directory, hour, worker, b"".join(lines), packed=packed and hour < last)
    made.other_protocol_hosts = len(others)
    return made


def _session_id(at: float, number: int) -> bytes:
    """Return an id as `net.server.session_ids` makes them: milliseconds, then a counter."""
    milliseconds = int(at * 1000)
    digits = [milliseconds >> 5 * place & 31 for place in reversed(range(9))]
    digits += [number >> 10 & 31, number >> 5 & 31, number & 31]
    return bytes(map(_BASE32.__getitem__, digits))


def _written(directory: Path, hour: int, worker: int, octets: bytes, *, packed: bool) -> int:
    day, hour_of_day = day_and_hour(hour)
    folder = directory / "events" / day
    folder.mkdir(parents=True, exist_ok=True)
    name = f"mx1-w{worker}-{hour_of_day}.jsonl"
    if packed:
        (folder / f"{name}.gz").write_bytes(gzip.compress(octets, 6))
    else:
        (folder / name).write_bytes(octets)
    return len(octets)
