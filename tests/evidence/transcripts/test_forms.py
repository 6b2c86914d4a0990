"""Forms as people write them, hidden things, cut texts: what is read, and what is said of it."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smtpguard.evidence import explanation
from smtpguard.evidence.judge.explained import Account, blames_client, explain_transcript
from smtpguard.evidence.transcripts import FORMS, NoTranscriptError, read
from smtpguard.smtp import CATALOGUE, Profile

LAWFUL = "S: 220 mx\nC: EHLO client\nS: 250-mx\nS: 250 PIPELINING\n"
FROM, TO = "MAIL FROM:<a@client.example>", "RCPT TO:<b@mx.example>"


def found(text: str, form: str | None = None) -> list[tuple[int, str, bool]]:
    """Return line, rule, and whether the client is blamed."""
    return [(place, one.rule.id, blames_client(one)) for place, one in account(text, form).findings]


def account(text: str, form: str | None = None) -> Account:
    """Judge a text."""
    return explain_transcript(text.encode(), form)


# --- forms -----------------------------------------------------------------------------------------------------------

FORMS_BY_HAND = {
    "letters": f"C: EHLO client\nS: 250 mx\nC: {TO}\nS: 503 no\n",
    "gateway": f"[rx] EHLO client\n[tx] 250 mx\n[RX] {TO}\n[TX] 503 no\n",
    "postfix": f" In:  EHLO client\n Out: 250 mx\n In:  {TO}\n Out: 503 no\n",
    "swaks": f" -> EHLO client\n<-  250 mx\n -> {TO}\n<** 503 no\n",
    "terminal": f"EHLO client\n250 mx\n{TO}\n503 no\n",
    "smtplib": f"send: 'EHLO client\\r\\n'\nreply: b'250 mx\\r\\n'\nsend: '{TO}\\r\\n'\nreply: b'503 no\\r\\n'\n",
}
ARROWS = [("> ", "< "), ("--> ", "<-- "), (">>> ", "<<< ")]


@pytest.mark.parametrize("name", FORMS_BY_HAND)
def test_a_form_by_hand(name: str) -> None:
    """The same four lines in each form: without a greeting, with one finding in the third."""
    told = account(FORMS_BY_HAND[name])
    assert told.transcript.form.name == name
    assert [(place, one.rule.id) for place, one in told.findings] == []
    # One line of reply to EHLO, and nothing before it: the record begins in the middle, and nothing is guessed.
    text = FORMS_BY_HAND[name]
    lines = text.splitlines()
    greeted = "\n".join([lines[1].replace("250", "220"), *lines])
    assert found(greeted) == [(4, "SG102", True)]


@pytest.mark.parametrize(("to", "fro"), ARROWS)
def test_arrows(to: str, fro: str) -> None:
    """curl, msmtp and sendmail."""
    text = f"* Connected to mx\n{fro}220 mx\n{to}EHLO client\n{fro}250 mx\n{to}{TO}\n{fro}503 no\n"
    assert account(text).transcript.form.name == "arrows"
    assert found(text) == [(5, "SG102", True)]


@pytest.mark.parametrize(
    "rule_id", [rule for rule in CATALOGUE if rule not in ("SG501", "SG504", "SG602", "SG606", "SG607")]
)
def test_our_own_explanations(rule_id: str) -> None:
    """The transcript of each explanation, pasted, breaks its rule. (SG501, SG606, SG607 show no line of a client;
    SG504 and SG602 tell in words what no line shows.)"""
    text = "".join(
        f"  {line.mark.value} {line.speaker.value}: {line.text}\n" for line in explanation(rule_id).transcript
    )
    assert rule_id in {rule for _, rule, _ in found(text)}


def test_a_line_of_the_audit() -> None:
    """A `session-end` line as it stands in a segment, and two of them."""
    lines = [
        {"t": 0.1, "dir": "U", "line": "220 mx", "piece": 1},
        {"t": 0.2, "dir": "C", "line": "EHLO client", "piece": 1},
        {"t": 0.2, "dir": "U", "line": "250-mx", "piece": 2},
        {"t": 0.2, "dir": "U", "line": "250 SIZE", "piece": 2},
        {"t": 0.3, "dir": "C", "line": FROM, "piece": 2},
        {"t": 0.4, "dir": "U", "line": "250 ok", "piece": 3},
        {"t": 0.3, "dir": "C", "line": TO, "piece": 2, "rules": ["SG202"]},
        {"t": 0.5, "dir": "U", "line": "250 ok", "piece": 4},
    ]
    text = json.dumps({"event": {"action": "session-end"}, "smtp": {"session": {"id": "x"}, "transcript": lines}})
    assert [(rule, blamed) for _, rule, blamed in found(text)] == [("SG202", True)]
    with pytest.raises(NoTranscriptError, match="the transcripts of 2 sessions"):
        read(f"{text}\n{text}\n".encode())


def test_a_form_can_be_asked_for() -> None:
    """`--form` reads a text as it is told; where that fails, the form is named."""
    assert account(FORMS_BY_HAND["letters"], "letters").transcript.form.name == "letters"
    with pytest.raises(NoTranscriptError, match="Postfix's notice"):
        read(FORMS_BY_HAND["letters"].encode(), "postfix")


# --- timing ----------------------------------------------------------------------------------------------------------


def test_letters_are_no_evidence_of_haste() -> None:
    """Two lines of C with nothing between, PIPELINING not offered: not SG202, and it is said that timing is unseen."""
    text = f"S: 220 mx\nC: HELO client\nS: 250 mx\nC: {FROM}\nC: {TO}\nS: 250 ok\nS: 250 ok\n"
    assert found(text) == []
    assert any("timing was not judged" in note for note in account(text).notes)


def test_swaks_is_evidence() -> None:
    """swaks prints what it sends when it sends it."""
    text = f"<-  220 mx\n -> HELO client\n<-  250 mx\n -> {FROM}\n -> {TO}\n<-  250 ok\n<-  250 ok\n"
    assert found(text) == [(5, "SG202", True)]


@pytest.mark.parametrize(("offered", "blamed"), [("250 PIPELINING", False), ("250 SIZE", True)])
def test_a_doubt_is_a_consequence(offered: str, blamed: bool) -> None:
    """Postfix prints pipelined lines one by one: where PIPELINING was offered, DATA behind a refusal blames nobody."""
    text = f"Out: 220 mx\nIn: EHLO x\nOut: 250-mx\nOut: {offered}\nIn: {FROM}\nOut: 250 ok\nIn: {TO}\nOut: 550 no\n"
    assert found(text + "In: DATA\nOut: 554 no\nIn: QUIT\nOut: 221 bye\n") == [(9, "SG104", blamed)]


def test_content_printed_before_354() -> None:
    """A terminal shows what was pasted into it at once: that is content, and no proof of haste."""
    text = f"220 mx\nEHLO x\n250 mx\n{FROM}\n250 ok\n{TO}\n250 ok\nDATA\nSubject: x\n.\nQUIT\n354 go\n250 ok\n221 bye\n"
    assert found(text) == []
    assert "[1 line of content]" in [row.text for row in account(text).rows]


# --- what was left out -----------------------------------------------------------------------------------------------


def test_content_is_no_command() -> None:
    """Content that looks like commands and replies, up to the lone dot."""
    text = f"220 mx\nEHLO x\n250 mx\n{FROM}\n250 ok\n{TO}\n250 ok\nDATA\n354 go\n"
    text += "RCPT TO:<x@y>\n250 ok\n\nQUIT\n.\n250 ok\n"
    assert found(text) == []
    assert "[4 lines of content]" in [row.text for row in account(text).rows]


@pytest.mark.parametrize("body", ["[rx] ...message body...\n[rx] .\n", "[rx] ...message body...\n", ""])
def test_hidden_content(body: str) -> None:
    """Content that is left out, its dot with it: the verdict tells that it was there."""
    text = f"[tx] 220 mx\n[rx] EHLO x\n[tx] 250 mx\n[rx] {FROM}\n[tx] 250 ok\n[rx] {TO}\n[tx] 250 ok\n[rx] DATA\n"
    told = account(f"{text}[tx] 354 go\n{body}[tx] 250 queued\n[rx] {TO}\n[tx] 503 no\n")
    assert [one.rule.id for _, one in told.findings] == ["SG102"]
    assert told.judged.ended.accepted_messages == 1
    assert any("message content, which the text leaves out" in note for note in told.notes)


def test_redacted_lines_are_what_they_were() -> None:
    """`[redacted]` behind 334 is a SASL line, `[14 octets]` an unknown word, a chunk has its octets."""
    lines = ["U 220 mx", "C EHLO x", "U 250-mx", "U 250-AUTH LOGIN", "U 250 CHUNKING", "C AUTH [redacted]",
             "U 334 [redacted]", "C [redacted]", "U 235 [redacted]", "C [14 octets]", "U 500 [redacted]",
             f"C {FROM}", "U 250 ok", f"C {TO}", "U 250 ok", "C BDAT 300 LAST", "C [300 octets of chunk]", "U 250 ok",
             "C QUIT", "U 221 bye"]  # fmt: skip
    text = "".join(f"      0.{number:03} {line[0]}   {line[2:]}\n" for number, line in enumerate(lines))
    told = account(text)
    assert told.transcript.form.name == "show"
    assert (told.findings, told.judged.complete, told.judged.ended.authenticated) == ((), True, True)
    assert told.judged.ended.accepted_messages == 1


def test_what_is_redacted_is_not_guessed() -> None:
    """Whether BURL was the last is redacted: MAIL behind it is judged neither way, what follows the next EHLO is."""
    lines = ["U 220 mx", "C EHLO x", "U 250-mx", "U 250 BURL", f"C {FROM}", "U 250 ok", f"C {TO}", "U 250 ok",
             "C BURL [redacted]", "U 250 [redacted]", f"C {FROM}", "U 503 no", "C EHLO x", "U 250-mx", "U 250 SIZE",
             f"C {TO}", "U 503 no"]  # fmt: skip
    told = account("".join(f"      0.{number:03} {line[0]}   {line[2:]}\n" for number, line in enumerate(lines)))
    assert [(place, one.rule.id) for place, one in told.findings] == [(16, "SG102")]
    assert any("redacted at line 9 decides" in note for note in told.notes)


def test_a_reply_without_its_end() -> None:
    """A reply whose last lines were cut away ends where the client goes on."""
    assert found(f"S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250-SIZE\nC: {TO}\nS: 503 no\n") == [(5, "SG102", True)]


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        ["AUTH PLAIN c2VjcmV0", "535 c2VjcmV0 is wrong"],
        ["AUTH LOGIN", "334 VXNlcm5hbWU6", "c2VjcmV0", "334 UGFzc3dvcmQ6", "c2VjcmV0", "235 welcome"],
        ["USER c2VjcmV0", "500 c2VjcmV0?", "PASS c2VjcmV0", '502 unknown "PASS c2VjcmV0"'],
        ["AHTH PLAIN c2VjcmV0", "500 what is AHTH PLAIN c2VjcmV0"],
        ["c2VjcmV0", "500 5.5.2 c2VjcmV0"],
        ["NOOP c2VjcmV0", "250 c2VjcmV0"],
    ],
)
def test_credentials_are_never_echoed(lines: list[str]) -> None:
    """Not from the line itself, nor from a reply that quotes it."""
    text = "\n".join(["220 mx", "EHLO x", "250-mx", "250 AUTH PLAIN LOGIN", *lines, "RCPT TO:<x>", "503 no", ""])
    told = account(text)
    assert "c2VjcmV0" not in repr(told.rows)
    assert "c2VjcmV0" not in repr([one.line for _, one in told.findings])
    assert "250 AUTH PLAIN LOGIN" in [row.text for row in told.rows]


# --- halves ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("C: RCPT TO:<x>\nS: 503 no\n", "nothing could be judged"),
        (f"C: NOOP\nS: 250 ok\nC: EHLO x\nS: 250-mx\nS: 250 SIZE\nC: {TO}\nS: 503 no\n", "judged from line 3"),
        (f"C: EHLO x\nS: 250-mx\nS: 250 SIZE\nC: {TO}\nS: 503 no\n", "begins behind the greeting"),
        (f"{LAWFUL}C: STARTTLS\nS: 220 go\n", "behind STARTTLS"),
        (f"{LAWFUL}C: {FROM}\n", "ends, at line 5, before the session does"),
        (f"{LAWFUL}C: QUIT\nS: 221 bye\nC: {TO}\nS: 503 no\n", "goes on behind the end"),
        (f"{LAWFUL}C: BDAT  4\nS: 500 no\nC: {TO}\nS: 503 no\n", "closed the session at line 5"),
        (f"{LAWFUL}S: 250 what\nS: 250 is this\n", "The reply at line 5 does not fit"),
        (f"{LAWFUL}C: VRFY x\nC: {TO}\nC: NOOP\n", "2 lines of the client could not be judged"),
        (f"{LAWFUL}C: QUIT\nS: 221 bye\n", "timing was not judged"),
    ],
)
def test_what_could_not_be_judged_is_said(text: str, said: str) -> None:
    """Each kind of half transcript says which half is missing."""
    assert any(said in note for note in account(text).notes), account(text).notes


@pytest.mark.parametrize(
    "text", ["", "Dear postmaster,\n\nyour server is broken.\n", "\0\1\2\xff", "{}", "[1, 2]", '{"a": 1}']
)
def test_no_transcript(text: str) -> None:
    """Other texts: the message names every form that was looked for."""
    with pytest.raises(NoTranscriptError) as error:
        read(text.encode("latin-1"))
    assert all(form.name in str(error.value) for form in FORMS)


def test_one_side_only() -> None:
    """Only commands, only replies, a capture: said in so many words."""
    for octets, said in (
        (b"C: EHLO x\nC: RCPT TO:<x>\n", "shows no reply"),
        (b"S: 220 x\nS: 250 x\n", "shows no line of the client"),
        (b"\xd4\xc3\xb2\xa1\2\0\4\0", "this is a capture"),
    ):
        with pytest.raises(NoTranscriptError, match=said):
            read(octets)


def test_profiles() -> None:
    """The profile decides what enforce would do."""
    text = f"S: 220 mx\nC: {FROM}\nS: 503 no\n".encode()
    verdicts = [explain_transcript(text, None, profile).findings[0][1].enforced.value for profile in Profile]
    assert verdicts == ["refuse", "refuse", "note"]


_lines = st.sampled_from(
    [
        "220 mx", "250-mx", "250 ok", "354 go", "503 no", "334 x", "421 bye", "EHLO x", FROM, TO, "DATA", ".", "QUIT",
        "BDAT 5 LAST", "AUTH LOGIN", "STARTTLS", "220 go", "text", "", "[12 octets]", "[99999999999 octets of chunk]",
        "[redacted]", "...message body...", "17 lines sent", "[5 octets of content]", "250-", "25", "999 x",
        "BURL x LAST",
    ]
)  # fmt: skip
_marks = st.sampled_from(
    ["", "C: ", "S: ", "G: ", " -> ", "<-  ", "<** ", " ~> ", "[rx] ", "[tx] ", " In:  ", " Out: ", "> ", "< ", ">>> ",
     "!     0.015 C   ", "      0.015 U / ", "- 0.1 C | ", "send: ", "reply: ", "*: ", "=== TLS started with cipher x",
     "CONNECTED(00000003)", "---", "{", '{"dir": "C", "line": "', "Nov 23 10:00:00 mx x[1]: "]
)  # fmt: skip


@settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(_marks, st.one_of(_lines, st.text(max_size=20))), max_size=25),
    st.sampled_from([None, *(form.name for form in FORMS)]),
)
def test_any_text(lines: list[tuple[str, str]], form: str | None) -> None:
    """Any mixture of marks and lines: an account, or the one error; every finding has a line of the text."""
    text = "\n".join(mark + line for mark, line in lines).encode("utf-8", "surrogatepass")
    try:
        told = explain_transcript(text, form)
    except NoTranscriptError:
        return
    assert all(1 <= place <= told.transcript.lines for place, _ in told.findings)
    assert told.summary


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200))
def test_any_octets(octets: bytes) -> None:
    """Octets that are no text at all raise nothing but the one error, and that says something."""
    said = "judged"
    try:
        explain_transcript(octets)
    except NoTranscriptError as error:
        said = str(error)
    assert said
