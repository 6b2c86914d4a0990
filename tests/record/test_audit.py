"""Golden audit objects, and the size of a session's end."""

import dataclasses
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpguard.record import FindingRecord, SessionEndRecord
from smtpguard.record.audit import SESSION_END_SIZE, Auditor
from smtpguard.record.identity import Numbering
from smtpguard.smtp import CATALOGUE, Close, Previous, SessionEnded, State, Verb, Verdict, Waiting
from tests.record.samples import DECLINED, LINK, NOW, ended, finding, link, noted


@pytest.fixture
def auditor() -> Auditor:
    """Return an auditor whose boot id is known."""
    return Auditor(hostname="mx1", version="0.1.0", numbering=Numbering("GM7DCF"))


def decoded(line: bytes) -> dict[str, Any]:
    """Decode one line; it ends where it says."""
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    record: dict[str, Any] = json.loads(line)
    return record


def test_finding(auditor: Auditor) -> None:
    """A refused command, name by name, in the order of the schema."""
    line = auditor.line(LINK, NOW, finding(sent_ahead=True, detail="a remark"))
    record = decoded(line)
    assert record == {
        "@timestamp": "2026-11-23T18:20:01.482Z",
        "ecs": {"version": "9.0.0"},
        "event": {
            "kind": "alert",
            "category": ["network", "email"],
            "type": ["protocol", "denied"],
            "action": "sequence-violation",
            "outcome": "failure",
            "id": "01M84T5TJAGM7DCF0000000001",
            "sequence": 1,
            "code": "503",
            "reason": "DATA, BDAT or BURL with a transaction open and no recipient accepted",
        },
        "rule": {
            "id": "SG104",
            "name": "data-without-recipient",
            "ruleset": "smtpguard@1",
            "reference": "RFC 5321 §3.3; RFC 2920 §3.1",
        },
        "source": {"ip": "198.51.100.7", "port": 43122},
        "destination": {"ip": "192.0.2.25", "port": 25},
        "network": {"protocol": "smtp", "transport": "tcp", "type": "ipv4"},
        "tls": {"established": False},
        "observer": {
            "product": "smtpguard",
            "type": "proxy",
            "version": "0.1.0",
            "hostname": "mx1",
            "name": "0.0.0.0:25",
        },
        "smtp": {
            "schema": 1,
            "boot": "GM7DCF",
            "session": {"id": "01JDFZ8Q0V7M", "start": "2026-11-23T18:20:01.101Z"},
            "upstream": "127.0.0.1:10025",
            "helo": "mail.example.net",
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
            "pipelined": True,
            "consequence": False,
            "response": {"code": 503, "enhanced": "5.5.1", "text": "Bad sequence of commands: send RCPT first"},
            "forwarded": False,
            "verdict": "refuse",
            "enforced": "refuse",
            "violation_count": 1,
            "detail": "a remark",
        },
    }
    assert next(iter(record)) == "@timestamp"
    assert msgspec.json.decode(line, type=FindingRecord).event.id == "01M84T5TJAGM7DCF0000000001"


def test_observed_finding(auditor: Auditor) -> None:
    """Where UPSTREAM speaks there is no answer of ours, and the outcome is not known."""
    record = decoded(auditor.line(link(client_ip="2001:db8::25"), NOW, noted("SG102", Verdict.REFUSE, previous=None)))
    assert record["event"]["type"] == ["protocol", "info"]
    assert record["event"]["outcome"] == "unknown"
    assert "code" not in record["event"]
    assert record["network"]["type"] == "ipv6"
    assert (record["smtp"]["verdict"], record["smtp"]["enforced"]) == ("note", "refuse")
    assert not {"response", "previous", "detail", "setting"} & record["smtp"].keys()


def test_declined(auditor: Auditor) -> None:
    """A command that a setting declined breaks no rule, and nobody is to blame."""
    record = decoded(auditor.line(LINK, NOW, DECLINED))
    assert record["event"]["kind"] == "event"
    assert record["event"]["action"] == "command-declined"
    assert record["event"]["reason"] == "declined by tls.mode"
    assert record["smtp"]["setting"] == "tls.mode"
    assert record["smtp"]["response"] == {"code": 454, "enhanced": "4.7.0", "text": "TLS not available"}
    assert "rule" not in record


@pytest.mark.parametrize("rule_id", sorted(CATALOGUE))
def test_action_and_kind_of_every_rule(auditor: Auditor, rule_id: str) -> None:
    """Every rule has an action of the closed list; only a surprise of UPSTREAM is no alert."""
    record = decoded(auditor.line(LINK, NOW, noted(rule_id)))
    by_hundred = {
        "1": "sequence-violation",
        "2": "sync-violation",
        "3": "smuggling-suspect",
        "4": "sequence-violation",
        "5": "upstream-failed",
        "6": "limit-reached",
    }
    assert record["event"]["action"] == ("delivery-uncertain" if rule_id == "SG504" else by_hundred[rule_id[2]])
    assert record["event"]["kind"] == ("event" if rule_id == "SG505" else "alert")
    assert record["rule"]["id"] == rule_id


