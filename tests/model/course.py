"""The course of a session, verb by verb: the half of the walk that knows what a line leads to."""

from dataclasses import replace

from tests.model.outcome import Found, Outcome, Stop, Terms
from tests.model.payload import Payload
from tests.model.tape import NEVER, Heard, Step
from tests.model.walk import ends_message
from tests.model.words import LONGEST_LOGIN, Words, longest, read, visible

TOGETHER = 64
"""RCPTs in flight."""
SWALLOWED = 16 * 1024 * 1024
PROXY_HEADER = b"\r\n\r\n\0\r\nQUIT\n"
"""The first octets of version 2 of the PROXY protocol."""
EMPTY_VERBS = "NOOP RSET HELP VRFY UNKNOWN".split()


class Course(Payload):
    """Reads lines, judges them, and follows each to its reply."""

    def run(self) -> Outcome:
        """Walk to the end of the tapes or of the session."""
        try:
            self.greeting()
            while True:
                self.command()
        except Stop:
            return self.outcome

    def greeting(self) -> None:
        """All input is held until the greeting is handed on; SG201 is judged then."""
        if self.next_reply(NEVER) is None and self.upstream.closed < NEVER:
            # SG501 or SG503: rules.md does not say which one a close before the greeting is.
            self.stop("undecided")
        got = self.next_reply(NEVER)
        if got and got[1] and self.client.read_by(got[0]) and got[1].code == 421:
            # An early talker at a 421: whether SG201 speaks or UPSTREAM does is open.
            self.stop("undecided")
        heard = self.reply("GREETING")
        if self.client.read_by(self.now) and not self.pipeconnect:
            self.note("SG201")
            if self.terms.verdict("SG201") == "close":
                self.close("SG201")
        self.standing.greeting_refused = heard.code >= 400
        self.hand(heard)

    def line(self, limit: int) -> bytes | None:
        """Wait for CLIENT's next line; None if it is longer than `limit`."""
        end = self.client.octets.find(b"\n", self.at)
        if end < 0 or end + 1 - self.at > limit:
            self.wait_for(self.at + limit - 1)
            return None
        self.wait_for(end)
        line = self.client.octets[self.at : end + 1]
        self.at = end + 1
        return line

    def ahead(self, start: int) -> bool:
        """Return whether octet `start` of CLIENT was read before the reply to the command before it was given out."""
        return bool(self.flight) or self.client.time(start) <= self.told_at

    def command(self) -> None:
        """Read one line and do with it what policy says."""
        start = self.at
        if len(self.client.octets) > 2 and PROXY_HEADER.startswith(self.client.octets):
            # The head of a PROXY v2 header, or empty lines: how long one may wait to tell is open.
            self.stop("undecided")
        line = self.line(longest(self.client.octets[start:]))
        if line is None:
            self.drain()
            self.late_content(b"")
            self.note("SG303")
            self.close("SG303")
        words = read(line)
        if self.joins(words, start):
            return
        self.drain()
        self.late_content(line)
        ahead = self.ahead(start)
        found = self.judge(words, ahead=ahead)
        self.behind_starttls(words, found)
        self.act(line, words, found)

    def judge(self, words: Words, *, ahead: bool) -> list[Found]:
        """Record what one line breaks."""
        self.regroup(words, ahead=ahead)
        silent = self.pipeconnect and words.verb in ("EHLO", "MAIL", "RCPT")
        found = self.findings(words, ahead=ahead, silent=silent)
        self.outcome.found += [each for each in found if each.verdict != "off"]
        return found

    def joins(self, words: Words, start: int) -> bool:
        """Forward a RCPT beside others in flight, if none of them decides it and none of us has an answer."""
        standing = self.standing
        fits = words.verb == "RCPT" and standing.transaction and not standing.chunking
        fits = fits and not any(self.terms.verdict(rule) == "refuse" for rule in self.stray(words))
        if not fits or "PIPELINING" not in standing.keywords or words.control:
            return False
        if words.bare and self.terms.verdict("SG301") == "refuse":
            return False
        while len(self.flight) >= TOGETHER:
            self.settle()
        found = self.judge(words, ahead=self.ahead(start))
        self.outcome.up += self.client.octets[start : self.at]
        self.flight.append((words, found))
        self.previous = "RCPT"
        return True

    def late_content(self, line: bytes) -> None:
        """SG204: behind a refused DATA only a verb of the vocabulary may follow."""
        if not self.data_refused:
            return
        self.data_refused = False
        if not line:
            # Too long a line behind a refused DATA: SG303 or SG204, both close.
            self.note("SG204", verdict="close", sure=False)
            self.note("SG303", sure=False)
            self.close("SG204", "SG303")
        words = read(line)
        if words.verb == "UNKNOWN" and words.control and read(visible(line)).verb != "UNKNOWN":
            # A verb with a control octet at it: SG204 or SG302, and only one of them closes.
            self.stop("undecided")
        if words.verb == "UNKNOWN":
            self.note("SG204", verdict="close")
            for each in self.findings(words, ahead=False, silent=False):
                self.note(each.rule, sure=False)
            self.close("SG204")

    def behind_starttls(self, words: Words, found: list[Found]) -> None:
        """SG205: nothing may stand behind STARTTLS when it is judged."""
        if words.verb == "STARTTLS" and self.client.read_by(self.now) > self.at:
            self.note("SG205")
            self.answer("SG205", *(each.rule for each in found if each.verdict == "close"))
            self.stop("violation")

    def act(self, line: bytes, words: Words, found: list[Found]) -> None:
        """Close, refuse or forward."""
        verdict, codes = self.ruling(found)
        self.previous = words.verb
        if verdict == "close":
            self.answer(codes=codes)
            self.stop("violation")
        if words.verb in EMPTY_VERBS:
            self.empty_commands += 1
            if self.empty_commands > self.terms.empty_commands:
                if verdict == "refuse":
                    # Refused and one too many: SG601, SG602 or the rule itself may speak.
                    self.stop("undecided")
                # Whether a line that is one too many is blamed for its own faults as well is open.
                kept = [each for each in self.outcome.found if not any(each is one for one in found)]
                self.outcome.found = [*kept, *(replace(each, sure=False) for each in found)]
                self.note("SG602")
                self.close("SG602")
        if verdict == "refuse":
            self.refuse(words, found, codes)
        else:
            self.forward(line, words, found)
        if ends_message(words):
            self.end_group()

    def refuse(self, words: Words, found: list[Found], codes: tuple[tuple[int, str], ...]) -> None:
        """Answer in UPSTREAM's place; a refused chunk is swallowed first."""
        # The limit first: where the session ends, nothing need be swallowed.
        refusing = [each.consequence for each in found if each.verdict == "refuse"]
        self.violations += not all(refusing)
        # A line that is refused for a consequence and for a violation: whether it counts is open.
        self.doubtful_violations += any(refusing) and not all(refusing)
        if self.violations > self.terms.violations >= self.violations - self.doubtful_violations:
            self.stop("undecided")
        if self.violations > self.terms.violations:
            self.note("SG601")
            self.close("SG601")
        if words.chunk:
            if words.chunk > SWALLOWED:
                self.answer(codes=codes)
                self.stop("violation")
            self.at += words.chunk
            self.wait_for(self.at - 1)
        self.answer(codes=codes)
        self.refused(words)
        if words.verb == "DATA":
            self.untrusted()

    def untrusted(self) -> None:
        """A DATA was refused, by whomever: what lies behind it already is content (design rule 6)."""
        if self.client.read_by(self.now) > self.at:
            self.note("SG204", verdict="close")
            self.close("SG204")
        self.data_refused = True

    def forward(self, line: bytes, words: Words, found: list[Found]) -> None:
        """Give a line to UPSTREAM and follow it to its last reply."""
        self.outcome.up += line
        if words.verb == "BDAT":
            self.chunk(words, found)
            return
        if words.verb == "STARTTLS":
            self.starttls(words, found)
            return
        if words.verb == "BURL" and not words.last:
            self.standing.open_chunking()
        heard = self.reply(words.verb)
        if heard.code == 354:
            self.sent_before_354(words, found, heard)
        self.replied(words, found, heard)
        if words.verb == "DATA":
            self.content(found) if heard.code == 354 else self.untrusted()
        if words.verb == "QUIT" and heard.code < 400:
            if self.client.read_by(self.now) > self.at:
                self.note("SG206")
            self.stop("quit")
        if words.verb == "AUTH":
            self.login(heard)

    def login(self, heard: Heard) -> None:
        """Follow an AUTH exchange: every line behind 334 is CLIENT's response, and the first other reply ends it."""
        while heard.code == 334:
            start = self.at
            line = self.line(LONGEST_LOGIN)
            if line is None:
                self.note("SG303")
                self.close("SG303")
            self.advance(self.now)
            words = read(line)
            wrong = [("SG302", control(line)), ("SG301", words.bare)]
            if self.previous == "AUTH" and self.ahead(start):
                wrong.append(("SG203", True))
            broken = [rule for rule, is_so in wrong if is_so]
            refused = [rule for rule in broken if self.terms.verdict(rule) in ("refuse", "close")]
            for rule in broken:
                self.note(rule, verdict="close" if rule in refused else "")
            if refused:
                self.close(refused[0])
            self.outcome.up += line
            self.previous = "SASL"
            heard = self.reply("SASL")
            self.hand(heard)
        self.standing.authenticated |= heard.code == 235

    def starttls(self, words: Words, found: list[Found]) -> None:
        """Wait for UPSTREAM's 220 with nothing of CLIENT behind STARTTLS; then CLIENT's first octet decides."""
        got = self.next_reply(NEVER)
        spoke = self.client.time(self.at)
        if spoke < min(got[0] if got else NEVER, self.upstream.closed):
            self.now = spoke
            self.note("SG205")
            self.close("SG205")
        heard = self.reply("STARTTLS")
        self.replied(words, found, heard)
        if heard.code >= 400:
            return
        if self.upstream.time(self.heard_to) < self.client.time(self.at):
            # Design rule 15: "UPSTREAM octets between its 220 and that are out of step", a 421 too.
            self.out_of_step()
        self.wait_for(self.at)
        if self.client.octets[self.at] != 0x16:
            self.note("SG205")
            self.close("SG205")
        self.outcome.up += self.client.octets[self.at :]
        self.hand(Heard(self.upstream.octets[self.heard_to :], 0, ()))
        self.stop("waiting" if self.upstream.closed == NEVER else "upstream-gone")

    def sent_before_354(self, words: Words, found: list[Found], heard: Heard) -> None:
        """SG204: content that is here already; where that closes, CLIENT hears 554 and no 354."""
        if self.client.read_by(self.now) > self.at:
            self.note("SG204")
            if self.terms.verdict("SG204") == "close":
                self.surprise(words, found, heard)
                self.close("SG204")


def control(line: bytes) -> bool:
    """Return whether a control octet stands in a line, its line end aside."""
    return read(b"X" + line).control


def play(steps: list[Step], terms: Terms, *, tls: bool = False, pipeconnect: bool = False) -> Outcome:
    """Return what must come of a session, given every read of it in order."""
    return Course(steps, terms, tls=tls, pipeconnect=pipeconnect).run()
