"""A slow reference of the guard: what must come of a session, given every octet of both sides and when each was read.

A walk goes through the finished session from its first line to its last, like a program that blocks: read a line,
wait for what was in flight, judge, forward, wait for the reply. It never sees "an event": it looks the times up on
the two tapes. So it shares neither structure nor tables with the engine, and it may look into the future of the tape
where that is easier.

Where design.md and rules.md leave room, the outcome says so instead of guessing: a finding is `sure` or not, an
answer of ours may have several codes, octets that may but need not be forwarded stand in `may`, and a session whose
course is not settled by the documents ends as "undecided". What is certain must then be so, and nothing else may be.
"""

from dataclasses import dataclass
from typing import NoReturn

from tests.model.book import ANSWERS, NO_VALID_RECIPIENTS, SEVERITY, rank
from tests.model.order import ENDS_GROUP, Standing, broken, moved, right_class
from tests.model.outcome import Found, Outcome, Stop, Terms, Told
from tests.model.tape import CLIENT, NEVER, UPSTREAM, Heard, Malformed, Step, Tape, first_reply
from tests.model.words import Words

SURPRISES = (500, 502, 503)
LAWFUL_VERBS = "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT".split()


@dataclass
class Group:
    """A command group (RFC 2920 §3.1), as far as blame depends on it."""

    pipelined: bool = False
    refusal: bool = False

    @property
    def excuses(self) -> bool:
        """A later command of the group is not blamed."""
        return self.pipelined and self.refusal


def ends_message(words: Words) -> bool:
    """Return whether a command group ends with this command: DATA, or the last chunk."""
    return words.verb == "DATA" or words.last