def test_consequence_is_no_alert(auditor: Auditor) -> None:
    """CLIENT is not blamed for what it had pipelined (RFC 2920 §3.1)."""
    record = decoded(auditor.line(LINK, NOW, finding(consequence=True)))
    assert record["event"]["kind"] == "event"
    assert record["smtp"]["consequence"] is True


def test_long_wire_text(auditor: Auditor) -> None:
    """The longest line and reply, all of it to be escaped, stay under 8 KiB, and say that they were cut."""
    previous = Previous(verb=Verb.RCPT, code=550, text=b"\x80" * 512)
    line = auditor.line(
        LINK, NOW, finding(line=b"\xff" * 12288, hello=b"\xff" * 255, previous=previous, detail="x" * 5000)
    )
    record = decoded(line)
    assert len(line) < 8192
    assert record["smtp"]["line"].endswith("\\xff...")
    assert record["smtp"]["line_truncated"] is True


def test_line_that_ends_in_dots_is_not_cut(auditor: Auditor) -> None:
    """Three dots of the client's own are no sign of ours."""
    record = decoded(auditor.line(LINK, NOW, finding(line=b"DATA ...")))
    assert record["smtp"]["line_truncated"] is False


def test_sequence_counts_every_event(auditor: Auditor) -> None:
    """Findings, declined commands and ends share one counter: a missing number is a hole."""
    made = [
        auditor.line(LINK, NOW, finding()),
        auditor.line(LINK, NOW, DECLINED),
        auditor.session_end(LINK, NOW, ended()),
        auditor.line(LINK, NOW, finding()),
    ]
    ids = [decoded(line)["event"]["id"] for line in made]
    assert [int(one[-10:]) for one in ids] == [1, 2, 3, 4]


def test_session_end(auditor: Auditor) -> None:
    """A clean session: what is usual is absent."""
    line = auditor.session_end(LINK, NOW, ended())
    assert decoded(line) == {
        "@timestamp": "2026-11-23T18:20:01.482Z",
        "event": {"action": "session-end", "id": "01M84T5TJAGM7DCF0000000001"},
        "source": {"ip": "198.51.100.7", "port": 43122},
        "observer": {"name": "0.0.0.0:25"},
        "smtp": {
            "session": {"id": "01JDFZ8Q0V7M"},
            "close": "quit",
            "secs": 0.381,
            "counts": [6, 5, 1, 0, 0, 0, 812, 404],
            "helo": "mail.example.net",
        },
    }
    assert len(line) < 320
    record = msgspec.json.decode(line, type=SessionEndRecord)
    assert (record.smtp.visible, record.smtp.proto, record.smtp.rules) == ("full", "ESMTP", {})
    assert (record.smtp.counts.commands_said, record.smtp.counts.octets_out) == (6, 404)


@pytest.mark.parametrize(
    ("changes", "proto"),
    [
        ({"esmtp": False}, "SMTP"),
        ({"tls": True}, "ESMTPS"),
        ({"authenticated": True}, "ESMTPA"),
        ({"tls": True, "authenticated": True}, "ESMTPSA"),
    ],
)
def test_protocol(auditor: Auditor, changes: dict[str, Any], proto: str) -> None:
    """RFC 3848 names what the session was."""
    assert decoded(auditor.session_end(LINK, NOW, ended(**changes)))["smtp"]["proto"] == proto


def test_session_end_with_all_to_say(auditor: Auditor) -> None:
    """A bad session: rules, visibility, violations, consequences, an escaped hello."""
    event = ended(opaque=True, rules={"SG104": 3, "SG102": 1}, violations=4, consequences=2, hello=b"a\x1bb")
    smtp = decoded(auditor.session_end(LINK, NOW, event))["smtp"]
    assert smtp["visible"] == "until-starttls"
    assert smtp["rules"] == {"SG104": 3, "SG102": 1}
    assert smtp["counts"] == [6, 5, 1, 0, 4, 2, 812, 404]
    assert smtp["helo"] == "a\\x1bb"
    assert decoded(auditor.session_end(LINK, NOW, ended(not_smtp=True)))["smtp"]["visible"] == "none"


def test_long_hello_gives_way(auditor: Auditor) -> None:
    """A hello of 255 octets is cut to what fits, and the line is as full as it may be."""
    line = auditor.session_end(LINK, NOW, ended(hello=b"h" * 255))
    assert SESSION_END_SIZE - 3 <= len(line) <= SESSION_END_SIZE
    helo = decoded(line)["smtp"]["helo"]
    assert helo.endswith("hhh...")
    assert len(helo) > 90


IPV6 = "2001:db8:1234:5678:9abc:def0:1234:5678"


