"""Sessions read back from the audit: the join of transcript and findings, the three hands, and the search."""

import json
import re
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from smtpguard.evidence import Speaker
from smtpguard.evidence.show.search import latest_first, near, network_of, session_id_in, sessions_of
from smtpguard.evidence.show.styles import STYLES, brackets, findings, gateway, legend, plain, swaks
from smtpguard.evidence.show.tale import Said, Tale, tale
from smtpguard.evidence.store import Store, StoredSession
from tests.evidence.kept import HOST, NOON, TRANSCRIPT, end, found, refused_data, said, session_id, write


def told(tmp_path: Path, *events: dict[str, Any], number: int = 1) -> Tale:
    """Write a session's events, read them back, and tell the session."""
    session = Store(write(tmp_path, *events)).session(session_id(number))
    assert session is not None
    return tale(session)


# --- the join ---------------------------------------------------------------------------------------------------------


def test_who_when_how(tmp_path: Path) -> None:
    """A tale has what the end says, and what only a finding knows."""
    one = told(tmp_path, *refused_data())
    assert (one.client.ip, one.client.port, one.helo, one.listener) == (
        HOST,
        43122,
        "mail.client.example",
        "0.0.0.0:25",
    )
    assert (one.upstream, one.guard) == ("127.0.0.1:10025", "mx1.example.net")
    assert (one.began, one.ended, one.close) == (NOON, NOON + 1.5, "quit")
    assert one.counts["octets_in"] == 97
    assert (one.peer, one.via, one.against_client.total()) == (None, "direct", 1)
    assert (one.unplaced, one.why_no_transcript) == ((), "")


def test_the_line_at_fault_bears_the_finding(tmp_path: Path) -> None:
    """The finding stands at the line that the transcript charges, with cause, cure and what was done."""
    lines = told(tmp_path, *refused_data()).lines
    assert [line.text for line in lines if line.charges] == ["DATA"]
    (charge,) = lines[9].charges
    assert (charge.rule_id, charge.name, charge.reference) == (
        "SG104",
        "data-without-recipient",
        "RFC 5321 §3.3; RFC 2920 §3.1",
    )
    assert charge.blames_client
    assert charge.done == "answered 503 5.5.1 by smtpguard, not passed on"
    assert (charge.cause, charge.cure) == ("all-recipients-refused", "When no RCPT was accepted send RSET or QUIT.")


def test_the_latest_lines_bear_the_latest_findings(tmp_path: Path) -> None:
    """A ring that forgot its first lines: the findings of those are told beside it, the others stand at their lines."""
    one = told(
        tmp_path,
        found(1, "SG104", place=1),
        found(1, "SG104", place=2, cause="unknown"),
        found(1, "SG104", place=3, verdict="note", response=None),
        end(1, omitted=7, transcript=[said(0.2, "C", "DATA", 1, ("SG104",)), said(0.3, "C", "DATA", 1, ("SG104",))]),
    )
    assert one.omitted == 7
    assert [line.charges[0].at for line in one.lines] == [NOON + 0.2, NOON + 0.3]
    assert [charge.at for charge in one.unplaced] == [NOON + 0.1]
    assert one.lines[0].charges[0].cause == ""
    assert one.lines[0].charges[0].cure == "When every RCPT was refused, send RSET or QUIT, not DATA."


def test_a_reply_of_several_lines_bears_its_rules_once(tmp_path: Path) -> None:
    """All lines of a reply are charged in the audit; the last one is the one that is told about."""
    reply = [said(0.1, "U", f"250{sign}x", 1, ("SG505",)) for sign in "-- "]
    one = told(tmp_path, found(1, "SG505"), found(1, "SG505", place=2), end(1, transcript=[*reply, *reply]))
    assert [len(line.charges) for line in one.lines] == [0, 0, 1, 0, 0, 1]
    assert one.unplaced == ()


def test_a_reply_that_breaks_off_bears_its_rules(tmp_path: Path) -> None:
    """Where the last line of a reply never came, the last that did bears the rules."""
    lines = [said(0.1, "U", "250-x", 1, ("SG502",)), said(0.2, "G", "421 4.3.0 x")]
    one = told(tmp_path, found(1, "SG502"), end(1, transcript=lines))
    assert [len(line.charges) for line in one.lines] == [1, 0]


