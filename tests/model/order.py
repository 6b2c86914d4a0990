"""The order of commands, from rules.md: what a line breaks, and what UPSTREAM's reply makes of the session.

State is kept as six plain facts. There are no tables here on purpose: the program has tables, and two sets of tables
copied from each other would share their mistakes.
"""

from dataclasses import dataclass, field

from tests.model.tape import Heard
from tests.model.words import Words, upper

ENDS_GROUP = ("EHLO", "HELO", "VRFY", "EXPN", "NOOP", "AUTH")
"""SG203: verbs with nothing lawful behind them."""


@dataclass
class Standing:
    """Where the session stands after the last reply."""

    greeting_refused: bool = False
    hello: bool = False
    esmtp: bool = False
    keywords: list[str] = field(default_factory=list)
    tls: bool = False
    authenticated: bool = False
    transaction: bool = False
    recipients: bool = False
    chunking: bool = False
    binarymime: bool = False

    def end_transaction(self) -> None:
        """Forget the envelope; a refused greeting too, where UPSTREAM went on in spite of it (design rule 3)."""
        self.greeting_refused = False
        self.transaction = self.recipients = self.chunking = self.binarymime = False

    def open_chunking(self) -> None:
        """A first BDAT or BURL without LAST was forwarded: whatever its answer (design rule 2)."""
        self.greeting_refused = False
        self.transaction = self.chunking = True


def broken(now: Standing, words: Words) -> list[str]:
    """Return the ids of the order rules that a line breaks, given every reply before it."""
    if now.greeting_refused:
        return refused_greeting(now, words)
    verb = words.verb
    rules = []
    if verb == "MAIL":
        if now.chunking:
            rules.append("SG106")
        elif now.transaction:
            rules.append("SG105")
        elif not now.hello:
            rules.append("SG101")
    if verb == "RCPT":
        if now.chunking:
            rules.append("SG106")
        elif not now.transaction:
            rules.append("SG102")
    if verb in ("DATA", "BDAT", "BURL"):
        if now.chunking:
            rules += ["SG106"] if verb == "DATA" else []
        elif not now.transaction:
            rules.append("SG103")
        elif not now.recipients:
            rules.append("SG104")
        if verb == "DATA" and now.binarymime:
            rules.append("SG108")
        if verb == "BDAT" and "CHUNKING" not in now.keywords:
            rules.append("SG107")
    if verb == "ETRN" and now.transaction:
        rules.append("SG116")
    if verb == "AUTH":
        rules += ["SG111"] if now.transaction else []
        rules += ["SG112"] if now.authenticated else []
        rules += [] if now.esmtp else ["SG113"]
    if verb == "STARTTLS":
        rules += ["SG110"] if now.transaction else []
        rules += ["SG109"] if now.tls else []
        rules += [] if now.esmtp else ["SG114"]
    return rules


def refused_greeting(now: Standing, words: Words) -> list[str]:
    """Return what a line breaks behind a 4yz or 5yz greeting: whatever needs no transaction stays broken as well."""
    if words.verb == "QUIT":
        return []
    rules = ["SG115"]
    if words.verb == "BDAT" and "CHUNKING" not in now.keywords:
        rules.append("SG107")
    if words.verb == "AUTH":
        rules += ["SG113"]
    if words.verb == "STARTTLS":
        rules += ["SG114"]
    return rules


def right_class(verb: str, code: int) -> bool:
    """Design rule 16: whether a reply of this code can answer this verb at all."""
    if 400 <= code <= 599:
        return True
    if verb == "DATA":
        return code == 354
    if verb in ("AUTH", "SASL"):
        return code in (235, 334)
    if verb in ("STARTTLS", "GREETING"):
        return code == 220
    if verb == "UNKNOWN":
        return 200 <= code <= 299 and code != 220
    return 200 <= code <= 299


def keywords_of(heard: Heard) -> list[str]:
    """Return the extension keywords of an EHLO reply: the first word of every line but the first, in upper case."""
    return [upper(line.split(b" ")[0]) for line in heard.lines[1:] if line]


def moved(now: Standing, words: Words, heard: Heard) -> None:
    """Move on with UPSTREAM's reply to a forwarded command; 4yz and 5yz leave all as it was."""
    verb = words.verb
    if verb == "BURL" and words.last:
        now.end_transaction()
    if heard.code >= 400:
        return
    if verb in ("EHLO", "HELO", "MAIL", "RCPT"):
        now.greeting_refused = False
    if verb in ("EHLO", "HELO"):
        now.end_transaction()
        now.hello, now.esmtp = True, verb == "EHLO"
        now.keywords = keywords_of(heard) if verb == "EHLO" else []
    if verb == "RSET":
        now.end_transaction()
    if verb == "MAIL":
        now.end_transaction()
        now.transaction = True
        now.binarymime = any(upper(word) == "BODY=BINARYMIME" for word in words.arguments)
    if verb == "RCPT":
        now.transaction = now.recipients = True
