"""Events as the other rooms hand them in, and the ways to read what was recorded.

`NOW` is 2026-11-23T18:20:01.482113Z; the sample session began 381 ms before.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from smtpguard.smtp import (
    CATALOGUE,
    Answer,
    Cause,
    Close,
    Declined,
    Finding,
    Link,
    Previous,
    SessionEnded,
    State,
    Verb,
    Verdict,
)

NOW = 1795458001.482113
PREFIX = "2026-11-23T18:20:01.482113+00:00 mx1 smtpguard/smtpd"
HOST = "unknown[198.51.100.7]:43122"

LINK = Link(
    session_id="01JDFZ8Q0V7M",
    started=1795458001.101,
    client_ip="198.51.100.7",
    client_port=43122,
    local_ip="192.0.2.25",
    local_port=25,
    listener="0.0.0.0:25",
    upstream="127.0.0.1:10025",
)

ENDED = SessionEnded(
    close=Close.QUIT,
    state=State.IDENTIFIED,
    waiting_for="command",
    last_verb=Verb.QUIT,
    hello=b"mail.example.net",
    esmtp=True,
    tls=False,
    authenticated=False,
    opaque=False,
    not_smtp=False,
    probe=False,
    commands={Verb.EHLO: (1, 1), Verb.MAIL: (1, 1), Verb.RCPT: (1, 2), Verb.DATA: (1, 1), Verb.QUIT: (1, 1)},
    accepted_messages=1,
    refused_messages=0,
    rules={},
    violations=0,
    consequences=0,
    octets_in=812,
    octets_out=404,
)

DECLINED = Declined(
    setting="tls.mode",
    state=State.IDENTIFIED,
    verb=Verb.STARTTLS,
    previous=Previous(verb=Verb.EHLO, code=250, text=b"mx1.example.com"),
    answer=Answer(454, "4.7.0", "TLS not available"),
    sequence=2,
)


def link(**changes: Any) -> Link:
    """Return the sample link, changed."""
    return dataclasses.replace(LINK, **changes)


def ended(**changes: Any) -> SessionEnded:
    """Return the end of a clean session, changed."""
    return dataclasses.replace(ENDED, **changes)


def finding(rule_id: str = "SG104", **changes: Any) -> Finding:
    """Return a refused DATA behind a refused RCPT, changed; the answer is the rule's unless one is given."""
    rule = CATALOGUE[rule_id]
    sample = Finding(
        rule=rule,
        verdict=Verdict.REFUSE,
        enforced=Verdict.REFUSE,
        consequence=False,
        cause=Cause.ALL_RECIPIENTS_REFUSED,
        state=State.ENVELOPE,
        verb=Verb.DATA,
        line=b"DATA",
        expected=(Verb.RCPT, Verb.RSET),
        previous=Previous(verb=Verb.RCPT, code=550, text=b"5.1.1 no such user"),
        answer=rule.answer,
        forwarded=False,
        sent_ahead=False,
        sequence=4,
        violations=1,
        hello=b"mail.example.net",
        esmtp=True,
    )
    return dataclasses.replace(sample, **changes)


def noted(rule_id: str, enforced: Verdict = Verdict.NOTE, **changes: Any) -> Finding:
    """Return a finding that was only recorded: UPSTREAM speaks."""
    return finding(rule_id, verdict=Verdict.NOTE, enforced=enforced, answer=None, forwarded=True, **changes)


def events_below(directory: Path) -> list[Any]:
    """Return all audit objects below a directory, in the order of the files' names."""
    files = sorted(directory.rglob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
