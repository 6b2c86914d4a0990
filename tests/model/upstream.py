"""A made-up MTA: reads octets, keeps what it accepted, and says what its whims make it say.

It frames as a real one does, by its own reading alone: lines end at LF, content where `ends` says, a chunk by its
count, and a chunk whose BDAT it refused as unknown is read as *commands*, as eight of the fifteen servers of
notes/oracle.md do. So when the guard's view of the stream parts from UPSTREAM's, it shows: as a message nobody sent,
or as a reply nobody asked for.

A whim is one small number per decision; 0 is the obedient one, and a list that has run out says 0 for ever.
"""

import re
from dataclasses import dataclass, field

OBEY, REFUSE, TRY_LATER, MANY_LINES, NOT_KNOWN, BAD_SEQUENCE = range(6)
GOODBYE, WRONG_CLASS, TWICE, HANG_UP, FROM_NOWHERE = range(6, 11)
MANNERLY = (OBEY, OBEY, OBEY, OBEY, REFUSE, TRY_LATER, MANY_LINES, NOT_KNOWN, BAD_SEQUENCE)
"""Whims of an MTA that keeps to RFC 5321."""
RUDE = (*MANNERLY, GOODBYE, WRONG_CLASS, TWICE, HANG_UP, FROM_NOWHERE)

GENEROUS_END = re.compile(rb"(?:\r\n|[\r\n])\0*\.[\0\r]*[\r\n]")
"""Every end of content that some server takes; a lawful one among them."""


@dataclass
class Message:
    """One accepted message."""

    envelope: list[bytes]
    content: bytes


@dataclass(frozen=True)
class Manner:
    """What kind of MTA it is."""

    keywords: tuple[str, ...] = ("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME", "STARTTLS", "AUTH PLAIN LOGIN")
    whims: tuple[int, ...] = ()
    permissive: bool = False
    """Takes commands out of order, as some real ones do."""
    generous: bool = False
    """Ends content at everything that some reader takes for an end."""