def test_ordinary_bad_session_over_ipv6_keeps_its_rules(auditor: Auditor) -> None:
    """The longest address, five-digit counts and two rules still leave room for all that a report counts."""
    event = ended(
        close=Close.CLIENT_GONE,
        tls=True,
        authenticated=True,
        rules={"SG104": 12, "SG505": 12},
        violations=12,
        consequences=3,
        octets_in=81200,
        octets_out=14040,
    )
    line = auditor.session_end(link(client_ip=IPV6, started=NOW - 123.456), NOW, event)
    smtp = decoded(line)["smtp"]
    assert len(line) <= SESSION_END_SIZE
    assert smtp["rules"] == {"SG104": 12, "SG505": 12}
    assert smtp["counts"] == [6, 5, 1, 0, 12, 3, 81200, 14040]


def test_many_rules_are_summed(auditor: Auditor) -> None:
    """A session that broke every rule keeps those that fired most; no finding goes missing in the sum."""
    rules = {rule_id: count for count, rule_id in enumerate(sorted(CATALOGUE), 1)}
    line = auditor.session_end(LINK, NOW, ended(rules=rules, hello=b"x" * 255))
    smtp = decoded(line)["smtp"]
    assert len(line) <= SESSION_END_SIZE
    assert sum(smtp["rules"].values()) == sum(rules.values())
    assert "SG607" in smtp["rules"]
    assert "helo" not in smtp


def test_long_listener_gives_way(auditor: Auditor) -> None:
    """The listener's name is in the findings, too, so it is cut before rules are."""
    event = ended(rules={"SG102": 1, "SG103": 1, "SG104": 1, "SG105": 1}, violations=4, octets_in=10**9)
    record = decoded(auditor.session_end(link(client_ip=IPV6, listener=f"[{IPV6[::-1]}]:12345"), NOW, event))
    assert record["observer"]["name"].startswith("[8765:4321:")
    assert record["observer"]["name"].endswith("...")
    assert len(record["smtp"]["rules"]) == 4


some, few = st.integers(0, 999), st.integers(0, 99)
octets = st.integers(0, 10**10)
sessions = st.builds(
    SessionEnded,
    close=st.sampled_from(Close),
    state=st.sampled_from(State),
    waiting_for=st.sampled_from([waiting.value for waiting in Waiting]),
    last_verb=st.none() | st.sampled_from(Verb),
    hello=st.binary(max_size=255),
    esmtp=st.booleans(),
    tls=st.booleans(),
    authenticated=st.booleans(),
    opaque=st.booleans(),
    not_smtp=st.booleans(),
    probe=st.just(False),
    commands=st.dictionaries(st.sampled_from(Verb), st.tuples(some, some)),
    accepted_messages=some,
    refused_messages=some,
    rules=st.dictionaries(st.sampled_from(sorted(CATALOGUE)), st.integers(1, 1000)),
    violations=few,
    consequences=few,
    octets_in=octets,
    octets_out=octets,
)


@given(
    sessions,
    st.ip_addresses().map(str),
    st.text(max_size=60),
    st.floats(0, 99999),
    st.just("") | st.ip_addresses().map(str),
)
def test_session_end_has_at_most_400_octets(
    event: SessionEnded, ip: str, listener: str, seconds: float, peer: str
) -> None:
    """Whatever the session, its end is one line of at most 400 octets, and the schema reads it."""
    auditor = Auditor(hostname="mx1", version="0.1.0")
    way = {"via": "proxy-v2", "peer_ip": peer, "peer_port": 65535} if peer else {}
    line = auditor.session_end(link(client_ip=ip, listener=listener, started=NOW - seconds, **way), NOW, event)
    record = msgspec.json.decode(line, type=SessionEndRecord)
    assert len(line) <= SESSION_END_SIZE
    assert line.count(b"\n") == 1
    assert sum(record.smtp.rules.values()) in (sum(event.rules.values()), 0)
    assert record.smtp.counts.octets_in == event.octets_in


def test_the_way_of_the_client_s_address(auditor: Auditor) -> None:
    """Who connected for the client, and what that one told, stand beside the client; nothing where it came itself."""
    balanced = dataclasses.replace(
        LINK, via="proxy-v2", peer_ip="10.0.0.1", peer_port=4711, unique_id=b"a\x00b", tls_before="TLSv1.3"
    )
    peer = {"ip": "10.0.0.1", "port": 4711}
    session = decoded(auditor.line(balanced, NOW, finding()))["smtp"]["session"]
    assert {key: value for key, value in session.items() if key not in ("id", "start")} == {
        "via": "proxy-v2", "peer": peer, "unique_id": "a\\x00b", "tls_before": "TLSv1.3",
    }  # fmt: skip
    assert set(decoded(auditor.line(LINK, NOW, finding()))["smtp"]["session"]) == {"id", "start"}
    end = decoded(auditor.session_end(balanced, NOW, ended()))["smtp"]["session"]
    assert end == {"id": LINK.session_id, "via": "proxy-v2", "peer": peer}
