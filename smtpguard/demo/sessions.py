"""THE TABLE of the demo: a good session and six bad ones, as values.

A session is told in steps. A step is what goes out in one segment, and how many replies are waited for behind it.
`sessions(OURS)` is for the demo's own UPSTREAM; `sessions(YOURS)` for a real one, where no message may arise: there a
session that would deliver says RSET instead of DATA (RFC 5321 §4.1.1.5), and one that must send content is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Step:
    """One segment."""

    octets: bytes
    replies: int = 1
    """Replies that are waited for."""
    content: bool = False
    """Message content, which follows a DATA."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What one client does."""

    title: str
    story: str
    """One sentence: who does such a thing, or what shows in it."""
    host: int
    """The client is 127.0.0.HOST, where the guard listens on 127.0.0.1."""
    steps: tuple[Step, ...]
    rule: str = ""
    """The rule it breaks; empty for a good one."""
    left_out: str = ""
    """Why it is not played at a real server."""
    waits: bool = True
    """It reads the greeting before it speaks."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The addresses that the sessions speak of."""

    hello: str
    reverse_path: str
    forward_path: str
    """One that UPSTREAM accepts."""
    unknown: str
    """One that it refuses."""
    delivers: bool
    """Messages may be sent."""


OURS: Final = Paths("client.example", "bob@client.example", "ann@demo.example", "unknown@demo.example", delivers=True)
YOURS: Final = Paths("[127.0.0.1]", "", "postmaster", "smtpguard-demo@unknown.invalid", delivers=False)
"""Every server takes mail for <postmaster> (RFC 5321 §4.5.1); nothing is at home under .invalid (RFC 2606)."""


def say(*lines: str) -> Step:
    """Return command lines that go out in one segment, each with a reply."""
    return Step("".join(f"{line}\r\n" for line in lines).encode("latin-1"), len(lines))


def content(octets: bytes) -> Step:
    """Return message content with its end."""
    return Step(octets, content=True)


MESSAGE: Final = content(b"Subject: hello\r\n\r\nA message like any other.\r\n.\r\n")
DATA, RSET, QUIT = say("DATA"), say("RSET"), say("QUIT")


def sessions(paths: Paths) -> tuple[Session, ...]:
    """Return the good session, then the six bad ones."""
    return tuple(each if paths.delivers else harmless(each) for each in _table(paths))


def harmless(session: Session) -> Session:
    """Return the session with RSET where a message would be sent."""
    return session if session.left_out else replace(session, steps=tuple(_without_content(session.steps)))


def _without_content(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step, behind in zip(steps, (*steps[1:], None), strict=True):
        if step == DATA and behind is not None and behind.content:
            yield RSET
        elif not step.content:
            yield step


def _table(paths: Paths) -> Iterator[Session]:
    ehlo, mail = say(f"EHLO {paths.hello}"), say(f"MAIL FROM:<{paths.reverse_path}>")
    rcpt, unknown = say(f"RCPT TO:<{paths.forward_path}>"), say(f"RCPT TO:<{paths.unknown}>")
    yield Session(
        title="A good session",
        story="In order, so every octet goes through.",
        host=2,
        steps=(ehlo, mail, rcpt, DATA, MESSAGE, QUIT),
    )
    yield Session(
        title="RCPT before MAIL",
        story="The guard answers, and waits for another command: what follows in order is taken.",
        host=3,
        rule="SG102",
        steps=(ehlo, rcpt, mail, rcpt, RSET, QUIT),
    )
    yield Session(
        title="DATA although every recipient was refused",
        story="A mailer that does not read the replies to its RCPTs.",
        host=4,
        rule="SG104",
        steps=(ehlo, mail, unknown, DATA, QUIT),
    )
    yield Session(
        title="MAIL inside a transaction",
        story="A connection went back to a pool in the middle of a transaction, and nobody said RSET.",
        host=5,
        rule="SG105",
        steps=(ehlo, mail, rcpt, DATA, MESSAGE, mail, rcpt, mail, QUIT),
    )
    yield Session(
        title="MAIL without EHLO or HELO",
        story="A script, or a device whose maker read half of the RFC.",
        host=6,
        rule="SG101",
        steps=(mail, QUIT),
    )
    yield Session(
        title="A health check meant for a web server",
        story="Line by line it would be answered 500; the guard knows HTTP by its first line, and closes.",
        host=7,
        rule="SG401",
        steps=(Step(b"GET /health HTTP/1.1\r\nHost: mx.demo.example\r\n\r\n"),),
    )
    yield Session(
        title="A message smuggled in behind LF . LF",
        story="Where a server ends content at LF . LF, the rest would be a second message, with any sender.",
        host=8,
        rule="SG304",
        left_out="it would send message content",
        steps=(ehlo, mail, rcpt, DATA, content(SMUGGLED)),
    )


SMUGGLED: Final = (
    b"Subject: hello\r\n\r\nharmless\n.\nMAIL FROM:<ceo@demo.example>\r\nRCPT TO:<ann@demo.example>\r\nDATA\r\n"
    b"Subject: pay this\r\n\r\nnow\r\n.\r\n"
)
