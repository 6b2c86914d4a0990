"""Plays a client and a made-up MTA against one engine, and keeps the schedule of what was read when.

Nothing here knows SMTP beyond the first digits of a reply. The engine is used by its door only.
"""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import FunctionType, ModuleType

from smtpguard.smtp import Event, Finding, Output, Policy, Session, Side
from smtpguard.smtp.transcript import Ring
from tests.model import CLIENT, UPSTREAM, FakeUpstream, Found, Outcome, Step, Terms, Told, play
from tests.properties.scripts import Unit

SESSION_ID = "0123456789AB"
NOTES_KEPT = 20
"""Notes and consequences of one rule that are recorded in a session one by one."""
HELD = 64 * 1024
"""Octets that may be held (design rule 17)."""


@dataclass
class Play:
    """One session under way."""

    policy: Policy
    upstream: FakeUpstream
    steps: list[Step] = field(default_factory=list)
    up: bytes = b""
    down: bytes = b""
    events: list[Event] = field(default_factory=list)
    unheard: bytes = b""
    """What UPSTREAM said and the engine has not read."""
    hung_up: bool = False

    def __post_init__(self) -> None:
        self.session = Session(self.policy, session_id=SESSION_ID)
        self.unheard = self.upstream.greet()

    @property
    def findings(self) -> list[Finding]:
        """The findings so far."""
        return [event for event in self.events if isinstance(event, Finding)]

    def take(self, out: Output) -> None:
        """Carry what the engine gave out."""
        up = b"".join(bytes(each) for each in out.up)
        self.up += up
        self.down += b"".join(bytes(each) for each in out.down)
        self.events += out.events
        self.unheard += self.upstream.receive(up)
        assert self.session.window >= 0

    def client_says(self, octets: bytes) -> int:
        """Let the engine read from CLIENT as far as its window goes; return how many octets that was."""
        if self.session.over:
            return len(octets)
        octets = octets[: self.session.window]
        if octets:
            self.steps.append(Step(CLIENT, octets))
            self.take(self.session.receive(Side.CLIENT, octets))
        return len(octets)

    def upstream_says(self, count: int) -> bool:
        """Let the engine read at most `count` octets of UPSTREAM, or its close; return whether there was either."""
        if self.session.over:
            return False
        octets, self.unheard = self.unheard[:count], self.unheard[count:]
        if octets:
            self.steps.append(Step(UPSTREAM, octets))
            self.take(self.session.receive(Side.UPSTREAM, octets))
            return True
        if self.upstream.closed and not self.hung_up:
            self.hung_up = True
            self.steps.append(Step(UPSTREAM, b""))
            self.take(self.session.receive_eof(Side.UPSTREAM))
            return True
        return False

    def stream(self, octets: bytes, schedule: Sequence[int], *, client_first: bool) -> None:
        """Interleave `octets` with what UPSTREAM says, as `schedule` has it and then as fast as it goes."""
        for size in schedule:
            if size >= 0:
                octets = octets[self.client_says(octets[: size or len(octets)]) :]
            else:
                self.upstream_says(-size)
        while not self.session.over:
            said = 0 if not client_first else self.client_says(octets)
            if said == 0 and not self.upstream_says(HELD):
                said = self.client_says(octets)
                if said == 0:
                    break
            octets = octets[said:]
        self.left = octets

    def lock_step(self, script: Sequence[Unit], sizes: Iterator[int]) -> None:
        """Say one unit at a time and hear every reply to it, all in pieces of `sizes` octets."""
        while self.upstream_says(next(sizes)):
            pass
        for one in script:
            if one.only_after and self.last_code() != one.only_after:
                continue
            octets = one.octets
            while octets and not self.session.over:
                said = self.client_says(octets[: next(sizes)])
                assert said or self.unheard, "the engine reads nothing and waits for nobody"
                octets = octets[said:]
                while octets and not said and self.upstream_says(next(sizes)):
                    pass
            while self.upstream_says(next(sizes)):
                pass

    def last_code(self) -> int:
        """Return the code that CLIENT heard last."""
        lines = self.down.split(b"\r\n")
        return int(lines[-2][:3]) if len(lines) > 1 else 0

    def model(self, terms: Terms) -> Outcome:
        """Ask the model what must have come of these steps."""
        return play(self.steps, terms)


def pieces(sizes: Sequence[int]) -> Iterator[int]:
    """Give the sizes again and again; 1 MiB where there is none."""
    while True:
        yield from sizes or [1 << 20]


def quarrel(told: Play, wanted: Outcome) -> str:
    """Return where the engine and the model part; empty where they agree."""
    if wanted.stop == "undecided":
        # Only what was certain before: neither less nor, for what UPSTREAM got, anything else.
        return "" if told.up[: len(wanted.up)] == wanted.up[: len(told.up)] else f"up: {told.up!r} != {wanted.up!r}"
    extra = told.up[len(wanted.up) :]
    if told.up[: len(wanted.up)] != wanted.up or not wanted.may.startswith(extra):
        return f"up: {told.up!r}, wanted {wanted.up!r} and at most {wanted.may!r}"
    words = hears(told.down, wanted.down)
    if words:
        return words
    if wanted.over != told.session.over:
        return f"over: {told.session.over}, wanted {wanted.stop}"
    return finds(told.findings, wanted.found)


def hears(down: bytes, wanted: Sequence[Told]) -> str:
    """Compare what CLIENT heard with what it must hear."""
    rest = down
    for number, one in enumerate(wanted):
        if one.octets:
            if not rest.startswith(one.octets):
                return f"down: reply {number} is {rest[:80]!r}, wanted {one.octets!r}"
            rest = rest[len(one.octets) :]
        elif not one.codes:
            continue
        else:
            line, _, rest = rest.partition(b"\r\n")
            if not any(line.startswith(b"%d %s " % (code, enhanced.encode())) for code, enhanced in one.codes):
                return f"down: reply {number} is {line!r}, wanted one of {one.codes}"
    return f"down: nobody asked for {rest!r}" if rest else ""


def finds(findings: Sequence[Finding], wanted: Sequence[Found]) -> str:
    """Compare the findings, as bags."""
    left = [(each.rule.id, each.verdict.value, each.consequence) for each in findings]
    shown = f"{left}, wanted {[(each.rule, each.verdict, each.consequence, each.sure) for each in wanted]}"
    for each in sorted(wanted, key=lambda one: (not one.sure, one.consequence is None)):
        fits = [one for one in left if one[:2] == (each.rule, each.verdict) and each.consequence in (None, one[2])]
        if fits:
            left.remove(fits[0])
        elif each.sure and not spared(findings, each.rule):
            return f"found: {each.rule} is missing in {shown}"
    return f"found: {left} too much in {shown}" if left else ""


def spared(findings: Sequence[Finding], rule: str) -> bool:
    """Return whether so many notes and consequences of `rule` were recorded that further ones need not be."""
    noted = [each for each in findings if each.rule.id == rule and (each.consequence or each.verdict.value == "note")]
    return len(noted) == NOTES_KEPT


def retained(session: Session) -> int:
    """Return how many octets of wire text the session keeps alive, found by walking what it refers to.

    The ring of the transcript aside: it has a bound of its own, see tests/smtp/test_transcript.py.
    """
    seen: set[int] = set()
    todo: list[object] = [session]
    octets = 0
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, (type, ModuleType, FunctionType, Policy, Ring)):
            continue
        seen.add(id(one))
        octets += len(one) if isinstance(one, (bytes, bytearray)) else 0
        todo += gc.get_referents(one)
    return octets
