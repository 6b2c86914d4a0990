"""The letter to a postmaster: what is counted, what is said, what is attached, and what can never get into it."""

import base64
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, default
from pathlib import Path
from typing import Any, Final

import pytest

from smtpguard.evidence.dossier.case import Case, case_of, example
from smtpguard.evidence.dossier.letter import LINES, Letter, Sender, letter, subject
from smtpguard.evidence.dossier.lookup import Whereabouts
from smtpguard.evidence.dossier.mail import mail_address, message, recipients, xarf_report
from smtpguard.evidence.store import Store
from smtpguard.evidence.wording import COLUMNS
from smtpguard.smtp import CATALOGUE, Cause, State, Verb
from tests.evidence.kept import HOST, NOON, end, found, refused_data, said, session_id, write

WHERE: Final = Whereabouts(name="mail.client.example", domain="client.example")
NOWHERE: Final = Whereabouts(why_nameless="it has no PTR record")


def sender(**changes: Any) -> Sender:
    """Return who writes."""
    author = Address("", "postmaster", "mx.example.net")
    return replace(Sender(author=author, contact=author, zone=UTC, zone_name="UTC"), **changes)


def case(tmp_path: Path, *events: dict[str, Any]) -> Case:
    """Write events and read what is held against the host."""
    return case_of(HOST, Store(write(tmp_path, *events)).host(HOST))


def written(one: Case, where: Whereabouts = WHERE, **changes: Any) -> Letter:
    """Write the letter of a case."""
    who = sender(**changes)
    return letter(one, where, example(one.by_count[0], full=who.full), who)


# --- what is counted --------------------------------------------------------------------------------------------------


def test_figures(tmp_path: Path) -> None:
    """Sessions, those affected, mistakes by rule, first and last, names, encryption, what was done."""
    one = case(
        tmp_path,
        *refused_data(1),
        *refused_data(2, after=60, proto="ESMTPS", helo="other.example"),
        found(3, "SG105", after=90, verdict="note", response=None, tls={"established": True}),
        end(3, after=90, visible="until-starttls"),
        end(4, after=100, proto="ESMTPSA"),
        *refused_data(5, ip="203.0.113.9"),
    )
    assert (one.sessions, one.affected, one.foreign, one.encrypted, one.findings) == (4, 3, 0, 3, 3)
    assert [(tally.rule_id, tally.count, tally.sessions) for tally in one.by_count] == [
        ("SG104", 2, 2),
        ("SG105", 1, 1),
    ]
    assert (one.first, one.last) == (NOON + 0.6, NOON + 90.1)
    assert dict(one.helos) == {"mail.client.example": 3, "other.example": 1}
    assert dict(one.done) == {"refuse": 2, "note": 1}
    assert one.ids == [session_id(1), session_id(2, 60), session_id(3, 90)]


def test_what_is_not_counted(tmp_path: Path) -> None:
    """Consequences, faults of the upstream, limits of ours and other protocols are not held against the host."""
    one = case(
        tmp_path,
        found(1, "SG104", consequence=True),
        found(1, "SG502", place=2),
        found(1, "SG601", place=3),
        end(1, rules={"SG502": 1, "SG601": 1}),
        found(2, "SG401"),
        end(2, visible="none", rules={"SG401": 1}),
    )
    assert (one.sessions, one.affected, one.foreign, one.findings, one.tallies) == (1, 0, 1, 0, {})


def test_findings_that_were_dropped(tmp_path: Path) -> None:
    """Where only the session's end reached the disk, its sums count; what was summed up there is nobody's."""
    one = case(tmp_path, end(1, rules={"SG104": 2, "SG502": 1, "more": 3}), end(2, after=9, rules={"SG105": 1}))
    assert {rule_id: tally.count for rule_id, tally in one.tallies.items()} == {"SG104": 2, "SG105": 1}
    assert (one.affected, one.first, one.last) == (2, NOON + 1.5, NOON + 10.5)
    text = written(one).body
    assert "  sessions    2 of 2 affected (100 %), 3 mistakes\n" in text
    assert "Session " not in text.replace("Sessions", "")


