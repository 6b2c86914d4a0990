"""The published schema says what is written, and would notice if it were not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from smtpguard.record import FindingRecord, SessionEndRecord, audit_schema
from smtpguard.record.audit import Auditor
from smtpguard.record.identity import Numbering
from tests import audited
from tests.record.samples import DECLINED, LINK, NOW, ended, finding

ROOT = Path(__file__).parents[2]

pytest.importorskip("jsonschema")


@pytest.fixture
def lines() -> dict[str, Any]:
    """Hand out a line of each shape."""
    auditor = Auditor(hostname="mx1", version="0", numbering=Numbering("7M2K5N"))
    made = {
        "finding": auditor.finding(LINK, NOW, finding()),
        "declined": auditor.declined(LINK, NOW, DECLINED),
        "end": auditor.session_end(LINK, NOW, ended(rules={"SG104": 1}, violations=1)),
    }
    return {name: json.loads(line) for name, line in made.items()}


def told(event: Any) -> list[str]:
    """Return what is wrong with an event."""
    return audited.mistakes(json.dumps(event).encode())


def test_every_shape(lines: dict[str, Any]) -> None:
    """A finding, a declined command, the end of a session: each is one of the two, and not the other."""
    for event in lines.values():
        assert told(event) == []


@pytest.mark.parametrize(
    ("line", "path", "value"),
    [
        ("finding", "smtp.new", 1),
        ("finding", "event.action", "session-end"),
        ("finding", "event.kind", "metric"),
        ("finding", "event.sequence", "1"),
        ("finding", "rule", None),
        ("finding", "network.type", "ipv5"),
        ("declined", "smtp.forwarded", "no"),
        ("end", "event.action", "sequence-violation"),
        ("end", "smtp.counts", [1, 2, 3]),
        ("end", "smtp.visible", "partly"),
        ("end", "smtp.transcript", [{"t": 0.1, "dir": "X", "line": "QUIT"}]),
        ("end", "smtp.rules", {"SG104": "1"}),
    ],
)
def test_it_can_fail(lines: dict[str, Any], line: str, path: str, value: object) -> None:
    """A name too many, a word that is none, a number as text, null: each is noticed."""
    event = lines[line]
    *above, key = path.split(".")
    part = event
    for name in above:
        part = part[name]
    part[key] = value
    assert told(event)


@pytest.mark.parametrize(
    "path", ["@timestamp", "event.action", "event.id", "source.ip", "smtp.session.id", "smtp.counts"]
)
def test_what_must_be_there(lines: dict[str, Any], path: str) -> None:
    """A line without one of these is none."""
    *above, key = path.split(".")
    part = lines["end"]
    for name in above:
        part = part[name]
    del part[key]
    assert told(lines["end"])


def test_readers_may_go_by_it(lines: dict[str, Any]) -> None:
    """What the schema allows, our own reader decodes."""
    for name, event in lines.items():
        kind = SessionEndRecord if name == "end" else FindingRecord
        assert isinstance(msgspec.json.decode(json.dumps(event).encode(), type=kind), kind)


def test_it_is_described() -> None:
    """It has an id with the number of `smtp.schema`, a title for each object, and the words of the source."""
    schema = audit_schema()
    assert schema["$id"] == "urn:smtpguard:audit:1"
    assert {part["title"] for part in schema["$defs"].values()} >= {"finding", "session end"}
    outcome = schema["$defs"]["EventPart"]["properties"]["outcome"]
    assert outcome["description"].startswith("Of the command: `failure` where smtpguard answered")
    assert schema["$defs"]["SmtpPart"]["properties"]["helo"]["type"] == "string"
    assert not any("additionalProperties" in part for part in schema["$defs"].values())


def test_without_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only compiled files are installed the descriptions of fields are left out, and the rest is the same."""

    def gone(_: object) -> str:
        raise OSError("could not get source code")

    monkeypatch.setattr("inspect.getsource", gone)
    shape = audit_schema()["$defs"]["EventPart"]["properties"]["outcome"]
    assert shape == {"enum": ["failure", "unknown"]}


PLANTED = '''
from smtpguard.record.audit import Auditor
from smtpguard.record import shapes
from tests.record.samples import LINK, NOW, ended, finding

def test_wrong(monkeypatch):
    """Make a line that no schema allows."""
    auditor = Auditor(hostname="mx1", version="0")
    auditor._encode = lambda _: b'{"event": {"action": "session-end"}}'
    auditor.session_end(LINK, NOW, ended())

def test_right():
    """Make a good one."""
    Auditor(hostname="mx1", version="0").finding(LINK, NOW, finding())
'''


def test_a_wrong_line_fails_its_test(tmp_path: Path) -> None:
    """The hook of `conftest` is at work in every test: one that makes a wrong line fails, the next one does not."""
    (tmp_path / "test_planted.py").write_text(PLANTED)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", tmp_path],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert "the audit's schema does not allow this:" in done.stdout
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
