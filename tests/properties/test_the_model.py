"""The model is only worth something while it is independent, and right where it can be checked by a third way."""

import ast
import re
from itertools import product
from pathlib import Path

import pytest

from tests.model import CLIENT, UPSTREAM, End, FakeUpstream, Step, Terms, look, play

MODEL = Path(__file__).parent.parent / "model"

PATTERN = re.compile(rb"[\r\n]\0*\.[\0\r]*?[\r\n]")
"""Design rule 10, as it is written there."""


@pytest.mark.parametrize("path", sorted(MODEL.glob("*.py")), ids=lambda path: path.stem)
def test_the_model_imports_nothing_of_the_program(path: Path) -> None:
    """No file of the model imports smtpguard, by whatever spelling."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not [name for name in names if name.split(".")[0] == "smtpguard"]
        assert not (isinstance(node, ast.Name) and node.id in ("__import__", "importlib"))


def first_end(content: bytes) -> tuple[str, int]:
    """Find the first end by the pattern: its kind, and how many octets lie before it (and in it, if lawful)."""
    stream = b"\r\n" + content
    for start in range(len(stream)):
        found = PATTERN.match(stream, start)
        if not found:
            continue
        lawful = re.compile(rb"(?<=\r)\n\.\r\n").match(stream, start)
        if lawful:
            return "lawful", lawful.end() - 2
        if stream[start - 1 : start] == b"\r" and found[0] == b"\n.\r" and found.end() == len(stream):
            return "none", 0
        return "hidden", stream.index(b".", start) - 2
    return "none", 0


def test_the_automaton_agrees_with_the_pattern() -> None:
    """All contents of up to six octets: the automaton finds the end that the pattern of design rule 10 finds."""
    for length in range(7):
        for octets in product(b"\r\n\0.a", repeat=length):
            content = bytes(octets)
            sight = look(content)
            kind, before = first_end(content)
            assert sight.end.value == kind, content
            if sight.end is not End.NONE:
                assert sight.forwardable == before, content


def test_what_waits_is_a_dot_and_what_follows_it() -> None:
    """Without an end the automaton forwards all but a trailing possible dot."""
    assert look(b"a\r\n.").forwardable == 3
    assert look(b"a\r\n.\r").forwardable == 3
    assert look(b"a\n\0\0.\0").forwardable == 4
    assert look(b"a\r\n\0").forwardable == 4
    assert look(b"." + b"\0" * 64).end is End.NONE
    assert look(b"." + b"\0" * 65).end is End.HIDDEN


def test_the_fake_delivers_a_message() -> None:
    """The made-up MTA keeps envelope and content of what it accepted."""
    upstream = FakeUpstream()
    assert upstream.greet().startswith(b"220 ")
    upstream.receive(b"EHLO x\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n")
    assert [(each.envelope, each.content) for each in upstream.accepted] == [([b"FROM:<a>", b"TO:<b>"], b"hi\r\n.\r\n")]
    assert upstream.closed


def test_the_model_tells_a_session() -> None:
    """RCPT without MAIL: 503 of ours, nothing forwarded, and the session goes on."""
    steps = [Step(UPSTREAM, b"220 x\r\n"), Step(CLIENT, b"EHLO x\r\n"), Step(UPSTREAM, b"250 x\r\n")]
    outcome = play([*steps, Step(CLIENT, b"RCPT TO:<b>\r\n")], Terms())
    assert outcome.up == b"EHLO x\r\n"
    assert [told.codes for told in outcome.down] == [(), (), ((503, "5.5.1"),)]
    assert [(found.rule, found.verdict, found.consequence) for found in outcome.found] == [("SG102", "refuse", False)]
    assert outcome.stop == "waiting"
