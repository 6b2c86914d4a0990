"""An audit as files, written by hand: events as JSON in the words of the schema, with nothing of smtpguard's writer.

`NOON` is 2026-11-23T12:00:00Z; sessions begin `after` seconds behind it.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

NOON: Final = 1795435200.0
HOST: Final = "198.51.100.7"
_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def session_id(number: int, after: float = 0.0) -> str:
    """Return an id as a guard gives it: nine digits of milliseconds, three of a counter."""
    milliseconds = round((NOON + after) * 1000)
    spelt = [_DIGITS[milliseconds >> 5 * place & 31] for place in reversed(range(9))]
    return "".join(spelt) + f"0{_DIGITS[number >> 5 & 31]}{_DIGITS[number & 31]}"


def time_of(after: float) -> str:
    """Return a time as the audit writes it."""
    return datetime.fromtimestamp(NOON + after, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def said(t: float, who: str, line: str, piece: int = 0, rules: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return one line of a transcript."""
    entry: dict[str, Any] = {"t": t, "dir": who, "line": line}
    return entry | ({"piece": piece} if piece else {}) | ({"rules": list(rules)} if rules else {})


def end(number: int, after: float = 0.0, **changes: Any) -> dict[str, Any]:
    """Return a `session-end`, 1.5 s after the session's begin; changes are keys of `smtp`, or `ip`, `listener`."""
    ip, listener = changes.pop("ip", HOST), changes.pop("listener", "0.0.0.0:25")
    session = {"id": changes.pop("id", session_id(number, after)), **changes.pop("session", {})}
    smtp = {
        "session": session,
        "close": "quit",
        "secs": 1.5,
        "counts": [5, 3, 0, 0, 1, 0, 97, 295],
        "helo": "mail.client.example",
        **changes,
    }
    return {
        "@timestamp": time_of(after + 1.5),
        "event": {"action": "session-end", "id": _event_id(number, 99)},
        "source": {"ip": ip, "port": 43122},
        "observer": {"name": listener},
        "smtp": smtp,
    }


def found(number: int, rule: str, after: float = 0.0, *, place: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a finding, 0.1 s times `place` after the session's begin; changes are keys of `smtp`, or as for `end`."""
    ip, listener = changes.pop("ip", HOST), changes.pop("listener", "0.0.0.0:25")
    reference, name = changes.pop("reference", "RFC 5321 §3.3"), changes.pop("name", "data-without-recipient")
    session = {
        "id": changes.pop("id", session_id(number, after)),
        "start": time_of(after),
        **changes.pop("session", {}),
    }
    smtp = {
        "schema": 1,
        "boot": "7M2K5N",
        "session": session,
        "upstream": "127.0.0.1:10025",
        "helo": "mail.client.example",
        "protocol": "ESMTP",
        "authenticated": False,
        "state": "envelope",
        "command": "DATA",
        "command_number": 4,
        "expected": ["RCPT", "RSET"],
        "line": "DATA",
        "line_truncated": False,
        "previous": {"command": "RCPT", "reply_code": 550, "reply_text": "5.1.1 no such user"},
        "cause": "all-recipients-refused",
        "pipelined": False,
        "consequence": False,
        "response": {"code": 503, "enhanced": "5.5.1", "text": "Bad sequence of commands: send RCPT first"},
        "forwarded": False,
        "verdict": "refuse",
        "enforced": "refuse",
        "violation_count": 1,
        **changes,
    }
    return {
        "@timestamp": time_of(after + place / 10),
        "ecs": {"version": "9.0.0"},
        "event": {
            "kind": "alert",
            "category": ["network", "email"],
            "type": ["protocol", "denied"],
            "action": "sequence-violation",
            "outcome": "failure",
            "id": _event_id(number, place),
            "sequence": number * 100 + place,
            "reason": "a situation",
        },
        "rule": {"id": rule, "name": name, "ruleset": "smtpguard@1", "reference": reference},
        "source": {"ip": ip, "port": 43122},
        "destination": {"ip": "192.0.2.25", "port": 25},
        "network": {"protocol": "smtp", "transport": "tcp", "type": "ipv4"},
        "tls": {"established": False},
        "observer": {
            "product": "smtpguard", "type": "proxy", "version": "0", "hostname": "mx1.example.net", "name": listener,
        },
        "smtp": {key: value for key, value in smtp.items() if value is not None},
    }  # fmt: skip


def _event_id(number: int, place: int) -> str:
    return f"01M856DF927M2K5N{number * 100 + place:010d}"


def write(directory: Path, *events: dict[str, Any]) -> Path:
    """Write events into the segment of noon, and return the audit's directory."""
    day = directory / "events" / "2026-11-23"
    day.mkdir(parents=True, exist_ok=True)
    with (day / "mx1-w0-12.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(event, separators=(",", ":")) + "\n" for event in events)
    return directory


TRANSCRIPT: Final = (
    said(0.0, "U", "220 mx.example.net ESMTP", 1),
    said(0.1, "C", "EHLO mail.client.example", 1),
    said(0.1, "U", "250-mx.example.net", 2),
    said(0.1, "U", "250-PIPELINING", 2),
    said(0.1, "U", "250 CHUNKING", 2),
    said(0.2, "C", "MAIL FROM:<ann@client.example>", 2),
    said(0.3, "U", "250 2.1.0 Ok", 3),
    said(0.4, "C", "RCPT TO:<nobody@example.net>", 3),
    said(0.5, "U", "550 5.1.1 <nobody@example.net>: no such user", 4),
    said(0.6, "C", "DATA", 4, ("SG104",)),
    said(0.6, "G", "503 5.5.1 Bad sequence of commands: send RCPT first [SG104 ID]"),
    said(0.7, "C", "QUIT", 5),
    said(0.7, "U", "221 2.0.0 Bye", 5),
)
"""Every RCPT refused, then DATA."""


def refused_data(number: int = 1, after: float = 0.0, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the events of a session that went on with DATA."""
    where = {"ip": changes["ip"]} if "ip" in changes else {}
    finding = found(number, "SG104", after, place=6, **where)
    return finding, end(number, after, rules={"SG104": 1}, transcript=list(TRANSCRIPT), **changes)
