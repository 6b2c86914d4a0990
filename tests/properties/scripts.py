"""What a client may say: hypothesis strategies for whole sessions, sensible ones and spoilt ones.

A script is a list of `Unit`s. A client that streams sends them all at once, however cut; a client in lock-step sends
one, hears every reply to it, and then the next, leaving out what no reply asked for.
"""

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.model import MANNERLY, RUDE, Manner
from tests.model.upstream import OBEY


@dataclass(frozen=True)
class Unit:
    """What a client in lock-step sends at once."""

    octets: bytes
    only_after: int = 0
    """Sent only if the last reply had this code; 0: always."""


def unit(text: str | bytes, only_after: int = 0) -> Unit:
    """Make one unit."""
    return Unit(text.encode("latin-1") if isinstance(text, str) else text, only_after)


HELLO = unit("EHLO client.example\r\n")
MAIL = unit("MAIL FROM:<a@client.example>\r\n")
RCPT = unit("RCPT TO:<b@mx.example>\r\n")
DATA = unit("DATA\r\n")
QUIT = unit("QUIT\r\n")

LAWFUL_LINES = [
    unit(text)
    for text in (
        "EHLO again.example\r\n", "ehlo\tclient\r\n", "HELO client.example\r\n", "NOOP\r\n", "NOOP x\r\n", "RSET\r\n",
        "rset \r\n", "VRFY b\r\n", "EXPN list\r\n", "HELP\r\n", "\r\n", "WHAT is this\r\n", "MAIL:x\r\n", "  NOOP\r\n",
        "ETRN mx.example\r\n", "MAIL FROM: <a@client.example> SIZE=10\r\n", "mail from:<>\r\n",
        "MAIL FROM:<a@b> BODY=BINARYMIME\r\n", "RCPT TO:<c@mx.example> NOTIFY=NEVER\r\n", "QUIT x\r\n",
    )
]  # fmt: skip
ODD_LINES = [
    unit(text)
    for text in (
        "NOOP\n", "MAIL FROM:<a@b>\n", "RCPT TO:<b@c>\n", "DATA\n", "EHLO x\n", "DATA x\r\n", "NO\0OP\r\n",
        "MAIL FROM:<a@b>\rRCPT TO:<c@d>\r\n", "RSET\r\r\n", "\x7f\r\n", "XCLIENT ADDR=10.0.0.1\r\n", "turn\r\n",
        "BDAT\r\n", "BDAT x\r\n", " BDAT 1\r\n", "BDAT  1\r\n", "BDAT\t1\r\n", "BDAT 1\n", "BDAT 1 LASTS\r\n",
        "B\0DAT 1\r\n", "BDAT 2147483648\r\n", "BDAT 00000000001\r\n", "BDAT:1\r\n", "BDAT -1\r\n", "BDAT 1 \r\n",
        "RCPT TO:<\x80@d>\r\n",
        "DATA\r\nQUIT\r\n.\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\n", "AUTH PLAIN AGEAYg==\n", "X-EXPS LOGIN\r\n",
        "BURL imap://x\r\n", "BURL imap://x LAST\r\n",
    )
] + [unit(b"NOOP " + b"x" * 4089 + b"\r\n"), unit(b"NOOP " + b"x" * 4090 + b"\r\n")]  # fmt: skip

_text = st.sampled_from(
    [b"line", b"\r\n", b"\r\n", b"\r\n..", b".", b" . ", b"Subject: x\r\n", b"QUIT\r\n", b"\x80\xff", b"\t"]
)
_traps = st.sampled_from([b"\n", b"\r", b"\0", b".", b"\r\n.", b"\n.\n", b"\r\n.\n", b"\r\n\0.\r\n", b"\r\n.\r\r\n"])


def _whole(parts: list[bytes]) -> bytes:
    text = b"".join(parts)
    if text.startswith(b"."):
        text = b"." + text
    return text.replace(b"\r\n.", b"\r\n..") + (b".\r\n" if not text or text.endswith(b"\r\n") else b"\r\n.\r\n")


honest_content = st.lists(_text, max_size=6).map(_whole)
trapped_content = st.lists(st.one_of(_text, _traps), min_size=1, max_size=8).map(
    lambda parts: b"".join(parts) + b"\r\n.\r\n"
)


def chunk(payload: bytes, *, last: bool) -> Unit:
    """Make a BDAT line with its payload."""
    return unit(b"BDAT %d%s\r\n" % (len(payload), b" LAST" if last else b"") + payload)