def test_a_line_charged_with_a_finding_that_is_lost(tmp_path: Path) -> None:
    """Where events were dropped, the catalogue still says what the rule is; of a rule of a later version, its id."""
    lines = [said(0.1, "C", "DATA", 1, ("SG104",)), said(0.2, "C", "X", 2, ("SG199",))]
    one = told(tmp_path, end(1, transcript=lines))
    known, unknown = (line.charges[0] for line in one.lines)
    assert (known.name, known.at, known.done) == ("data-without-recipient", None, "")
    assert (unknown.rule_id, unknown.name) == ("SG199", "")
    assert "the finding is not in the audit" not in "\n".join(row.text for row in plain(one, UTC))


DONE = {
    "answered 503 5.5.1 by smtpguard, not passed on": {},
    "answered 503 5.5.1, session closed": {"verdict": "close"},
    "session closed": {"verdict": "close", "response": None},
    "noted and passed on; mode enforce would refuse it": {"verdict": "note", "response": None},
    "noted": {"verdict": "note", "enforced": "note", "response": None},
    "answered, and nobody blamed: it was sent before the refusal could be read (RFC 2920 §3.1)": {"consequence": True},
}


def test_what_was_only_counted_came_last(tmp_path: Path) -> None:
    """Of what is noted 20 are kept one by one: here 2 of 5, the first two; the figures are those of the end."""
    lines = [said(place, "C", f"NOOP {place}", place, ("SG301",)) for place in range(1, 6)]
    one = told(
        tmp_path,
        found(1, "SG301", place=1),
        found(1, "SG301", place=2),
        end(1, rules={"SG301": 5, "SG503": 1, "more": 2}, transcript=lines[2 - 1 :]),
    )
    assert (dict(one.against_client), dict(one.only_counted)) == ({"SG301": 5}, {"SG301": 3})
    assert [said.charges[0].done[:8] for said in one.lines] == ["answered", "counted,", "counted,", "counted,"]
    assert [charge.at for charge in one.unplaced] == [NOON + 0.1]
    assert findings(one) == "5 violations (SG301 5), 3 of them counted, and not kept one by one"


@pytest.mark.parametrize(("words", "changes"), DONE.items())
def test_what_was_done(tmp_path: Path, words: str, changes: dict[str, Any]) -> None:
    """Each verdict, and who answered, has its words."""
    one = told(tmp_path, found(1, "SG104", **changes), end(1))
    assert [charge.done for charge in one.findings] == [words]


def test_no_transcript(tmp_path: Path) -> None:
    """Where there is none the reason is said, and the findings are shown alone."""
    unfinished = told(tmp_path / "a", found(1, "SG104"))
    assert unfinished.why_no_transcript.startswith("No transcript: it is written when a session ends")
    assert (unfinished.ended, unfinished.close, unfinished.counts) == (None, "", {})
    never = told(tmp_path / "b", found(1, "SG104"), end(1))
    assert never.why_no_transcript.startswith("No transcript was kept: see audit.transcript")
    clean = told(tmp_path / "c", end(1))
    assert clean.why_no_transcript.startswith("No transcript was kept, as nothing was found")
    for each in (unfinished, never):
        text = "\n".join(row.text for row in plain(each, UTC))
        assert "What was found:\n!     0.100 s\n                SG104 data-without-recipient" in text
        assert each.why_no_transcript in text


def test_nothing_known() -> None:
    """A session without any event is no session."""
    with pytest.raises(ValueError):
        tale(StoredSession(id="1M856DF92690", findings=()))