def test_a_session_that_is_not_over(tmp_path: Path) -> None:
    """A session without an end counts, and TLS is then what its findings say."""
    one = case(tmp_path, found(1, "SG104", session={"tls_before": "yes"}))
    assert (one.sessions, one.affected, one.encrypted) == (1, 1, 1)


def test_the_session_that_shows_the_commonest_cause(tmp_path: Path) -> None:
    """Shown is the latest session with a transcript of the commonest cause, not simply the latest."""
    other = found(3, "SG104", after=30, place=6, cause="ignored-refusal")
    transcript = [said(0.6, "C", "DATA", 4, ("SG104",))]
    one = case(
        tmp_path,
        *refused_data(1),
        *refused_data(2, after=10),
        other,
        end(3, after=30, transcript=transcript),
        found(4, "SG104", after=40),
        end(4, after=40),
    )
    shown = example(one.by_count[0], full=False)
    assert shown is not None
    assert (shown.told.id, shown.whole) == (session_id(2, 10), True)


# --- what is said -----------------------------------------------------------------------------------------------------

BODY: Final = """\
To the postmaster of 198.51.100.7 (mail.client.example):

We run the mail server at mx.example.net. Your host makes mistakes in
SMTP when it talks to us, which you may want to mend. No action was
taken against it: it is not blocked. What was out of place was answered
503 5.5.1 and not carried out.

198.51.100.7 sent DATA with MAIL accepted, but no RCPT: DATA, BDAT or
BURL with a transaction open and no recipient accepted.
RFC 5321 section 3.3: "If there was no MAIL, or no RCPT, command, or all
such commands were rejected, the server MAY return a "command out of
sequence" (503) or "no valid recipients" (554) reply in response to the
DATA command."

Likely cause: Every RCPT was refused and the client went on with the
  transaction.
Cure: When no RCPT was accepted send RSET or QUIT.

  first seen  2026-11-23 12:00:00 +00:00 (UTC)
  last seen   2026-11-23 12:00:00 +00:00 (UTC)
  sessions    1 of 2 affected (50 %), 1 mistake
  HELO names  mail.client.example
  TLS         in 0 of 2 sessions

Session 1M844DZG0001, 2026-11-23 12:00:00 UTC (C you, U and G our side):
  U   220 mx.example.net ESMTP
  C   EHLO mail.client.example
  U   250-mx.example.net  (and 2 more lines)
  C   MAIL FROM:<a***@client.example>
  U   250 2.1.0 Ok
  C   RCPT TO:<n***@example.net>
  U   550 5.1.1 <n***@example.net>: no such user
! C   DATA
  G   503 5.5.1 Bad sequence of commands: send RCPT first [SG104 ID]
  C   QUIT
  U   221 2.0.0 Bye

Our ids of affected sessions: 1M844DZG0001. The whole of it is in
transcript.txt. Please answer to postmaster@mx.example.net, naming one
of them; we gladly look up more.
"""


def test_the_whole_letter(tmp_path: Path) -> None:
    """One letter to the word: who, what, the RFC, cause and cure, figures, the session, whom to answer, in order."""
    made = written(case(tmp_path, *refused_data(1), end(2)))
    assert made.body == BODY
    assert made.subject == (
        "SMTP commands out of order from 198.51.100.7 (mail.client.example): DATA without recipient, once on 2026-11-23"
    )
    assert (
        "\n!     0.600 C   DATA\n                SG104 data-without-recipient (RFC 5321 section 3.3" in made.transcript
    )


def test_addresses_are_masked(tmp_path: Path) -> None:
    """In body and transcript nobody is named, but with `full`; nor is what is inside our house, ever."""
    one = case(tmp_path, *refused_data(1, helo="ann@client.example"))
    masked, full = written(one), written(one, full=True)
    assert "ann@" not in masked.body + masked.transcript
    assert "nobody@" not in masked.body + masked.transcript
    assert "RCPT TO:<nobody@example.net>" in full.body
    assert "HELO name ann@client.example" in full.transcript
    for text in (masked.body, masked.transcript, full.body, full.transcript):
        assert "127.0.0.1" not in text
        assert "0.0.0.0:25" not in text