_payloads = st.one_of(
    st.binary(max_size=12), st.sampled_from([b"QUIT\r\n", b"\r\n.\r\n", b"RSET\r\nMAIL FROM:<x>\r\n"])
)


@st.composite
def chunks(draw: st.DrawFn) -> list[Unit]:
    """Draw the chunks of one message."""
    head = [chunk(draw(_payloads), last=False) for _ in range(draw(st.integers(0, 2)))]
    between = draw(st.sampled_from([[], [], [unit("NOOP\r\n")], [RCPT], [DATA], [MAIL]]))
    return [*head, *between, chunk(draw(_payloads), last=True)]


@st.composite
def transactions(draw: st.DrawFn, contents: st.SearchStrategy[bytes] = honest_content) -> list[Unit]:
    """Draw one mail transaction, sent by DATA or by BDAT."""
    envelope = [MAIL, *([RCPT] * draw(st.integers(0, 3)))]
    if draw(st.integers(0, 3)) == 0:
        return [*envelope, *draw(chunks())]
    return [*envelope, DATA, unit(draw(contents), only_after=354)]


logins = st.sampled_from(
    [
        [unit("AUTH PLAIN AGEAYg==\r\n")],
        [unit("AUTH LOGIN\r\n"), unit("YQ==\r\n", only_after=334), unit("Yg==\r\n", only_after=334)],
        [unit("auth login\r\n"), unit("*\r\n", only_after=334)],
        [unit("AUTH LOGIN\r\n"), unit("QUIT\r\n", only_after=334)],
        [unit("AUTH LOGIN\r\n"), unit("a\0b\r\n", only_after=334)],
        [unit("AUTH LOGIN\r\n"), unit("a\n", only_after=334)],
    ]
)
starttls = st.sampled_from(
    [
        [unit("STARTTLS\r\n"), unit("\x16\x03\x01\0\x05hello", only_after=220)],
        [unit("X-ANONYMOUSTLS\r\n"), unit("EHLO x\r\n", only_after=220)],
        [unit("STARTTLS x\r\n")],
        [unit("STARTTLS\r\nEHLO injected\r\n")],
    ]
)
lines = st.sampled_from([*LAWFUL_LINES, HELLO, MAIL, RCPT, DATA, QUIT]).map(lambda one: [one])
odd = st.sampled_from(ODD_LINES).map(lambda one: [one])


@st.composite
def scripts(draw: st.DrawFn, *, trapped: bool = True) -> list[Unit]:
    """Draw a whole session, with a unit lost here and there."""
    content = st.one_of(honest_content, trapped_content) if trapped else honest_content
    parts = st.one_of(transactions(content), transactions(content), lines, odd, logins, starttls)
    script = [HELLO] if draw(st.integers(0, 5)) else []
    for part in draw(st.lists(parts, max_size=5)):
        script += part
    lost = draw(st.lists(st.integers(0, max(0, len(script) - 1)), max_size=2))
    script = [one for index, one in enumerate(script) if index not in lost or index == 0]
    return [*script, QUIT] if draw(st.booleans()) else script


@st.composite
def manners(draw: st.DrawFn, *, rude: bool = False, permissive: bool = False, whims: int = 12) -> Manner:
    """Draw an MTA."""
    offered = draw(st.sets(st.sampled_from(Manner().keywords), max_size=6))
    everything = draw(st.booleans())
    keywords = tuple(
        each for each in (*Manner().keywords, "X-LAST") if everything or each in offered or each == "X-LAST"
    )
    drawn = draw(st.lists(st.sampled_from(RUDE if rude else MANNERLY), max_size=whims))
    # Most sessions get past greeting and EHLO, and half of them past MAIL: there is more to see behind.
    obeyed = draw(st.sampled_from([2, 2, 2, 3, 3, 1, 0]))
    return Manner(
        keywords=keywords,
        whims=(*([OBEY] * obeyed), *drawn),
        permissive=permissive and draw(st.booleans()),
        generous=draw(st.booleans()),
    )


schedules = st.lists(st.one_of(st.integers(-3, 3), st.integers(-80, 200)), max_size=60)
"""So many octets of CLIENT, or, below zero, of UPSTREAM; 0 is all that CLIENT has."""

cuts = st.tuples(st.sampled_from([[-999], [-999], [-999], []]), schedules).map(lambda pair: [*pair[0], *pair[1]])
"""A schedule that mostly begins with the greeting, so that not every client is an early talker."""