def test_where_it_came_from(tmp_path: Path) -> None:
    """Behind a balancer the tale names who connected, and that the way to the balancer was encrypted."""
    session = {"via": "proxy-v2", "peer": {"ip": "10.0.0.1", "port": 4711}, "tls_before": "TLSv1.3"}
    ended = end(1, session={key: session[key] for key in ("via", "peer")})
    text = "\n".join(row.text for row in plain(told(tmp_path, found(1, "SG104", session=session), ended), UTC))
    assert "  address   told by a PROXY header (v2); connected from 10.0.0.1 port 4711\n" in text
    assert "  protocol  ESMTP, inspected in full; encrypted up to the balancer\n" in text


EVIL = "x\x1b[31m\r\n\x9b\u202e\x00\x7fö\ud800y"


def test_no_control_octet_passes(tmp_path: Path) -> None:
    """Files can be altered: whatever stands in them, what is shown is printable ASCII and section signs."""
    finding = found(
        1, "SG104", name=EVIL, listener=EVIL, upstream=EVIL, helo=EVIL, detail=EVIL, cause=EVIL, protocol=EVIL
    )
    strange = found(1, EVIL, place=2, name=EVIL, reference=EVIL, session={"via": EVIL})
    strange["event"]["reason"] = strange["observer"]["hostname"] = strange["source"]["ip"] = EVIL
    lines = [said(0.1, "C", EVIL, 1, ("SG104", EVIL)), said(0.2, "U", EVIL, 1)]
    ended = end(1, listener=EVIL, helo=EVIL, close=EVIL, proto=EVIL, rules={EVIL: 1}, transcript=lines, ip=EVIL)
    directory = tmp_path / "events" / "2026-11-23"
    directory.mkdir(parents=True)
    # JSON has no lone surrogate in UTF-8: an escape is the one way to bring one in, and the reader refuses it.
    written = "".join(json.dumps(event).replace("\\ud800", "") + "\n" for event in (finding, strange, ended))
    (directory / "mx1-w0-12.jsonl").write_text(written, "utf-8")
    session = Store(tmp_path).session(session_id(1))
    assert session is not None
    one = tale(session)
    for layout in STYLES.values():
        for row in layout(one, UTC, 100):
            assert re.fullmatch(r"[ -~§]*", row.text), row.text
    assert one.lines[0].text == r"x\x1b[31m\x0d\x0a\xc2\x9b\xe2\x80\xae\x00\x7f\xc3\xb6y"


# --- the hands --------------------------------------------------------------------------------------------------------

HEAD = """\
Session 1M85...
  client    198.51.100.7 port 43122, HELO name mail.client.example
  listener  0.0.0.0:25
  upstream  127.0.0.1:10025
  guard     mx1.example.net
  began     2026-11-23 13:00:00.000 +01:00
  ended     2026-11-23 13:00:01.500 +01:00, 1.500 s later: quit
  protocol  ESMTP, inspected in full
  counts    5 commands, 3 accepted by the upstream; messages: 0 accepted, 0 refused
  octets    97 from the client, 295 to it
  findings  1 violation (SG104 1)
"""

PLAIN = r"""
      0.000 U   220 mx.example.net ESMTP
      0.100 C   EHLO mail.client.example
      0.100 U   250-mx.example.net
      0.100 U   250-PIPELINING
      0.100 U   250 CHUNKING
      0.200 C   MAIL FROM:<ann@client.example>
      0.300 U   250 2.1.0 Ok
      0.400 C   RCPT TO:<nobody@example.net>
      0.500 U   550 5.1.1 <nobody@example.net>: no such user
!     0.600 C   DATA
                SG104 data-without-recipient (RFC 5321 §3.3; RFC 2920 §3.1)
                DATA, BDAT or BURL with a transaction open and no recipient accepted
                done   answered 503 5.5.1 by smtpguard, not passed on
                cause  Every RCPT was refused and the client went on with the transaction.
                       [all-recipients-refused]
                cure   When no RCPT was accepted send RSET or QUIT.
      0.600 G   503 5.5.1 Bad sequence of commands: send RCPT first [SG104 ID]
      0.700 C   QUIT
      0.700 U   221 2.0.0 Bye

  seconds since the session began; C client; U upstream; G smtpguard's own answer; ! at fault
"""

