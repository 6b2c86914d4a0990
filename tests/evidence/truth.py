"""An audit whose figures are known by heart: sessions put down one by one, written by the real auditor.

The night is that of 2026-10-25, when summer time ends in Vienna: 00:00 UTC is 02:00, and so is 01:00 UTC, again.

    host                 sessions  affected  what
    198.51.100.7         40        8         SG104, one finding each; in 2 more a consequence, which is none
    198.51.100.9         10        4         3 with SG105 twice, 1 with SG104 and SG105
    2001:db8:1::25       5         5         SG201; its HELO is hostile
    2001:db8:1:ffff::1   1         1         SG201; the same /48
    203.0.113.5          100       0         60 of them read until STARTTLS only
    203.0.113.80         2         0         one with SG503 and SG601, one where a setting declined STARTTLS
    203.0.113.90         1         1         SG102; not ended
    192.0.2.66           4                   another protocol, 3 of them with SG401

159 sessions in SMTP of 7 hosts, 19 affected, 23 findings (SG104 9, SG105 7, SG201 6, SG102 1); 2 consequences.
"""

import gzip
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from smtpguard.record.audit import Auditor
from smtpguard.record.clock import day_and_hour, hour_of
from smtpguard.record.identity import Numbering
from smtpguard.smtp import Cause, Transcript, TranscriptLine, Verb, Voice
from tests.record.samples import DECLINED, ended, finding, link

HOSTILE: Final = b"<script>alert(1)</script>&amp;\xe2\x80\xae\xff'\""
"""A HELO that is HTML, an entity, a right-to-left override, an octet that is no UTF-8, and quotes."""

UNREADABLE: Final = 4
"""Lines that no event can be made of, as `damage` leaves them."""

CONVERSATION: Final = (
    ("U", b"220 mx1.example.com ESMTP", ()),
    ("C", b"EHLO mail.example.net", ()),
    ("U", b"250 mx1.example.com", ()),
    ("C", b"MAIL FROM:<bob@example.net>", ()),
    ("U", b"250 2.1.0 Ok", ()),
    ("C", b"RCPT TO:<ann@example.com>", ()),
    ("U", b"550 5.1.1 <ann@example.com>: no such user <script>alert(2)</script>", ()),
    ("C", b"DATA", ("SG104",)),
    ("G", b"503 5.5.1 Bad sequence of commands: send RCPT first", ("SG104",)),
    ("C", b"QUIT", ()),
    ("U", b"221 2.0.0 Bye", ()),
)


def utc(text: str) -> float:
    """Return the seconds since the epoch of a time in UTC."""
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


@dataclass(slots=True)
class Book:
    """Lines by segment: hour and worker."""

    pages: dict[tuple[int, int], list[bytes]] = field(default_factory=dict)
    auditors: tuple[Auditor, ...] = tuple(
        Auditor(hostname="mx1", version="1.0", numbering=Numbering(boot)) for boot in ("AAAAAA", "BBBBBB")
    )
    sessions: int = 0

    def session(
        self,
        ip: str,
        at: float,
        *found: dict[str, Any],
        worker: int = 0,
        end: bool = True,
        declined: bool = False,
        listener: str = "public",
        **changes: Any,
    ) -> str:
        """Put down one session: its findings a second apart, then its end."""
        self.sessions += 1
        session_id = f"01JDFZ8Q{self.sessions:04d}"
        who = link(session_id=session_id, client_ip=ip, started=at, listener=listener)
        hello = changes.get("hello", b"mail.example.net")
        for each in found:
            self._line(at, worker, self.auditors[worker].finding(who, at, finding(**{"hello": hello, **each})))
            at += 1
        if declined:
            self._line(at, worker, self.auditors[worker].declined(who, at, DECLINED))
        if end:
            self._line(at + 1, worker, self.auditors[worker].session_end(who, at + 1, ended(**changes)))
        return session_id

    def _line(self, at: float, worker: int, line: bytes) -> None:
        self.pages.setdefault((hour_of(at), worker), []).append(line)

    def write(self, directory: Path) -> None:
        """Write the segments of worker 0 plain, those of worker 1 gzipped."""
        for (hour, worker), lines in self.pages.items():
            day, hour_of_day = day_and_hour(hour)
            folder = directory / "events" / day
            folder.mkdir(parents=True, exist_ok=True)
            name = f"mx1-w{worker}-{hour_of_day}.jsonl"
            if worker:
                (folder / f"{name}.gz").write_bytes(gzip.compress(b"".join(lines)))
            else:
                (folder / name).write_bytes(b"".join(lines))