@dataclass
class FakeUpstream:
    """The state of one made-up MTA in one session."""

    manner: Manner = field(default_factory=Manner)
    heard: bytes = b""
    """Every octet that ever came."""
    closed: bool = False
    accepted: list[Message] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    """Every line that was read as a command or as a response."""
    drawn: int = 0
    unread: bytes = b""
    mode: str = "command"
    hello: bool = False
    extended: bool = False
    envelope: list[bytes] = field(default_factory=list)
    chunked: bytes | None = None
    content: bytes = b""
    chunk_left: int = 0
    chunk_last: bool = False
    chunk_refused: bytes = b""
    greeting_refused: bool = False

    def whim(self) -> int:
        """Draw the next decision."""
        whims = self.manner.whims
        self.drawn += 1
        return whims[self.drawn - 1] if self.drawn <= len(whims) else OBEY

    def offers(self, keyword: str) -> bool:
        """Return whether the last EHLO offered a keyword."""
        return self.extended and any(each.split()[0] == keyword for each in self.manner.keywords)

    def greet(self) -> bytes:
        """Say the greeting."""
        whim = self.whim()
        if whim in (REFUSE, BAD_SEQUENCE):
            self.greeting_refused = True
            return b"554 no service\r\n"
        return self.say(whim, b"220", b"mx.example ESMTP")

    def say(self, whim: int, code: bytes, text: bytes = b"ok") -> bytes:
        """Turn a positive reply into what the whim makes of it."""
        plain = code + b" " + text + b"\r\n"
        if whim in (GOODBYE, HANG_UP):
            self.closed = True
        return {
            REFUSE: b"550 5.7.1 no\r\n",
            TRY_LATER: b"451 4.3.0 later\r\n",
            MANY_LINES: code + b"-one\r\n" + code + b"-\r\n" + plain,
            NOT_KNOWN: b"502 unknown\r\n",
            BAD_SEQUENCE: b"503 sequence\r\n",
            GOODBYE: b"421 bye\r\n",
            WRONG_CLASS: (b"250" if code[:1] == b"3" else b"354") + b" what\r\n",
            TWICE: plain + plain,
            HANG_UP: b"",
            FROM_NOWHERE: plain + b"421 enough\r\n",
        }.get(whim, plain)

    def receive(self, octets: bytes) -> bytes:
        """Read `octets` and return what is said to them."""
        if self.closed:
            return b""
        self.heard += octets
        self.unread += octets
        said = b""
        while not self.closed:
            before = (self.unread, self.mode)
            said += self.step()
            if before == (self.unread, self.mode):
                break
        return said

    def step(self) -> bytes:
        """Read one line, one content or one chunk, if it is whole."""
        if self.mode == "tls":
            self.unread = b""
            return b""
        if self.mode == "content":
            return self.read_content()
        if self.mode == "chunk":
            return self.read_chunk()
        line, newline, rest = self.unread.partition(b"\n")
        if not newline:
            return b""
        self.unread = rest
        self.lines.append(line + newline)
        return self.login(line.strip()) if self.mode == "login" else self.command(line.strip(b" \t\r"))

    def read_content(self) -> bytes:
        """Look for the end of content."""
        seen = b"\r\n" + self.unread
        if self.manner.generous:
            found = GENEROUS_END.search(seen)
            # CR alone may be half of CRLF.
            if not found or (found.end() == len(seen) and found[0].endswith(b"\r")):
                return b""
            stop = found.end() + (found[0].endswith(b"\r") and seen[found.end() : found.end() + 1] == b"\n")
        else:
            stop = seen.find(b"\r\n.\r\n") + 5
            if stop < 5:
                return b""
        self.content, self.unread, self.mode = seen[2:stop], seen[stop:], "command"
        return self.deliver(self.content)

    def deliver(self, content: bytes) -> bytes:
        """Accept or refuse a whole message."""
        whim = self.whim()
        if whim not in (REFUSE, TRY_LATER, NOT_KNOWN, BAD_SEQUENCE, GOODBYE, HANG_UP, WRONG_CLASS):
            self.accepted.append(Message(self.envelope, content))
        self.envelope, self.chunked = [], None
        return self.say(whim, b"250", b"queued")

    def read_chunk(self) -> bytes:
        """Count the octets of a chunk."""
        taken = self.unread[: self.chunk_left]
        self.unread = self.unread[len(taken) :]
        self.chunk_left -= len(taken)
        if self.chunked is not None:
            self.chunked += taken
        if self.chunk_left:
            return b""
        self.mode = "command"
        if self.chunk_refused:
            self.envelope = [] if self.chunk_last else self.envelope
            self.chunked = None if self.chunk_last else self.chunked
            return b"" if self.chunk_refused == b"said" else self.chunk_refused
        return self.deliver(self.chunked or b"") if self.chunk_last else self.say(self.whim(), b"250")

    def command(self, line: bytes) -> bytes:
        """Obey one command line."""
        verb, _, argument = line.replace(b"\t", b" ").partition(b" ")
        word = verb.upper().decode("latin-1")
        if self.greeting_refused and word != "QUIT" and not self.manner.permissive:
            return b"503 no service\r\n"
        name = {"X-EXPS": "AUTH", "X-ANONYMOUSTLS": "STARTTLS"}.get(word, word)
        return (
            getattr(self, "do_" + name.lower(), self.do_unknown)(argument) if name.isalpha() else self.do_unknown(b"")
        )

    def wrong(self, in_order: bool) -> bytes:
        """Return 503 for what is out of order, unless it is a permissive MTA."""
        return b"" if in_order or self.manner.permissive else b"503 5.5.1 bad sequence\r\n"

    def do_unknown(self, _: bytes) -> bytes:
        """Any other word."""
        whim = self.whim()
        return (
            b"250 as you like\r\n"
            if whim == MANY_LINES
            else b"500 unknown\r\n"
            if whim != WRONG_CLASS
            else b"354 ?\r\n"
        )

    def do_ehlo(self, _: bytes) -> bytes:
        """Offer the keywords."""
        reply = self.say(self.whim(), b"250", b"mx.example")
        if reply[:1] != b"2":
            return reply
        self.hello = self.extended = True
        self.envelope, self.chunked = [], None
        lines = [b"mx.example greets you", *(each.encode() for each in self.manner.keywords)]
        said = b"".join(b"250-" + each + b"\r\n" for each in lines[:-1]) + b"250 " + lines[-1] + b"\r\n"
        return said + (
            b"421 enough\r\n" if b"421" in reply else b"250 twice\r\n" if reply.count(b"250 mx") == 2 else b""
        )

    def do_helo(self, _: bytes) -> bytes:
        """Greet without keywords."""
        reply = self.say(self.whim(), b"250", b"mx.example")
        if reply[:1] == b"2":
            self.hello, self.extended = True, False
            self.envelope, self.chunked = [], None
        return reply

    def do_mail(self, argument: bytes) -> bytes:
        """Open a transaction."""
        reply = self.wrong(self.hello and not self.envelope) or self.say(self.whim(), b"250")
        if reply[:1] == b"2":
            self.envelope, self.chunked = [argument], None
        return reply

    def do_rcpt(self, argument: bytes) -> bytes:
        """Add a recipient."""
        reply = self.wrong(bool(self.envelope) and self.chunked is None) or self.say(self.whim(), b"250")
        if reply[:1] == b"2":
            self.envelope = [*(self.envelope or [b""]), argument]
        return reply

    def do_data(self, _: bytes) -> bytes:
        """Ask for the content."""
        reply = self.wrong(len(self.envelope) > 1 and self.chunked is None) or self.say(self.whim(), b"354", b"go")
        if reply[:3] == b"354":
            self.mode = "content"
        return reply

    def do_bdat(self, argument: bytes) -> bytes:
        """Take a chunk; where CHUNKING was not offered its payload is commands."""
        words = argument.split()
        if not self.offers("CHUNKING"):
            return b"502 unknown\r\n"
        self.chunk_left, self.chunk_last = int(words[0]), len(words) > 1
        self.mode, self.chunk_refused = "chunk", self.wrong(len(self.envelope) > 1)
        whim = self.whim()
        if not self.chunk_refused and whim in (REFUSE, NOT_KNOWN):
            self.chunk_refused = self.say(whim, b"250")
        if not self.chunk_refused and self.chunked is None:
            self.chunked = b""
        if self.chunk_refused and whim in (NOT_KNOWN, MANY_LINES):
            early, self.chunk_refused = self.chunk_refused, b"said"
            return early
        return b"250 before its time\r\n" if whim == WRONG_CLASS else b""

    def do_burl(self, argument: bytes) -> bytes:
        """Take content from elsewhere."""
        reply = self.wrong(len(self.envelope) > 1)
        self.chunked = self.chunked or b""
        if argument.upper().split()[-1:] == [b"LAST"]:
            if reply:
                self.envelope, self.chunked = [], None
            return reply or self.deliver(b"(burl)")
        return reply or self.say(self.whim(), b"250")

    def do_rset(self, _: bytes) -> bytes:
        """Forget the transaction."""
        reply = self.say(self.whim(), b"250")
        if reply[:1] == b"2":
            self.envelope, self.chunked = [], None
        return reply

    def do_noop(self, _: bytes) -> bytes:
        """Do nothing."""
        return self.say(self.whim(), b"250")

    do_vrfy = do_expn = do_help = do_etrn = do_noop

    def do_quit(self, _: bytes) -> bytes:
        """Say goodbye."""
        reply = self.say(self.whim(), b"221", b"bye")
        self.closed = self.closed or reply[:1] == b"2"
        return reply

    def do_starttls(self, _: bytes) -> bytes:
        """Get ready for TLS."""
        reply = self.say(self.whim(), b"220", b"ready")
        if reply.endswith(b"220 ready\r\n"):
            self.mode = "tls"
        return reply

    def do_auth(self, argument: bytes) -> bytes:
        """Begin an exchange, or end it at once with an initial response."""
        if len(argument.split()) < 2:
            reply = self.say(self.whim(), b"334", b"VXNlcm5hbWU6")
            self.mode = "login" if reply[:3] == b"334" else "command"
            return reply
        return self.say(self.whim(), b"235")

    def login(self, line: bytes) -> bytes:
        """Take one response."""
        whim = self.whim()
        if line == b"*":
            self.mode = "command"
            return b"501 cancelled\r\n"
        if whim == MANY_LINES:
            return b"334 \r\n"
        self.mode = "command"
        return self.say(whim, b"235")