class Walk:
    """The two tapes, how far they have been read, and what came of it."""

    def __init__(self, steps: list[Step], terms: Terms, *, tls: bool = False, pipeconnect: bool = False) -> None:
        self.client, self.upstream = Tape(steps, CLIENT), Tape(steps, UPSTREAM)
        self.terms, self.pipeconnect = terms, pipeconnect
        self.at = self.heard_to = 0
        self.now = self.told_at = -1
        self.standing = Standing(tls=tls)
        self.outcome = Outcome()
        self.previous = "GREETING"
        self.flight: list[tuple[Words, list[Found]]] = []
        self.group = Group()
        self.unserved = self.astray = False
        self.violations = self.doubtful_violations = self.empty_commands = 0
        self.data_refused = False

    # -- the two tapes ----------------------------------------------------------------------------------------------

    def next_reply(self, until: int) -> tuple[int, Heard | None] | None:
        """Return when the next reply was whole, and the reply (None if malformed); None if it was not by `until`."""
        for time in sorted(set(self.upstream.times[self.heard_to :])):
            if time > until:
                return None
            try:
                heard = first_reply(self.upstream.octets[self.heard_to : self.upstream.read_by(time)])
            except Malformed:
                return time, None
            if heard:
                return time, heard
        return None

    def reply(self, verb: str) -> Heard:
        """Wait for the reply to the oldest command in flight."""
        got = self.next_reply(NEVER)
        if got is None:
            if self.upstream.closed < NEVER:
                self.upstream_closed(owed=True)
            self.stop("waiting")
        self.now = max(self.now, got[0])
        if got[1] is None:
            self.out_of_step()
        heard = got[1]
        if heard.code != 421 and not right_class(verb, heard.code):
            self.out_of_step()
        self.heard_to += len(heard.octets)
        if heard.code == 421:
            self.hand(heard)
            self.stop("goodbye")
        return heard

    def upstream_closed(self, *, owed: bool) -> NoReturn:
        """Give up: 421 where a reply was owed, silence otherwise."""
        self.now = max(self.now, self.upstream.closed)
        if owed:
            self.note("SG503")
            self.answer("SG503")
        self.stop("upstream-gone")

    def advance(self, until: int) -> None:
        """Take what UPSTREAM said up to step `until`: replies in flight, and what nobody asked for."""
        while self.flight and self.next_reply(until):
            self.settle()
        if self.flight:
            if self.upstream.closed <= min(until, NEVER - 1):
                self.upstream_closed(owed=True)
            return
        if self.upstream.time(self.heard_to) <= min(until, NEVER - 1):
            self.unsolicited(until)
        if self.upstream.closed <= min(until, NEVER - 1):
            self.upstream_closed(owed=False)

    def unsolicited(self, until: int) -> NoReturn:
        """Nothing is owed and UPSTREAM spoke: a 421 is handed on, anything else is out of step."""
        got = self.next_reply(until)
        if got is None or (got[1] and got[1].code != 421):
            self.said_unasked(until, b"421")
            self.stop("undecided")
        self.now = max(self.now, got[0])
        if got[1] and got[1].code == 421:
            self.hand(got[1])
            self.stop("goodbye")
        self.out_of_step()

    def unasked(self, until: int, *may: bytes) -> int:
        """Return the step, at most `until`, in which what UPSTREAM began to say could be none of `may`; else NEVER."""
        for time in sorted(set(self.upstream.times[self.heard_to :])):
            begun = self.upstream.octets[self.heard_to : self.upstream.read_by(time)]
            if time <= until and not any(begun.startswith(each) or each.startswith(begun) for each in may):
                return time
        return NEVER

    def said_unasked(self, until: int, *may: bytes) -> None:
        """Out of step as soon as UPSTREAM begins to say what nobody waits for."""
        time = self.unasked(until, *may)
        if time < NEVER:
            self.now = max(self.now, time)
            self.out_of_step()

    def wait_for(self, index: int) -> None:
        """Wait until octet `index` of CLIENT was read."""
        time = self.client.time(index)
        self.advance(max(time, self.now))
        if time == NEVER:
            self.stop("waiting")
        self.now = max(self.now, time)

    # -- what is given out -------------------------------------------------------------------------------------------

    def hand(self, heard: Heard) -> None:
        """CLIENT hears UPSTREAM's reply."""
        self.outcome.down.append(Told(heard.octets))
        self.told_at = self.now

    def answer(self, *rules: str, codes: tuple[tuple[int, str], ...] = ()) -> None:
        """CLIENT hears a reply of ours, that of one of `rules`."""
        self.outcome.down.append(Told(codes=codes or tuple(ANSWERS[rule] for rule in rules)))
        self.told_at = self.now

    def note(self, rule: str, *, consequence: bool | None = False, sure: bool = True, verdict: str = "") -> Found:
        """Record a finding, unless its verdict is off."""
        found = Found(rule, verdict or self.terms.verdict(rule), consequence, sure)
        if found.verdict != "off":
            self.outcome.found.append(found)
        return found

    def stop(self, how: str) -> NoReturn:
        """End the walk."""
        self.outcome.stop = how
        raise Stop

    def out_of_step(self) -> NoReturn:
        """UPSTREAM's octets and CLIENT's commands no longer belong together."""
        self.note("SG502")
        self.answer("SG502")
        self.stop("out-of-step")

    def close(self, *rules: str) -> NoReturn:
        """Answer and end the session."""
        self.answer(*rules)
        self.stop("violation")

    # -- judging --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Take the reply to the oldest RCPT in flight."""
        words, found = self.flight[0]
        heard = self.reply(words.verb)
        self.flight.pop(0)
        self.replied(words, found, heard)

    def drain(self) -> None:
        """Wait until nothing is in flight; what UPSTREAM said beyond that is out of step."""
        while self.flight:
            self.settle()
        self.advance(self.now)

    def replied(self, words: Words, found: list[Found], heard: Heard) -> None:
        """Move on with a reply, note a surprise, hand the reply on."""
        moved(self.standing, words, heard)
        if heard.code >= 400:
            self.refused(words)
        elif words.verb == "MAIL":
            self.unserved = False
        self.surprise(words, found, heard)
        self.hand(heard)

    def refused(self, words: Words) -> None:
        """A command was refused, by whomever: what that means for the rest of its group and for the next one."""
        if words.verb == "MAIL":
            self.astray, self.unserved = self.unserved, False
        if words.verb in ("MAIL", "RCPT"):
            self.group.refusal = True
        elif ends_message(words):
            self.unserved = self.group.excuses

    def surprise(self, words: Words, found: list[Found], heard: Heard) -> None:
        """SG505: UPSTREAM took what the order forbids, or says "no such command" to what is lawful."""
        order = [each for each in found if each.rule.startswith("SG1")]
        if order and heard.code < 400:
            self.note("SG505", sure=any(each.verdict != "off" for each in order))
        offered = words.verb in ("AUTH", "STARTTLS") and words.verb in self.standing.keywords
        if not order and heard.code in SURPRISES and (offered or words.verb in LAWFUL_VERBS):
            self.note("SG505", sure=not found)

    def regroup(self, words: Words, *, ahead: bool) -> None:
        """Keep the command group: it begins with MAIL, or where the one before it ended (design rule 8)."""
        if words.verb in ("MAIL", "EHLO", "HELO", "RSET", "QUIT"):
            self.end_group()
        self.group.pipelined |= ahead and "PIPELINING" in self.standing.keywords
        self.unserved &= ahead

    def end_group(self) -> None:
        """Begin a new command group."""
        self.group, self.astray = Group(), False

    def excused(self, rule: str, *, ahead: bool) -> bool:
        """Return whether a broken order rule is a consequence: CLIENT cannot have known."""
        if rule == "SG115":
            return ahead
        if rule == "SG105":
            return self.group.pipelined and self.unserved
        return rule in ("SG102", "SG103", "SG104") and self.group.excuses

    def stray(self, words: Words) -> list[str]:
        """Return what a command breaks whose own MAIL was refused, while UPSTREAM still has the transaction before it.

        Pipelined messages: the content of the first was refused here as a consequence, so its transaction is open and
        the MAIL of the second is nested. What belongs to the second must not get into the first.
        """
        if not (self.group.pipelined and self.astray) or words.verb not in ("RCPT", "DATA", "BDAT", "BURL"):
            return []
        return ["SG102" if words.verb == "RCPT" else "SG103"]

    def findings(self, words: Words, *, ahead: bool, silent: bool) -> list[Found]:
        """Judge one line: every rule it breaks, with the verdict on each."""
        first = ["SG405"] if words.verb == "FORBIDDEN" else ["SG306"] if words.malformed_chunk else []
        if words.verb != "BDAT":
            first += (["SG302"] if words.control else []) + (["SG301"] if words.bare else [])
        if ahead and self.previous not in ("GREETING", "DATA", "CONTENT", "STARTTLS", "QUIT") and not silent:
            first += [] if "PIPELINING" in self.standing.keywords else ["SG202"]
            first += ["SG203"] if self.previous in ENDS_GROUP else []
        doubtful = "SG405" in first or "SG306" in first or "SG302" in first
        found = [
            Found(rule, self.terms.verdict(rule), sure=rule in ("SG405", "SG306", "SG302") or not doubtful)
            for rule in first
        ]
        order = broken(self.standing, words) or self.stray(words)
        excuses = [self.excused(rule, ahead=ahead) for rule in order]
        for rule, excused in zip(order, excuses, strict=True):
            # What a line breaks besides is nobody's consequence, but the line may be one as a whole.
            consequence = None if any(excuses) and not excused else excused
            found.append(Found(rule, self.terms.verdict(rule), consequence, sure=not doubtful))
        return found

    def ruling(self, found: list[Found]) -> tuple[str, tuple[tuple[int, str], ...]]:
        """Return the severest verdict, and the answers that may go with it."""
        verdict = max((each.verdict for each in found), key=SEVERITY.index, default="off")
        speaking = [each for each in found if each.verdict == verdict]
        best = min((rank(each.rule) for each in speaking), default=9)
        codes: list[tuple[int, str]] = []
        for each in speaking:
            if rank(each.rule) != best:
                continue
            if each.rule == "SG104" and each.consequence is not False:
                codes.append(NO_VALID_RECIPIENTS)
            if each.rule != "SG104" or each.consequence is not True:
                codes.append(ANSWERS[each.rule])
        return verdict, tuple(codes)