def conversation(started: float) -> Transcript:
    """Return what was said in a session with SG104, half a second a line."""
    return Transcript(
        tuple(
            TranscriptLine(started + place / 2, Voice(who), text, place, rules)
            for place, (who, text, rules) in enumerate(CONVERSATION, 1)
        )
    )


NIGHT: Final = utc("2026-10-24T23:30:00")


def known_night() -> Book:
    """Return the sessions of the module's table."""
    book = Book()
    for place in range(40):
        at = NIGHT + place * 300
        refused = {"rule_id": "SG104", "cause": Cause.ALL_RECIPIENTS_REFUSED}
        if place < 8:
            book.session("198.51.100.7", at, refused, worker=place % 2, rules={"SG104": 1}, transcript=conversation(at))
        elif place < 10:
            book.session("198.51.100.7", at, {**refused, "consequence": True}, worker=place % 2)
        else:
            book.session("198.51.100.7", at, worker=place % 2)
    nested = {"rule_id": "SG105", "cause": Cause.POOLED_CONNECTION, "verb": Verb.MAIL}
    for place in range(10):
        found = [nested, nested] if place < 3 else [{"rule_id": "SG104"}, nested] if place == 3 else []
        book.session("198.51.100.9", NIGHT + 3600 + place * 60, *found, worker=1)
    early = {"rule_id": "SG201", "cause": Cause.DID_NOT_WAIT_FOR_GREETING, "verb": Verb.EHLO}
    for place in range(5):
        book.session("2001:db8:1::25", NIGHT + 7200 + place, early, hello=HOSTILE, listener="submission")
    book.session("2001:db8:1:ffff::1", NIGHT + 7300, early)
    for place in range(100):
        book.session("203.0.113.5", NIGHT + place * 90, worker=place % 2, opaque=place < 60, hello=b"relay.example.org")
    book.session("203.0.113.80", NIGHT + 60, {"rule_id": "SG503"}, {"rule_id": "SG601"})
    book.session("203.0.113.80", NIGHT + 120, declined=True)
    book.session(
        "203.0.113.90", NIGHT + 180, {"rule_id": "SG102", "cause": Cause.UNKNOWN, "verb": Verb.RCPT}, end=False
    )
    for place in range(4):
        found = [{"rule_id": "SG401", "cause": Cause.SCANNER}] if place < 3 else []
        book.session("192.0.2.66", NIGHT + place, *found, not_smtp=True, hello=b"")
    return book


def damage(directory: Path) -> None:
    """Leave what crashes, full disks and copies leave: `UNREADABLE` lines, and files that must not be counted."""
    day = directory / "events" / "2026-10-25"
    plain = day / "mx1-w0-00.jsonl"
    # The gzipped self of a plain file: a guard was stopped between the two.
    (day / "mx1-w0-00.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with plain.open("ab") as segment:
        segment.write(b'{"@timestamp":"2026-10-25T00:59:59.000Z","event":{"act')
    with (day / "mx1-w0-01.jsonl").open("ab") as segment:
        segment.write(b"\0" * 64 + b"\n" + b"[1,2]\n")
    # Half of a gzip stream, and one that is not finished.
    (day / "mx1-w1-01.1.jsonl.gz").write_bytes(gzip.compress(b"")[:12])
    (day / "mx1-w1-02.jsonl.gz.part").write_bytes(b"half")
    (day / "notes.txt").write_text("not ours")
