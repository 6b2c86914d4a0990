"""Sets of rules, and sessions to be ruled on twice: captures, audits, a pasted transcript."""

import json
from pathlib import Path
from typing import Any

from smtpguard.evidence.replay.replay import (
    Book,
    Played,
    pairs,
)
from smtpguard.evidence.replay.sources import Asked, source_of
from smtpguard.evidence.replay.sums import Summary
from smtpguard.smtp import Policy, Profile, Side, Verdict, table
from tests.evidence.packets import CLIENT, Line, ethernet, pcap

C, U = Side.CLIENT, Side.UPSTREAM


def rules(profile: Profile = Profile.STANDARD, *, observing: bool = False, **changes: Verdict) -> Policy:
    """Return a policy."""
    ruled = table(profile, observing=observing, changes=changes)
    return Policy(before_auth=ruled, after_auth=ruled, observing=observing)


def book(policy: Policy) -> Book:
    """Return a set of rules of one listener."""
    return Book({"mx": policy})


def asked(now: Policy, proposed: Policy | None = None, **others: Any) -> Asked:
    """Return what is asked of a source."""
    return Asked(now=book(now), proposed=book(proposed or now), ports=frozenset({25}), **others)


def capture(folder: Path, *lines: Line, name: str = "a.pcap") -> Path:
    """Write a capture."""
    file = folder / name
    file.write_bytes(pcap(ethernet(packet) for line in lines for packet in line.packets))
    return file


EHLO = b"EHLO c.example\r\n"
OK = b"250 2.0.0 Ok\r\n"


def nested(port: int = 40001) -> Line:
    """Return a session with one nested MAIL, which UPSTREAM refused."""
    turns = (b"220 mx\r\n", EHLO, b"250 mx\r\n", b"MAIL FROM:<a@x>\r\n", OK, b"MAIL FROM:<b@x>\r\n", b"503 no\r\n")
    return Line((CLIENT[0], port)).open().said(*turns, b"QUIT\r\n", b"221 Bye\r\n").close()


def verdicts(played: Played) -> list[tuple[str, str, str]]:
    """Return rule, verdict now and proposed of each finding."""
    return [(one.proposed.rule, one.now.verdict, one.proposed.verdict) for one in pairs(played)]


def one_of(path: Path, what: Asked) -> Played:
    """Return the only session of a source."""
    (played,) = source_of(path, what)
    return played


STANDARD, LENIENT, STRICT = rules(), rules(Profile.LENIENT), rules(Profile.STRICT)


def summed(path: Path, what: Asked) -> tuple[Summary, list[Played]]:
    """Return the sums of a source, and its sessions."""
    summary, sessions = Summary(), list(source_of(path, what))
    for session in sessions:
        summary.add(session)
    return summary, sessions


def end(session: str, transcript: list[dict[str, Any]] | None = None, **smtp: Any) -> dict[str, Any]:
    """Return a `session-end` as the audit writes it."""
    return {
        "@timestamp": "2026-11-23T10:00:02.000Z",
        "event": {"action": "session-end", "id": "01KA0000000000000000000000"},
        "source": {"ip": "192.0.2.7", "port": 40001},
        "observer": {"name": "mx"},
        "smtp": {
            "session": {"id": session}, "close": "quit", "secs": 2.0, "counts": [4, 3, 0, 0, 1, 0, 90, 80],
            **({"transcript": transcript} if transcript else {}), **smtp,
        },
    }  # fmt: skip


def finding(session: str, rule: str, verdict: str, number: int, line: str, **smtp: Any) -> dict[str, Any]:
    """Return a finding as the audit writes it."""
    return {
        "@timestamp": "2026-11-23T10:00:01.000Z",
        "ecs": {"version": "9.0.0"},
        "event": {
            "kind": "alert", "category": ["network"], "type": ["protocol"], "action": "sequence-violation",
            "outcome": "failure", "id": "01KA0000000000000000000001", "sequence": 1, "reason": "x",
        },
        "rule": {"id": rule, "name": "x", "ruleset": "smtpguard@1", "reference": "x"},
        "source": {"ip": "192.0.2.7", "port": 40001},
        "destination": {"ip": "192.0.2.25", "port": 25},
        "network": {"protocol": "smtp", "transport": "tcp", "type": "ipv4"},
        "observer": {"product": "smtpguard", "type": "x", "version": "1", "hostname": "mx", "name": "mx"},
        "smtp": {
            "schema": 1, "boot": "AAAAAA", "session": {"id": session, "start": "2026-11-23T10:00:00.000Z"},
            "upstream": "x:25", "state": "envelope", "command": line.split(maxsplit=1)[0], "command_number": number,
            "line": line, "verdict": verdict, "enforced": verdict, "consequence": False, "forwarded": False, **smtp,
        },
    }  # fmt: skip


def said(*lines: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Return a transcript: time, direction, line, piece, rules."""
    return [
        {"t": at, "dir": side, "line": line, "piece": piece, "rules": list(rules_of)}
        for at, side, line, piece, *rules_of in lines
    ]


NESTED = said(
    (0.0, "U", "220 mx", 1), (0.1, "C", "EHLO c.example", 1), (0.2, "U", "250 mx", 2),
    (0.3, "C", "MAIL FROM:<a@x>", 2), (0.4, "U", "250 ok", 3), (0.5, "C", "MAIL FROM:<b@x>", 3, "SG105"),
    (0.5, "G", "503 5.5.1 Nested MAIL command [SG105 1M85FEK6375Z]", 0), (0.6, "C", "QUIT", 4),
    (0.7, "U", "221 Bye", 4),
)  # fmt: skip
CHARGE = finding("1M85FEK6375Z", "SG105", "refuse", 3, "MAIL FROM:<b@x>")


def stored(folder: Path, *events: dict[str, Any]) -> Path:
    """Write an audit directory."""
    day = folder / "audit/events/2026-11-23"
    day.mkdir(parents=True)
    (day / "mx-w0-10.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return folder / "audit"


SWAKS = b"""=== Connected to mx.example.
<-  220 mx.example ESMTP
 -> EHLO c.example
<-  250 mx.example
 -> MAIL FROM:<a@x>
<-  250 ok
 -> MAIL FROM:<b@x>
<** 503 5.5.1 nested MAIL command
 -> QUIT
<-  221 Bye
"""