def test_the_excerpt_begins_where_it_went_wrong(tmp_path: Path) -> None:
    """Of a session that broke a rule again and again the first time is shown, with what stood around it."""
    lines = [said(place / 10, "C", f"NOOP {place}", place) for place in range(20)]
    lines += [said(3 + place / 10, "C", f"DATA {place}", 99 + place, ("SG104",)) for place in range(20)]
    findings = [found(1, "SG104", place=place) for place in range(1, 21)]
    body = written(case(tmp_path, *findings, end(1, transcript=lines))).body
    shown = [line for line in body.splitlines() if line[:4] in ("  C ", "! C ")]
    assert shown[-4:] == ["  C   NOOP 19", "! C   DATA 0", "! C   DATA 1", "! C   DATA 2"]
    assert 5 <= len(shown) <= 12


def test_packets_in_the_excerpt(tmp_path: Path) -> None:
    """What was sent in one packet has its bracket in the letter, too."""
    lines = [
        said(0.1, "C", "MAIL FROM:<>", 1),
        said(0.2, "U", "250 ok", 1),
        said(0.1, "C", "DATA", 1, ("SG104",)),
    ]
    body = written(case(tmp_path, found(1, "SG104"), end(1, transcript=lines))).body
    assert "  C / MAIL FROM:<>\n  U : 250 ok\n! C \\ DATA\n" in body


def test_dropped_lines_are_told(tmp_path: Path) -> None:
    """Of a long session the transcript says how many lines it lacks."""
    ended = end(1, omitted=2, transcript=[said(0.1, "C", "DATA", 1, ("SG104",))])
    assert "\n... 2 earlier lines not kept ...\n" in written(case(tmp_path, found(1, "SG104"), ended)).transcript


def test_without_a_transcript(tmp_path: Path) -> None:
    """Where none was kept the finding's own memory is shown: the command before, its reply, the line, our answer."""
    made = written(case(tmp_path, found(1, "SG104", line="RCPT TO:<joe@example.net>"), end(1)))
    lines = [
        "  C   RCPT",
        "  U   550 5.1.1 no such user",
        "! C   RCPT TO:<j***@example.net>",
        f"  G   503 5.5.1 Bad sequence of commands: send RCPT first [SG104 {session_id(1)}]"[:69] + "...",
    ]
    assert "\n".join(lines) in made.body
    assert "transcript.txt" not in made.body
    assert "No transcript was kept; this is what was recorded with the finding." in made.transcript


def test_without_a_line(tmp_path: Path) -> None:
    """A rule that blames no line is shown by what was read; before the greeting there is no command to show."""
    previous = {"command": "GREETING", "reply_code": 220, "reply_text": "mx"}
    made = written(
        case(tmp_path, found(1, "SG201", line="", previous=previous, command="CONTENT", response=None), end(1))
    )
    assert "  U   220 mx\n! C   [content]\n" in made.body


def test_nothing_is_remembered(tmp_path: Path) -> None:
    """A finding without a previous command is shown alone."""
    made = written(case(tmp_path, found(1, "SG104", previous=None, response=None), end(1)))
    assert "our side):\n! C   DATA\n\n" in made.body


def test_what_was_done(tmp_path: Path) -> None:
    """Answered, closed and only noted are told apart, in words."""
    noted: dict[str, Any] = {"verdict": "note", "response": None}
    only = case(tmp_path / "a", found(1, "SG104", **noted), end(1))
    assert "We refused nothing and only took\nnote." in written(only).body
    closed: dict[str, Any] = {"verdict": "close", "response": {"code": 554, "enhanced": "5.5.0", "text": "x"}}
    events = [found(1, "SG104"), found(1, "SG201", place=2, **closed), found(1, "SG105", place=3, **noted)]
    both = " ".join(written(case(tmp_path / "b", *events, end(1))).body.split())
    assert "answered 503 5.5.1 or 554 5.5.0 and not carried out; once we ended the session with that." in both
    assert "Once we only took note." in both