SWAKS = """\
<-  220 mx.example.net ESMTP
 -> EHLO mail.client.example
<-  250-mx.example.net
<-  250-PIPELINING
<-  250 CHUNKING
 -> MAIL FROM:<ann@client.example>
<-  250 2.1.0 Ok
 -> RCPT TO:<nobody@example.net>
<** 550 5.1.1 <nobody@example.net>: no such user
 -> DATA
*** SG104 data-without-recipient: DATA, BDAT or BURL with a transaction open and no recipient
***   accepted; answered 503 5.5.1 by smtpguard, not passed on. Cause: Every RCPT was refused and
***   the client went on with the transaction. Cure: When no RCPT was accepted send RSET or QUIT.
<** 503 5.5.1 Bad sequence of commands: send RCPT first [SG104 ID]
 -> QUIT
<-  221 2.0.0 Bye
"""

GATEWAY = """\
[tx] 220 mx.example.net ESMTP
[rx] EHLO mail.client.example
[tx] 250-mx.example.net
[tx] 250-PIPELINING
[tx] 250 CHUNKING
[rx] MAIL FROM:<ann@client.example>
[tx] 250 2.1.0 Ok
[rx] RCPT TO:<nobody@example.net>
[tx] 550 5.1.1 <nobody@example.net>: no such user
[rx] DATA  <-- SG104 data-without-recipient
[tx] 503 5.5.1 Bad sequence of commands: send RCPT first [SG104 ID]
[rx] QUIT
[tx] 221 2.0.0 Bye
"""


@pytest.mark.parametrize(
    ("style", "before", "wanted"), [("plain", "", PLAIN), ("swaks", "=== ", SWAKS), ("gateway", "# ", GATEWAY)]
)
def test_the_three_hands(tmp_path: Path, style: str, before: str, wanted: str) -> None:
    """One session in each hand, to the letter; times are in the zone that was asked for."""
    one = replace(told(tmp_path, *refused_data()), id="1M85...")
    rows = [row.text for row in STYLES[style](one, timezone(timedelta(hours=1)), 100)]
    head = [f"{before}{line.strip() if before else line}" for line in HEAD.splitlines()]
    assert rows[0] == f"{before}Session 1M85... of 198.51.100.7"
    assert rows[1:11] == head[1:]
    assert rows[11:] == wanted.splitlines()


def test_a_plain_line_can_be_read_back(tmp_path: Path) -> None:
    """The lines of a plain transcript, and no others, have the documented form; the text comes back as it was."""
    read = [
        re.fullmatch(r"([ !-]) +(\d+\.\d{3}) ([CUG]) ([ /|\\:]) (.*)", row.text)
        for row in plain(told(tmp_path, *refused_data()), UTC)
    ]
    assert [(each[3], each[5]) for each in read if each] == [(line["dir"], line["line"]) for line in TRANSCRIPT]


def test_again_and_again(tmp_path: Path) -> None:
    """A rule and its cause are explained once; the next lines refer to that, and another cause is told again."""
    lines = [said(place / 10, "C", "DATA", place, ("SG104",)) for place in (1, 2, 3)]
    findings = [found(1, "SG104", place=1), found(1, "SG104", place=2), found(1, "SG104", place=3, cause="unknown")]
    texts = [row.text.strip() for row in plain(told(tmp_path, *findings, end(1, transcript=lines)), UTC, 120)]
    assert texts.count("SG104 data-without-recipient (RFC 5321 §3.3; RFC 2920 §3.1)") == 2
    assert texts.count("SG104 data-without-recipient, as above: answered 503 5.5.1 by smtpguard, not passed on") == 1


