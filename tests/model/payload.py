"""Message content and chunks: the part of the walk where CLIENT's octets are no lines."""

from tests.model.dots import End, Sight, look
from tests.model.outcome import Found
from tests.model.tape import NEVER, Heard
from tests.model.walk import Walk
from tests.model.words import Words


class Payload(Walk):
    """Forwards what is not read as commands, and waits for what UPSTREAM makes of it."""

    def content(self, found: list[Found]) -> None:
        """Forward the content up to its end, octet by octet as the dot guard allows."""
        start, bare = self.at, False
        begun = self.now
        for time in sorted({max(begun, each) for each in self.client.times[start:]}):
            self.verdict_in_content(time if time > begun else begun + 1)
            self.now = time
            seen = self.client.octets[start : self.client.read_by(time)]
            sight = look(seen)
            # A CR is known to be bare by the octet behind it, which may be a dot that waits itself.
            if sight.bare and not bare and (sight.end is End.HIDDEN or sight.bare <= sight.forwardable):
                bare = True
                self.bare_newline(sight, start)
            if sight.end is End.HIDDEN:
                self.outcome.may = self.client.octets[self.at : start + sight.forwardable]
                self.note("SG304")
                self.close("SG304")
            self.outcome.up += self.client.octets[self.at : start + sight.forwardable]
            self.at = start + sight.forwardable
            if sight.end is End.LAWFUL:
                self.verdict(found)
                return
        self.verdict_in_content(NEVER)
        self.stop("waiting")

    def bare_newline(self, sight: Sight, start: int) -> None:
        """SG305: a bare CR or LF; where it makes a hidden end too, either rule may speak."""
        hidden = sight.end is End.HIDDEN
        self.note("SG305", sure=not hidden)
        if self.terms.verdict("SG305") != "close":
            return
        if hidden:
            self.note("SG304", sure=False)
        self.outcome.may = self.client.octets[self.at : start + min(sight.forwardable, (sight.bare or 1) - 1)]
        self.close("SG305", "SG304")

    def verdict_in_content(self, before: int) -> None:
        """A 4yz or 5yz that is whole before the content is: its verdict. Anything else is out of step."""
        self.said_unasked(before - 1, b"4", b"5")
        got = self.next_reply(before - 1)
        if got is None:
            if self.upstream.closed < before:
                self.upstream_closed(owed=True)
            return
        self.now = max(self.now, got[0])
        if got[1] is None or got[1].code < 400:
            self.out_of_step()
        self.hand(got[1])
        self.stop("verdict in content")

    def verdict(self, found: list[Found]) -> None:
        """Wait for the verdict on a whole content."""
        heard = self.reply("CONTENT")
        if any(each.rule.startswith("SG1") for each in found) and heard.code < 400:
            # DATA was accepted against the order; whether its content's 250 surprises once more is open.
            self.note("SG505", sure=False)
        self.standing.end_transaction()
        self.empty_commands = 0 if heard.code < 400 else self.empty_commands
        self.hand(heard)
        self.previous = "CONTENT"

    def chunk(self, words: Words, found: list[Found]) -> None:
        """Forward a chunk: its octets go through unread, and an early refusal is kept until they are out."""
        assert words.chunk is not None
        if not words.last:
            self.standing.open_chunking()
        end = self.at + words.chunk
        whole = max(self.now, self.client.time(end - 1) if words.chunk else self.now)
        early = self.early_refusal(whole)
        self.outcome.up += self.client.octets[self.at : end]
        self.at = end
        if whole == NEVER:
            if self.upstream.closed < NEVER and early:
                self.hand(early)
                self.stop("upstream-gone")
            if self.upstream.closed < NEVER:
                self.upstream_closed(owed=True)
            self.stop("waiting")
        if self.upstream.closed < whole:
            if early is None:
                self.upstream_closed(owed=True)
            self.hand(early)
            self.stop("upstream-gone")
        self.now = whole
        heard = early or self.reply("BDAT")
        if words.last:
            self.standing.end_transaction()
            self.empty_commands = 0 if heard.code < 400 else self.empty_commands
        if heard.code >= 400:
            self.refused(words)
        self.surprise(words, found, heard)
        self.hand(heard)

    def early_refusal(self, whole: int) -> Heard | None:
        """Return the refusal that came before the chunk was whole, if one did."""
        if whole <= self.now:
            return None
        early = self.unasked(whole - 1, b"4", b"5")
        if early < NEVER:
            self.outcome.up += self.client.octets[self.at : self.client.read_by(early)]
            self.said_unasked(early, b"4", b"5")
        got = self.next_reply(whole - 1)
        if got is None:
            return None
        if got[1] is None or got[1].code < 400 or got[1].code == 421:
            self.outcome.up += self.client.octets[self.at : self.client.read_by(got[0])]
            self.now = got[0]
            if got[1] is None or got[1].code < 400:
                self.out_of_step()
            self.hand(got[1])
            self.stop("goodbye")
        self.heard_to += len(got[1].octets)
        if self.upstream.time(self.heard_to) < whole:
            self.stop("undecided")
        return got[1]