def test_unknown_cause_and_rule(tmp_path: Path) -> None:
    """A cause that is not known is said so, and the rule's own cure is given; a rule of a later version has an id."""
    one = written(case(tmp_path / "a", found(1, "SG104", cause="unknown"), end(1))).body
    assert "Likely cause: not known; the session below tells more.\nCure: When every RCPT was refused" in one
    late = case(tmp_path / "b", found(1, "SG199", cause="novel", state="novel", command="NOVEL"), end(1))
    assert "198.51.100.7 sent NOVEL novel: SG199.\n" in written(late).body
    assert written(late).subject.endswith(
        "SMTP protocol errors from 198.51.100.7 (mail.client.example): SG199, once on 2026-11-23"
    )


def test_a_balancer_is_mentioned_and_not_named(tmp_path: Path) -> None:
    """That the address was told by a balancer is said; the balancer's own is not."""
    session = {"via": "proxy-v2", "peer": {"ip": "10.0.0.1", "port": 4711}}
    one = case(tmp_path, found(1, "SG104", session=session), end(1, session=session))
    assert dict(one.peers) == {("proxy-v2", "10.0.0.1"): 1}
    made = written(one)
    assert "  address     as our load balancer told it (proxy-v2)\n" in made.body
    assert "10.0.0.1" not in made.body + made.transcript


def test_many_helo_names(tmp_path: Path) -> None:
    """Two are named, long ones cut, the rest counted."""
    one = case(tmp_path, found(1, "SG104"), *(end(number, helo=f"{'x' * 200}{number}") for number in range(1, 6)))
    body = written(one).body
    assert "and 3 more" in " ".join(body.split())
    assert body.count(" " + "x" * 41 + "...") == 2


def states(rule_id: str) -> Iterable[dict[str, Any]]:
    """Return changes of a finding: every state, every verb."""
    yield from (
        {"state": state.value, "command": verb.value} for state, verb in zip(State, list(Verb)[-7:], strict=True)
    )


@pytest.mark.parametrize("rule_id", [each for each in CATALOGUE if not each.startswith(("SG5", "SG6"))])
def test_every_rule_fits(tmp_path: Path, rule_id: str) -> None:
    """Whatever the rule, and with every other one beside it: at most 40 lines of 72 columns, ASCII, one transcript."""
    long = [said(place / 100, "C", f"RCPT TO:<{'n' * 480}{place}@example.net>", place) for place in range(199)]
    changes = {
        "cause": max(Cause, key=lambda cause: len(cause.meaning + cause.cure)).value,
        "name": CATALOGUE[rule_id].name,
    }
    events = [found(1, rule_id, place=place, **changes, **each) for place, each in enumerate(states(rule_id), 1)]
    others = [found(2, other, after=9, place=place) for place, other in enumerate(CATALOGUE, 1)]
    ends = [
        end(1, helo="h" * 255, transcript=[*long, said(3.0, "C", "X" * 512, 999, (rule_id,))]),
        *(end(number, after=number, helo=f"{'i' * 240}{number}") for number in range(3, 9)),
    ]
    session = {"via": "proxy-v1", "peer": {"ip": "10.0.0.1", "port": 1}}
    one = case(tmp_path, *events, *ends, *others, end(2, after=9, session=session))
    assert one.by_count[0].rule_id == rule_id
    made = written(one)
    lines = made.body.splitlines()
    assert len(lines) <= LINES == 40
    assert max(map(len, lines)) <= COLUMNS == 72
    assert (made.subject + made.body + made.transcript).isascii()
    assert "\n! C   XXX" in made.body
    assert made.transcript.count("X" * 512) == 1


def test_how_often(tmp_path: Path) -> None:
    """The subject counts, and says since when, in the zone."""
    one = case(tmp_path, *(event for number in range(1, 4) for event in refused_data(number, after=number)))
    assert subject(one, NOWHERE, sender()) == (
        "SMTP commands out of order from 198.51.100.7: DATA without recipient, 3 times since 2026-11-23"
    )


# --- the message ------------------------------------------------------------------------------------------------------


