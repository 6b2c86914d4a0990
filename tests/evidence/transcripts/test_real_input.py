"""Transcripts written by real programs, each with what stands in it: the form, and the findings by line.

The files in `data` were written by swaks, curl, telnet, netcat and openssl in `script`, smtplib, a Postfix with
notify_classes=protocol, and `smtpguard show`; the lines at fault were found by reading them.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from smtpguard.evidence.judge.explained import blames_client, explain_transcript
from smtpguard.evidence.transcripts import NoTranscriptError, read

DATA = Path(__file__).parent / "data"
Wanted = list[tuple[int, str, bool]]

EXPECTED: dict[str, tuple[str, Wanted]] = {
    "swaks.txt": ("swaks", []),
    # All in one segment where PIPELINING is offered: DATA is a consequence.
    "swaks-pipeline.txt": ("swaks", [(19, "SG104", False)]),
    "swaks-tls.txt": ("swaks", []),
    "swaks-auth.txt": ("swaks", []),
    "swaks-suppressed.txt": ("swaks", []),
    "curl.txt": ("arrows", []),
    "smtplib.txt": ("smtplib", [(19, "SG102", True)]),
    "smtplib-times.txt": ("smtplib", [(19, "SG102", True)]),
    "smtplib-late.txt": ("smtplib", [(24, "SG103", True)]),
    "telnet.txt": ("terminal", [(19, "SG102", True)]),
    "telnet-auth.txt": ("terminal", [(19, "SG103", True)]),
    "nc.txt": ("terminal", [(7, "SG105", True)]),
    "openssl.txt": ("terminal", [(103, "SG104", True)]),
    # Postfix tells nothing of pipelining, so its DATA behind a refused RCPT blames nobody.
    "postfix-notice.txt": (
        "postfix",
        [(23, "SG103", True), (25, "SG102", True), (29, "SG105", True), (33, "SG104", False), (35, "SG111", True)],
    ),
    "show-plain-VN.txt": ("show", [(26, "SG102", True)]),
    "show-plain-VH.txt": ("show", [(30, "SG104", False)]),
    "show-swaks-VN.txt": ("swaks", [(25, "SG102", True)]),
    "show-swaks-VH.txt": ("swaks", [(29, "SG104", False)]),
    "show-gateway-VN.txt": ("gateway", [(25, "SG102", True)]),
    "show-gateway-VH.txt": ("gateway", [(29, "SG104", False)]),
    "show-json-VN.json": ("json", [(15, "SG102", True)]),
    "show-json-VH.json": ("json", [(19, "SG104", False)]),
}


def test_every_file_is_expected() -> None:
    """No file of the folder goes untested."""
    assert {file.name for file in DATA.iterdir()} == {*EXPECTED, "swaks-hidden.txt"}


@pytest.mark.parametrize("name", EXPECTED)
def test_form_and_findings(name: str) -> None:
    """The form is recognised, and the engine finds what a person finds."""
    account = explain_transcript((DATA / name).read_bytes())
    form, wanted = EXPECTED[name]
    assert account.transcript.form.name == form
    # JSON's lines have no lines of their own in the file.
    found = [(place, one.rule.id, blames_client(one)) for place, one in account.findings]
    if form == "json":
        assert [each[1:] for each in found] == [each[1:] for each in wanted]
    else:
        assert found == wanted
    assert account.judged.parted is None
    # curl does not tell of its QUIT.
    assert account.judged.complete is (name != "curl.txt")


@pytest.mark.parametrize("name", EXPECTED)
def test_no_credential_is_shown(name: str) -> None:
    """User and password of the sessions that logged in, plain and in base64, stand in no row."""
    account = explain_transcript((DATA / name).read_bytes())
    shown = "\n".join(row.text for row in account.rows)
    for secret in ("AHRpbQB0YW5zdGFhZg==", "dGlt", "dGFuc3RhYWY=", "tanstaaf", "secret"):
        assert secret not in shown


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.decode().encode("utf-16"),
        lambda text: b"\n".join(b"> " + line for line in text.split(b"\n")),
        lambda text: b"\n".join(b"> > " + line for line in text.split(b"\n")),
        lambda text: b"\n".join(b"    " + line for line in text.split(b"\n")),
        lambda text: text.replace(b" ", b"\xc2\xa0"),
    ],
    ids=["crlf", "mark", "utf-16", "quoted", "quoted twice", "indented", "non-breaking blanks"],
)
def test_what_a_paste_does_to_a_text(name: str, spoil: Callable[[bytes], bytes]) -> None:
    """Line ends, marks, quotation, indentation and blanks of a paste change nothing."""
    text = (DATA / name).read_bytes()
    clean, spoilt = explain_transcript(text), explain_transcript(spoil(text))
    assert spoilt.transcript.form.name == clean.transcript.form.name
    assert [one.rule.id for _, one in spoilt.findings] == [one.rule.id for _, one in clean.findings]
    assert [row.text for row in spoilt.rows] == [row.text for row in clean.rows]


@pytest.mark.parametrize(
    "prefix",
    [b"2026-11-23T10:00:00.123456+01:00 ", b"[10:00:00.123] ", b"Nov 23 10:00:00 mx gateway[123]: ",
     b"2026-11-23 10:00:00,123 ", b"10:00:00 "],
)  # fmt: skip
@pytest.mark.parametrize("name", ["show-gateway-VN.txt", "swaks.txt", "swaks-pipeline.txt"])
def test_what_a_log_puts_before_a_line(name: str, prefix: bytes) -> None:
    """Times and names of a log are left out."""
    text = (DATA / name).read_bytes()
    clean = explain_transcript(text)
    logged = explain_transcript(b"".join(prefix + line for line in text.splitlines(keepends=True)))
    assert [row.text for row in logged.rows] == [row.text for row in clean.rows]


def test_only_what_the_client_heard() -> None:
    """swaks --hide-send shows no line of the client: nothing to judge, and that is said."""
    with pytest.raises(NoTranscriptError, match="output of swaks, but shows no line of the client"):
        read((DATA / "swaks-hidden.txt").read_bytes())
