"""Plays the transcript of an explanation to the real engine, and says what came of it.

The transcript's own grammar is described in `smtpguard.evidence.explain`. Each turn is one write of CLIENT, one whole
reply of UPSTREAM, or one thing that happens; `HAPPENS` says what each of those things is at the Session's door.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from smtpguard.config import TimeoutSettings
from smtpguard.evidence import Line, Mark, Speaker
from smtpguard.evidence.explain import SESSION_ID
from smtpguard.smtp import CATALOGUE, Finding, Output, Policy, Session, Side, Waiting

Transcript = tuple[Line, ...]

TLS_FIRST: Final = "TLS is up from the first octet"

_NAMED: Final = {"CR": b"\r", "LF": b"\n", "NUL": b"\0"}
_SPELT: Final = re.compile(r"<(?:(CR|LF|NUL)|0x([0-9a-f]{2})|([0-9]+) times (.))>")


def octets(text: str) -> bytes:
    """Return the octets that a line stands for, its line end included."""
    done, parts = 0, []
    for spelt in _SPELT.finditer(text):
        parts.append(text[done : spelt.start()].encode("ascii"))
        named, code, count, octet = spelt.groups()
        parts.append(_NAMED[named] if named else bytes.fromhex(code) if code else octet.encode() * int(count))
        done = spelt.end()
    line = b"".join([*parts, text[done:].encode("ascii")])
    return line if text.endswith("<LF>") else line + b"\r\n"


@dataclass
class Turn:
    """One thing that happens, what the transcript says of it, and what came of it."""

    lines: list[Line]
    answers: list[Line] = field(default_factory=list)
    up: bytes = b""
    down: bytes = b""
    findings: list[Finding] = field(default_factory=list)

    @property
    def speaker(self) -> Speaker:
        """Who begins."""
        return self.lines[0].speaker

    @property
    def expected_down(self) -> bytes:
        """What CLIENT must hear: the reply, unless it was stopped, then our answers."""
        handed = [line for line in self.lines if line.speaker is Speaker.UPSTREAM and line.mark is not Mark.STOPPED]
        return b"".join(octets(line.text) for line in [*handed, *self.answers])

    @property
    def expected_up(self) -> bytes:
        """What UPSTREAM must get of CLIENT's lines: all before the one that was stopped."""
        sent = b""
        for line in self.lines:
            if line.speaker is not Speaker.CLIENT or line.mark is Mark.STOPPED:
                break
            sent += octets(line.text)
        return sent


def turns(transcript: Transcript) -> list[Turn]:
    """Cut a transcript into turns."""
    cut: list[Turn] = []
    for line in transcript:
        if line.speaker is Speaker.GUARD and cut:
            cut[-1].answers.append(line)
        elif cut and not cut[-1].answers and _goes_on(cut[-1], line):
            cut[-1].lines.append(line)
        else:
            cut.append(Turn([line]))
    return cut


def _goes_on(turn: Turn, line: Line) -> bool:
    match line.speaker:
        case Speaker.CLIENT:
            return turn.speaker is Speaker.CLIENT
        case Speaker.UPSTREAM:
            return turn.speaker is Speaker.UPSTREAM and turn.lines[-1].text[3:4] == "-"
        case _:
            return False


@dataclass
class Stage:
    """A session being played."""

    session: Session
    turn: Turn

    def take(self, out: Output) -> None:
        """Gather what came."""
        self.turn.up += b"".join(bytes(part) for part in out.up)
        self.turn.down += b"".join(bytes(part) for part in out.down)
        self.turn.findings += [event for event in out.events if isinstance(event, Finding)]

    def say(self, side: Side, data: bytes) -> None:
        """Let one side send."""
        self.take(self.session.receive(side, data))


def play(transcript: Transcript, policy: Policy) -> list[Turn]:
    """Play a transcript and return its turns with what came of each."""
    played = turns(transcript)
    tls = transcript[0].text == TLS_FIRST
    session = Session(policy, session_id=SESSION_ID, tls=tls)
    for turn in played[1:] if tls else played:
        stage = Stage(session, turn)
        match turn.speaker:
            case Speaker.CLIENT:
                stage.say(Side.CLIENT, b"".join(octets(line.text) for line in turn.lines))
            case Speaker.UPSTREAM:
                stage.say(Side.UPSTREAM, b"".join(octets(line.text) for line in turn.lines))
            case _:
                HAPPENS[turn.lines[0].text](stage)
    return played


# --- what happens besides ---------------------------------------------------------------------------------------------


def _expires(waiting: Waiting, seconds: float) -> Callable[[Stage], None]:
    """Let a deadline fall; `seconds` is what the transcript says, and must be the default of the setting."""

    def happen(stage: Stage) -> None:
        assert stage.session.waiting is waiting
        assert getattr(TimeoutSettings(), waiting.value) == seconds
        stage.take(stage.session.expire())

    return happen


def _outlives(stage: Stage) -> None:
    assert TimeoutSettings().session == 3600
    stage.take(stage.session.outlived())


def _twenty_violations(stage: Stage) -> None:
    answer = CATALOGUE["SG102"].answer
    assert answer is not None
    for _ in range(20):
        stage.say(Side.CLIENT, b"RCPT TO:<b@example.net>\r\n")
        assert stage.turn.down == answer.spoken("SG102", SESSION_ID)
        stage.turn.down = b""


def _hundred_noops(stage: Stage) -> None:
    for _ in range(100):
        stage.say(Side.CLIENT, b"NOOP\r\n")
        assert stage.turn.up == b"NOOP\r\n"
        stage.say(Side.UPSTREAM, b"250 2.0.0 Ok\r\n")
        assert stage.turn.down == b"250 2.0.0 Ok\r\n"
        stage.turn.up = stage.turn.down = b""


HAPPENS: Final[Mapping[str, Callable[[Stage], None]]] = {
    "the upstream refuses the connection": lambda stage: stage.take(stage.session.unreachable("connection refused")),
    "the upstream closes the connection": lambda stage: stage.take(stage.session.receive_eof(Side.UPSTREAM)),
    "the client is gone": lambda stage: stage.take(stage.session.lost(Side.CLIENT)),
    "20 times RCPT without MAIL, each answered 503": _twenty_violations,
    "100 times NOOP, each answered 250": _hundred_noops,
    "nothing more for 5 minutes": _expires(Waiting.COMMAND, 300),
    "less than 4 KiB in 3 minutes": _expires(Waiting.CONTENT, 180),
    "an hour has passed since the connection": _outlives,
}


def found(played: list[Turn], rule_id: str) -> Iterator[tuple[int, Finding]]:
    """Yield the findings of one rule, each with the number of its turn."""
    for number, turn in enumerate(played):
        yield from ((number, finding) for finding in turn.findings if finding.rule.id == rule_id)