def test_nobody_is_blamed(tmp_path: Path) -> None:
    """A consequence and a surprise of the upstream are marked with another sign, and counted apart."""
    lines = [
        said(0.1, "C", "RCPT TO:<a@b.example>", 1, ("SG102",)),
        said(0.2, "U", "250 ok", 1, ("SG505",)),
        said(0.3, "U", "bad", 2, ("SG502",)),
    ]
    events = [found(1, "SG102", consequence=True), found(1, "SG505", place=2), found(1, "SG502", place=3)]
    one = told(tmp_path, *events, end(1, transcript=lines))
    marks = [row.text[0] for row in plain(one, UTC) if re.match(r". +\d", row.text)]
    assert marks == ["-", "-", "!"]
    assert findings(one) == "3 that blame nobody"
    assert legend(one).endswith("C client; U upstream; ! at fault; - a rule fired, nobody is blamed")


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("C1", " "),
        ("C1 C1", "/\\"),
        ("C1 C1 C1 U1 C2", "/|\\  "),
        ("C1 U1 C1 U2 C1", "/:|:\\"),  # held lines stand where their turn came
        ("C1 U1 U1 C2 U2", "     "),  # replies in one packet are the rule
        ("C1 U1 U1! U2", " /\\ "),  # but for those at fault
        ("C0 C0", "  "),  # not known
        ("U1! C1 U1! C1", "/:\\ "),  # two that cross: the first one is drawn
    ],
)
def test_brackets(lines: str, wanted: str) -> None:
    """What was sent in one packet stands in one bracket."""
    charge = tale(StoredSession(id="1", findings=(_finding(),))).findings
    made = tuple(
        Said(
            after=0.0,
            speaker=Speaker(each[0]),
            text="x",
            piece=int(each[1]),
            charges=charge if each.endswith("!") else (),
        )
        for each in lines.split()
    )
    assert "".join(brackets(made)) == wanted


def _finding() -> Any:
    import msgspec

    from smtpguard.record import FindingRecord

    return msgspec.convert(found(1, "SG502"), FindingRecord)


def test_a_message_and_its_dot_have_no_bracket() -> None:
    """That a message and its end come in one packet is nothing to see, unless one of them is at fault."""
    content = Said(after=0.0, speaker=Speaker.CLIENT, text="[25 octets of content]", piece=1)
    dot = Said(after=0.0, speaker=Speaker.CLIENT, text=".", piece=1)
    assert brackets((content, dot)) == [" ", " "]
    charges = tale(StoredSession(id="1", findings=(_finding(),))).findings
    assert brackets((replace(content, charges=charges), dot)) == ["/", "\\"]
    assert brackets((content, dot, replace(dot, text="QUIT"))) == ["/", "|", "\\"]


def test_swaks_within_tls(tmp_path: Path) -> None:
    """Behind an accepted STARTTLS swaks writes a tilde; a refused one changes nothing."""
    lines = [
        said(0.1, "C", "STARTTLS", 1),
        said(0.1, "U", "454 not now", 1),
        said(0.2, "C", "starttls ", 2),
        said(0.2, "U", "220 go", 2),
        said(0.3, "C", "MAIL FROM:<>", 3),
        said(0.3, "U", "250 ok", 3),
        said(0.3, "U", "503 no", 3),
    ]
    rows = [row.text for row in swaks(told(tmp_path, end(1, transcript=lines)), UTC)]
    assert rows[-7:] == [
        " -> STARTTLS",
        "<** 454 not now",
        " -> starttls ",
        "<-  220 go",
        " ~> MAIL FROM:<>",
        "<~  250 ok",
        "<~* 503 no",
    ]


def test_the_gateway_hides_the_message(tmp_path: Path) -> None:
    """Where content was the old form says so; findings without a line and lines that were dropped are told, too."""
    lines = [said(0.1, "C", "[25 octets of content]", 1), said(0.1, "C", ".", 1), said(0.2, "C", "[5 octets of chunk]")]
    one = told(tmp_path, found(1, "SG603", name="command-deadline"), end(1, omitted=1, transcript=lines))
    rows = [row.text for row in gateway(one, UTC)]
    assert rows[-5:-1] == [
        "# ... 1 earlier line not kept ...",
        "[rx] ...message body...",
        "[rx] .",
        "[rx] ...message body...",
    ]
    assert rows[-1].startswith("# SG603 command-deadline: ")


@pytest.mark.parametrize("style", STYLES)
def test_every_hand_says_why_there_is_no_transcript(tmp_path: Path, style: str) -> None:
    """The findings alone, and the reason."""
    rows = [row.text for row in STYLES[style](told(tmp_path, found(1, "SG104"), end(1)), UTC, 100)]
    assert any("No transcript was kept: see audit.transcript" in row for row in rows)
    assert any("SG104 data-without-recipient" in row for row in rows)