def mailed(made: Letter, where: Whereabouts = WHERE, *, one: Case | None = None, **changes: Any) -> EmailMessage:
    """Make the message, write it as octets, and read it back."""
    pytest.importorskip("xarf", reason='pip install "smtpguard[report]"')
    who = sender(**changes)
    report = xarf_report(one or Case(HOST), made, who, 43122)
    octets = message(made, where, who, NOON, report).as_bytes()
    assert octets.isascii()
    assert octets.count(b"\n") == octets.count(b"\r\n")
    read = message_from_bytes(octets, policy=default)
    assert isinstance(read, EmailMessage)
    assert not read.defects
    return read


def text_of(part: Any) -> str:
    """Return a part's text with the line ends of a text file."""
    return str(part.get_content()).replace("\r\n", "\n")


def test_headers(tmp_path: Path) -> None:
    """To the postmaster of the organisation, a copy to its abuse desk, dated in UTC, marked as made by a program."""
    one = case(tmp_path, *refused_data(1))
    mail = mailed(written(one), one=one)
    assert mail["From"] == "postmaster@mx.example.net"
    assert mail["To"] == "postmaster@client.example"
    assert mail["Cc"] == "abuse@client.example"
    assert mail["Subject"] == written(one).subject
    assert mail["Date"] == "Mon, 23 Nov 2026 12:00:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@mx.example.net>")
    assert mail["Reply-To"] is None
    assert sorted(mail.keys()) == sorted(
        ["From", "To", "Cc", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )


def test_parts(tmp_path: Path) -> None:
    """Text for the person, the transcript for the engineer, XARF for the robot; all that is text can be read raw."""
    one = case(tmp_path, *refused_data(1))
    made = written(one)
    mail = mailed(made, one=one)
    body, transcript, report = mail.iter_parts()
    assert text_of(body) == made.body
    assert text_of(transcript) == made.transcript
    assert [part.get_content_type() for part in (body, transcript, report)] == ["text/plain"] * 2 + ["application/json"]
    assert [part["Content-Transfer-Encoding"] for part in (body, transcript, report)] == ["7bit", "7bit", "base64"]
    assert [part.get_filename() for part in (transcript, report)] == ["transcript.txt", "xarf.json"]


def test_a_line_too_long_for_mail() -> None:
    """A transcript with a line of more than 998 octets is sent as quoted-printable."""
    made = Letter(subject="x", body="y\n", transcript="z" * 999 + "\n")
    part = list(mailed(made).iter_parts())[1]
    assert part["Content-Transfer-Encoding"] == "quoted-printable"
    assert text_of(part) == made.transcript


def test_no_transcript_no_attachment() -> None:
    """Without a session to show there is the text and the report."""
    parts = list(mailed(Letter(subject="x", body="y\n", transcript="")).iter_parts())
    assert [part.get_filename() for part in parts] == [None, "xarf.json"]
    assert json.loads(parts[1].get_content())["evidence"] == []


def test_whom_to_answer() -> None:
    """Another contact than the author is one to reply to."""
    contact = Address("Post Master", "pm", "example.org")
    assert (
        mailed(Letter(subject="x", body="y\n", transcript=""), contact=contact)["Reply-To"]
        == "Post Master <pm@example.org>"
    )


@pytest.mark.parametrize(
    ("where", "to", "cc"),
    [
        (WHERE, ["postmaster@client.example"], ["abuse@client.example"]),
        (NOWHERE, [], []),
        (Whereabouts(abuse=("a@isp.example", "b@isp.example")), ["a@isp.example"], ["b@isp.example"]),
        (
            Whereabouts(name="x", domain="client.example", abuse=("abuse@client.example", "a@isp.example")),
            ["postmaster@client.example"],
            ["abuse@client.example", "a@isp.example"],
        ),
    ],
)
def test_recipients(where: Whereabouts, to: list[str], cc: list[str]) -> None:
    """Nobody is guessed: without a confirmed name there is whom the registries name, or nobody."""
    assert recipients(where) == (to, cc)
    mail = mailed(Letter(subject="x", body="y\n", transcript=""), where)
    assert (mail["To"], mail["Cc"]) == (", ".join(to) or None, ", ".join(cc) or None)


EVIL = "x\r\nBcc: evil@example.net\r\n\r\n%0d%0aBcc: y\x1b[2J\u202e" + "z" * 5000


def test_nothing_gets_into_a_header(tmp_path: Path) -> None:
    """Whatever a client says in its HELO, its lines and its replies, headers and structure stay what they are."""
    pytest.importorskip("xarf", reason='pip install "smtpguard[report]"')
    previous = {"command": EVIL, "reply_code": 550, "reply_text": EVIL}
    finding = found(
        1, "SG104", helo=EVIL, line=EVIL, previous=previous, command=EVIL, state=EVIL, cause=EVIL, detail=EVIL
    )
    lines = [said(0.1, "C", EVIL, 1, ("SG104",)), said(0.2, "U", EVIL, 1)]
    for transcript in (lines, []):
        one = case(tmp_path / str(len(transcript)), finding, end(1, helo=EVIL, transcript=transcript))
        one.guards.clear()
        made = written(one)
        assert (made.subject + made.body + made.transcript).replace("\n", "").isprintable()
        mail = mailed(made, one=one)
        assert mail["Bcc"] is None
        assert mail["Subject"] == made.subject
        assert "evil" not in made.subject
        assert len(list(mail.iter_parts())) == 3
        assert not any(line.startswith("Bcc") for line in (made.body + made.transcript).splitlines())
        assert max(map(len, made.body.splitlines())) <= COLUMNS


@pytest.mark.parametrize("text", ["pm@example.org", "Post Master <pm@example.org>", '"Master, Post" <pm@example.org>'])
def test_mail_addresses(text: str) -> None:
    """One address, with a name or without."""
    sample = EmailMessage(policy=SMTP)
    sample["From"] = text
    assert str(mail_address(text)) == str(sample["From"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pm",
        "@example.org",
        "pm@",
        "a@b.example, c@d.example",
        "a@b.example\nBcc: c@d.example",
        "<a@b",
        "Jörg <a@b.example>",
        "a b@c",
    ],
)
def test_no_mail_address(text: str) -> None:
    """What is none, or more than one, or would need another header."""
    with pytest.raises(ValueError, match="one address, such as"):
        mail_address(text)


# --- XARF -------------------------------------------------------------------------------------------------------------


def test_xarf(tmp_path: Path) -> None:
    """The package finds no fault with the report, strictly read; it says what the letter says, and when."""
    xarf = pytest.importorskip("xarf", reason='pip install "smtpguard[report]"')
    one = case(tmp_path, *refused_data(1), found(2, "SG105", after=10), end(2, after=10))
    made = written(one)
    report = xarf_report(one, made, sender(author=Address("Example", "pm", "mx.example.net")), 43122)
    read = xarf.parse(json.dumps(report), strict=True)
    assert (read.errors, read.warnings) == ([], [])
    assert read.report is not None
    assert (report["category"], report["type"], report["service"]) == ("vulnerability", "misconfiguration", "smtp")
    assert (report["source_identifier"], report["source_port"]) == (HOST, 43122)
    assert report["reporter"] == {"org": "Example", "contact": "pm@mx.example.net", "domain": "mx.example.net"}
    assert datetime.fromisoformat(report["timestamp"]).timestamp() == int(NOON + 10.1)
    assert base64.b64decode(report["evidence"][0]["payload"]).decode("ascii") == made.transcript
    assert report["tags"] == ["protocol:smtp", "rule:sg104", "rule:sg105"]
    assert report["description"] == made.subject


def test_xarf_without_a_port(tmp_path: Path) -> None:
    """A port that is not known is left out."""
    pytest.importorskip("xarf", reason='pip install "smtpguard[report]"')
    assert "source_port" not in xarf_report(Case(HOST), Letter(subject="x", body="", transcript=""), sender(), 0)


def test_a_report_that_is_not_valid() -> None:
    """What the package finds fault with is not written."""
    pytest.importorskip("xarf", reason='pip install "smtpguard[report]"')
    with pytest.raises(ValueError, match="the XARF report is not valid: "):
        xarf_report(Case(HOST), Letter(subject="x" * 1001, body="", transcript=""), sender(), 0)
