r"""Session tests as transcripts: one `smtpguard.smtp.Session` in the middle, CLIENT and UPSTREAM played by the text.

A transcript is read line by line; blank lines and lines that begin with `#` are skipped. What happens:

    C> EHLO a        CLIENT sends the line and CRLF, as a segment of its own
    C+ NOOP          ... one more line in the same segment
    C~ NOOP          as `C>`, while replies given out before are not yet fully written
    u> 250-up        UPSTREAM sends; `u+` goes on in the same segment
    C: eof           CLIENT's FIN; also `C: lost`, `C: lost untold`, `u: eof`, `u: lost`
    -- expire        the deadline of `waiting` falls; also `-- outlived`, `-- dismiss`

What must come of it, in any order among the four kinds, and nothing else:

    U< EHLO a        octets for UPSTREAM
    c< 250 ok        octets for CLIENT that UPSTREAM said
    G< 503 5.5.1 SG102      an answer of our own: code, enhanced code, rule id
    ! SG102 refuse consequence cause=unknown line=RCPT      an event (see `_finding`)
    = violation cut  the session is over: `events.Close` value, `cut` where UPSTREAM is reset; `linger=` if it matters

    C>U RSET         short for C> and U< of the same line; `C+U` likewise
    u>c 250 ok       short for u> and c<; `u+c` likewise
    ? waiting=reply  what the session says of itself now: waiting, opaque, over, window, the fields of `SessionEnded`

A line that ends in a backslash is sent or expected without CRLF. \r \n \t \0 \xNN and \\ are escapes, and \{70*x} is
an x seventy times. A mismatch raises AssertionError with a diff of the two transcripts. Two things are looked at in
every session: no reply of ours is below 400, and no event holds the word SECRET.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from smtpguard.smtp import (
    SHUTTING_DOWN,
    Close,
    Declined,
    Event,
    Finding,
    Output,
    Policy,
    Profile,
    Session,
    Side,
    policy_for,
)

SESSION_ID = "0123456789AB"
_OURS = re.compile(rb"(\d{3})[ -](\d\.\d\.\d) .*\[(?:(SG\d{3}) )?" + SESSION_ID.encode() + rb"\]")
_ESCAPE = re.compile(r"\\(?:\{(\d+)\*((?:\\x[0-9a-f]{2}|[^}])+)\}|x([0-9a-f]{2})|([rnt0\\]))", re.DOTALL)
_SIMPLE = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
_SHOWN = {octets[0]: f"\\{name}" for name, octets in _SIMPLE.items()}
_LINE = re.compile(r"(C>U|C\+U|u>c|u\+c|C>|C\+|C~|u>|u\+|C:|u:|--|U<|c<|G<|!|=|\?)(?: (.*))?$", re.DOTALL)
_SHORT = {"C>U": ("C>", "U<"), "C+U": ("C+", "U<"), "u>c": ("u>", "c<"), "u+c": ("u+", "c<")}
_RUN = 60
"""Octets of one kind in a row that a transcript shows as a number."""
_SHOWN_BEFORE = 12
"""Lines that a failure shows of what came before it."""


def octets(text: str) -> bytes:
    """Return the octets that a transcript line stands for, its line end included."""
    ended = not re.search(r"(?<!\\)(?:\\\\)*\\$", text)
    return _unescape(text if ended else text[:-1]) + (b"\r\n" if ended else b"")


def _unescape(text: str) -> bytes:
    done, parts = 0, []
    for match in _ESCAPE.finditer(text):
        parts.append(text[done : match.start()].encode())
        count, piece, code, name = match.groups()
        parts.append(_unescape(piece) * int(count) if count else bytes.fromhex(code) if code else _SIMPLE[name])
        done = match.end()
    return b"".join([*parts, text[done:].encode()])


def shown(data: bytes) -> str:
    """Return octets as a transcript writes them, without line ends of its own."""
    collapsed = re.split(rb"((.)\2{%d,})" % (_RUN - 1), data, flags=re.DOTALL)
    words = [_plain(collapsed[0])]
    for run, octet, rest in zip(*(collapsed[start::3] for start in (1, 2, 3)), strict=True):
        words += [f"\\{{{len(run)}*{_plain(octet)}}}", _plain(rest)]
    return "".join(words)


def _plain(data: bytes) -> str:
    return "".join(_SHOWN.get(o) or (chr(o) if 32 <= o < 127 else f"\\x{o:02x}") for o in data)


def _lines(mark: str, data: bytes) -> Iterator[str]:
    *whole, rest = data.split(b"\r\n")
    yield from (f"{mark} {shown(line)}" for line in whole)
    if rest:
        yield f"{mark} {shown(rest)}\\"


@dataclass
class Step:
    """One thing that happens, and what must come of it."""

    mark: str = ""
    text: str = ""
    data: bytes = b""
    up: bytes = b""
    down: list[tuple[str, str]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    ending: str = ""
    asked: str = ""

    def played(self) -> list[str]:
        """Return the lines that say what happens."""
        return list(_lines(self.mark, self.data)) if self.data else [f"{self.mark} {self.text}"] if self.mark else []

    def expected(self) -> list[str]:
        """Return the lines that must come, in the order in which `_Stage.came` gives them."""
        lines, said = list(_lines("U<", self.up)), b""
        for mark, text in [*self.down, ("", "")]:
            if mark == "c<":
                said += octets(text)
                continue
            lines += [*_lines("c<", said), *([f"{mark} {text}"] if mark else [])]
            said = b""
        ending = [f"= {self.ending}"] if self.ending else []
        return [*lines, *(f"! {event}" for event in self.events), *ending, *([f"? {self.asked}"] if self.asked else [])]


def parse(transcript: str) -> list[Step]:
    """Read a transcript into steps."""
    steps = [Step()]
    for number, source in enumerate(transcript.splitlines(), 1):
        line = source.strip()
        if not line or line.startswith("#"):
            continue
        if not (match := _LINE.match(line)):
            raise ValueError(f"line {number} is no transcript line: {line}")
        mark, text = match[1], match[2] or ""
        for part in _SHORT.get(mark, (mark,)):
            _add(steps, part, text)
    return steps


def _add(steps: list[Step], mark: str, text: str) -> None:
    match mark:
        case "C>" | "C~" | "u>":
            steps.append(Step(mark, text, octets(text)))
        case "C+" | "u+":
            if steps[-1].mark[:1] != mark[0]:
                raise ValueError(f"{mark} {text}: nothing of that side to go on with")
            steps[-1].data += octets(text)
        case "C:" | "u:" | "--":
            steps.append(Step(mark, text))
        case "U<":
            steps[-1].up += octets(text)
        case "c<" | "G<":
            steps[-1].down.append((mark, text))
        case "!":
            steps[-1].events.append(text)
        case "=":
            steps[-1].ending = text
        case "?":
            steps[-1].asked = text


@dataclass
class _Stage:
    """A session being played, and what came of the step at hand."""

    session: Session
    cut: int
    up: bytes = b""
    down: bytes = b""
    events: list[Event] = field(default_factory=list)

    def act(self, step: Step) -> None:
        """Let happen what the step says, and gather what comes of it."""
        self.up, self.down, self.events = b"", b"", []
        side = Side.CLIENT if step.mark[:1] == "C" else Side.UPSTREAM
        size = self.cut or max(1, len(step.data))
        for start in range(0, len(step.data), size):
            if self.session.over:
                break
            self._take(self.session.receive(side, step.data[start : start + size], unread=step.mark == "C~"))
        match step.text.split() if step.mark in ("C:", "u:", "--") else []:
            case ["eof"]:
                self._take(self.session.receive_eof(side))
            case ["lost", *untold]:
                self._take(self.session.lost(side, untold=untold == ["untold"]))
            case ["expire"]:
                self._take(self.session.expire())
            case ["outlived"]:
                self._take(self.session.outlived())
            case ["dismiss"]:
                self._take(self.session.dismiss(SHUTTING_DOWN, Close.SHUTDOWN))
            case [other, *_]:
                raise ValueError(f"nothing is called {other}")

    def _take(self, out: Output) -> None:
        self.up += b"".join(bytes(part) for part in out.up)
        self.down += b"".join(bytes(part) for part in out.down)
        self.events += out.events

    def came(self, step: Step, *, over_before: bool) -> list[str]:
        """Return what came as transcript lines, in as much detail as the step asks for."""
        lines = [*_lines("U<", self.up), *self._heard()]
        asked = step.events + [""] * max(0, len(self.events) - len(step.events))
        lines += [f"! {_event(event, wanted)}" for event, wanted in zip(self.events, asked, strict=False)]
        if self.session.over and not over_before:
            lines.append(f"= {self._ending(step.ending)}")
        return [*lines, *([f"? {self._answers(step.asked)}"] if step.asked else [])]

    def _heard(self) -> Iterator[str]:
        for line in _lines("c<", self.down):
            ours = _OURS.fullmatch(octets(line[3:]).removesuffix(b"\r\n"))
            if not ours:
                yield line
                continue
            assert int(ours[1]) >= 400, f"smtpguard itself said {line}"
            yield "G< " + " ".join(word.decode() for word in ours.groups() if word)

    def _ending(self, wanted: str) -> str:
        ending = self.session.ending
        assert ending is not None
        linger = f" linger={ending.linger}" if "linger=" in wanted else ""
        return f"{ending.close.value}{' cut' if ending.cut else ''}{linger}"

    def _answers(self, asked: str) -> str:
        names = [word.partition("=")[0] for word in asked.split()]
        return " ".join(f"{name}={_value(self._attribute(name))}" for name in names)

    def _attribute(self, name: str) -> object:
        if name in ("waiting", "opaque", "over", "window", "progress"):
            value: object = getattr(self.session, name)
            return value
        value = getattr(self.session.ended(), name)
        return value


def _value(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case bytes():
            return shown(value)
        case dict():
            return ",".join(f"{_value(key)}:{_value(item)}" for key, item in value.items()) or "none"
        case tuple():
            return "/".join(_value(item) for item in value)
        case _:
            return str(getattr(value, "value", value))


def _event(event: Event, wanted: str) -> str:
    """Show an event: `SG102 refuse [consequence]`, or its class; then the fields that the wanted line names."""
    assert "SECRET" not in repr(event), f"a credential in an event: {event}"
    if isinstance(event, Finding):
        head = f"{event.rule.id} {event.verdict.value}{' consequence' if event.consequence else ''}"
    else:
        head = type(event).__name__ + (f" {event.setting}" if isinstance(event, Declined) else "")
    names = re.findall(r"(?:^| )(\w+)=", wanted.partition(" line=")[0]) + (["line"] if " line=" in wanted else [])
    return " ".join([head, *(f"{name}={_field(event, name)}" for name in names)])


def _field(event: Event, name: str) -> str:
    value = getattr(event, name)
    if name == "previous":
        return f"{value.verb.value}:{value.code}" if value else "none"
    if name == "answer":
        return str(value.code) if value else "none"
    return _value(value)


def play(
    transcript: str,
    policy: Policy | Profile = Profile.STANDARD,
    *,
    observing: bool = False,
    cut: int = 0,
    tls: bool = False,
    pipeconnect: bool = False,
) -> Session:
    """Play a transcript and return its session.

    Args:
        transcript: see the module's page.
        policy: a policy, or the profile to make one from.
        observing: mode observe, where `policy` is a profile.
        cut: octets of one piece; 0 leaves segments whole.
        tls: TLS is up from the start.
        pipeconnect: UPSTREAM is known to offer PIPECONNECT.

    Raises:
        AssertionError: something else came; its text is a diff.
    """
    __tracebackhide__ = True
    chosen = policy_for(policy, observing=observing) if isinstance(policy, Profile) else policy
    stage = _Stage(Session(chosen, session_id=SESSION_ID, pipeconnect=pipeconnect, tls=tls), cut)
    before: list[str] = []
    for step in parse(transcript):
        over_before = stage.session.over
        assert not (over_before and step.mark), "\n".join([*before, f"the session was over before: {step.played()}"])
        stage.act(step)
        wanted, came = step.expected(), stage.came(step, over_before=over_before)
        if wanted != came:
            raise AssertionError("\n".join(["- expected, + came", *_tail(before, step), *difflib.ndiff(wanted, came)]))
        before += [*step.played(), *came]
    return stage.session


def _tail(before: list[str], step: Step) -> list[str]:
    left_out = max(0, len(before) - _SHOWN_BEFORE)
    told = [f"  ... {left_out} lines as expected"] if left_out else []
    return [*told, *(f"  {line}" for line in [*before[left_out:], *step.played()])]