def test_another_protocol(tmp_path: Path) -> None:
    """A session that was no SMTP has no protocol of ours."""
    rows = [row.text for row in plain(told(tmp_path, end(1, visible="none", proto="SMTP")), UTC)]
    assert "  protocol  another protocol, not SMTP" in rows


# --- the search -------------------------------------------------------------------------------------------------------

LOG_LINE = "NOQUEUE: reject: DATA from unknown[198.51.100.7]:4: 503 5.5.1 <DATA>: x; session=1M856DF92690 rule=SG104"


@pytest.mark.parametrize(
    "words",
    [
        "1M856DF92690",
        " 1m856df92690 ",
        "lM856DF9269O",
        "[SG102 1M856DF92690]",
        "503 5.5.1 Bad sequence of commands: send MAIL first [SG102 1M856DF92690]",
        LOG_LINE,
        "session 1M856DF92690: listener=x",
    ],
)
def test_an_id_as_people_paste_it(words: str) -> None:
    """An id is found in what was copied, and what is easily misread is put right."""
    assert session_id_in(words) == "1M856DF92690"


@pytest.mark.parametrize(
    "words", ["", "hello", "1M85", "1M856DF926901", "1M856DF92-90", "198.51.100.7", "1M856DF9269\x1b"]
)
def test_what_is_no_id(words: str) -> None:
    """What is none is told so, printably."""
    with pytest.raises(ValueError, match=r"is no session's id: 12 digits and letters") as error:
        session_id_in(words)
    assert str(error.value).isprintable()


def test_near_ids(tmp_path: Path) -> None:
    """A mistyped id has those that differ in two characters at most, the nearest first; a beginning has all."""
    ids = ["AAAAAAAAAAAA", "AAAAAAAAAAAB", "AAAAAAAAABBB", "ZZZZZZZZZZZZ"]
    store = Store(write(tmp_path, *(end(number, id=each) for number, each in enumerate(ids))))
    assert near(store, "AAAAAAAAAABB") == ["AAAAAAAAABBB", "AAAAAAAAAAAB", "AAAAAAAAAAAA"]
    assert near(store, "AAAAAAAAAABB", limit=1) == ["AAAAAAAAABBB"]
    assert near(store, "ZZZZZZ") == ["ZZZZZZZZZZZZ"]
    assert near(store, "000000000000") == []
    (tmp_path / "events" / "2026-11-23" / "mx1-w1-12.jsonl.gz").write_bytes(b"no gzip")
    assert near(store, "ZZZZZZ") == ["ZZZZZZZZZZZZ"]


def test_sessions_of_a_network(tmp_path: Path) -> None:
    """A network has the sessions of its hosts; those without findings are counted and not told."""
    directory = write(
        tmp_path,
        *refused_data(1),
        *refused_data(2, ip="198.51.100.200"),
        end(3),
        found(4, "SG104", ip="203.0.113.1"),
        found(5, "SG104", after=9),
        end(6, ip="not an address"),
    )
    store = Store(directory)
    every = sessions_of(store, network_of("198.51.100.0/24"), NOON - 1, NOON + 99)
    assert [each.id for each in every] == [session_id(number) for number in (1, 2, 3)] + [session_id(5, 9)]
    assert every[-1].end is None
    assert [each.id for each in latest_first(every)] == [session_id(5, 9), session_id(2), session_id(1)]
    host = sessions_of(store, network_of("::ffff:203.0.113.1"), NOON - 1, NOON + 99)
    assert [each.id for each in host] == [session_id(4)]
    assert sessions_of(store, network_of("198.51.100.0/24"), NOON + 98, NOON + 99) == []


@pytest.mark.parametrize("text", ["", "mail.client.example", "192.0.2.0/33", "192.0.2"])
def test_no_network(text: str) -> None:
    """A name is none."""
    with pytest.raises(ValueError):
        network_of(text)
