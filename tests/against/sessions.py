"""Lawful sessions as literal tables: what is said, piece by piece, and how many replies are awaited behind each piece.

Lawful means: no rule of the catalogue is broken, however odd it looks. Each session begins when the greeting has been
read, and ends with QUIT or a half-close. `SESSIONS` is for every upstream; the others need an extension, and are lawful
only where it was offered. Those of `AT_CLOSE` leave the last word to the upstream's own habits at FIN.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Say:
    """Send the pieces, each in a segment of its own, then await some replies."""

    pieces: tuple[bytes, ...]
    replies: int = 1


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Send FIN, go on reading."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """Put TLS on the connection, behind a 220."""


Step = bytes | Say | HalfClose | StartTls
"""Plain octets are one piece that gets one reply."""
Table = dict[str, tuple[Step, ...]]


def ahead(*lines: bytes) -> Say:
    """Send lines in one piece, and await a reply to each."""
    return Say((b"".join(lines),), len(lines))


def split(octets: bytes, size: int, replies: int = 1) -> Say:
    """Cut octets into pieces of a size."""
    return Say(tuple(octets[at : at + size] for at in range(0, len(octets), size)), replies)


FIN, TLS = HalfClose(), StartTls()
EHLO, HELO, QUIT = b"EHLO c.example\r\n", b"HELO c.example\r\n", b"QUIT\r\n"
MAIL, RCPT, DATA = b"MAIL FROM:<ann@client.example>\r\n", b"RCPT TO:<bob@up.example>\r\n", b"DATA\r\n"
RCPT2, NOBODY, FOREIGN = (
    b"RCPT TO:<carl@up.example>\r\n",
    b"RCPT TO:<nobody@up.example>\r\n",
    b"RCPT TO:<x@y.example>\r\n",
)
REFUSED, LATE = b"MAIL FROM:<refused@client.example>\r\n", b"RCPT TO:<latefail@up.example>\r\n"
TEXT = b"Subject: lawful\r\n\r\ntext\r\n.\r\n"
RSET, NOOP, VRFY, HELP = b"RSET\r\n", b"NOOP\r\n", b"VRFY bob@up.example\r\n", b"HELP\r\n"
ANN, ANN_WRONG = b"AGFubgBzZWNyZXQ=\r\n", b"AGFubgB3cm9uZw==\r\n"
USER, PASSWORD = b"YW5u\r\n", b"c2VjcmV0\r\n"
TX = (MAIL, RCPT, DATA, TEXT)

SESSIONS: Final[Table] = {
    # Hello and goodbye.
    "quit at once": (QUIT,),
    "ehlo, quit": (EHLO, QUIT),
    "helo, quit": (HELO, QUIT),
    "second ehlo": (EHLO, EHLO, *TX, QUIT),
    "ehlo in a transaction": (EHLO, MAIL, RCPT, EHLO, *TX, QUIT),
    "ehlo behind a message": (EHLO, *TX, EHLO, *TX, QUIT),
    "ehlo, then helo": (EHLO, HELO, *TX, QUIT),
    "helo, then ehlo": (HELO, EHLO, *TX, QUIT),
    "helo in a transaction": (EHLO, MAIL, RCPT, HELO, *TX, QUIT),
    "ehlo without a name, then with one": (b"EHLO\r\n", EHLO, *TX, QUIT),
    "ehlo refused, then helo": (b"EHLO\r\n", HELO, *TX, QUIT),
    "ehlo with an address literal": (b"EHLO [127.0.0.1]\r\n", *TX, QUIT),
    "quit in a transaction": (EHLO, MAIL, RCPT, QUIT),
    # Messages.
    "one message": (EHLO, *TX, QUIT),
    "one message by helo": (HELO, *TX, QUIT),
    "two messages": (EHLO, *TX, *TX, QUIT),
    "two messages with rset between": (EHLO, *TX, RSET, *TX, QUIT),
    "a message by helo, one by ehlo": (HELO, *TX, EHLO, *TX, QUIT),
    "empty message": (EHLO, MAIL, RCPT, DATA, b".\r\n", QUIT),
    "message of one empty line": (EHLO, MAIL, RCPT, DATA, b"\r\n.\r\n", QUIT),
    "dots stuffed": (EHLO, MAIL, RCPT, DATA, b"Subject: d\r\n\r\n..\r\n...\r\n..a\r\n. \r\n.a.\r\n.\r\n", QUIT),
    "dots inside lines": (EHLO, MAIL, RCPT, DATA, b"Subject: d\r\n\r\na.\r\n.b\r\na . b\r\n\r\n\r\n.\r\n", QUIT),
    "commands as content": (EHLO, MAIL, RCPT, DATA, b"Subject: v\r\n\r\nQUIT\r\nMAIL FROM:<x>\r\nDATA\r\n.\r\n", QUIT),
    "8-bit content": (
        EHLO, b"MAIL FROM:<ann@client.example> BODY=8BITMIME\r\n", RCPT, DATA,
        b"Subject: 8\r\n\r\n" + bytes(range(0x80, 0x100)) + b"\r\n.\r\n", QUIT,
    ),
    "8-bit content undeclared": (EHLO, MAIL, RCPT, DATA, b"Subject: 8\r\n\r\n\xe4\xf6\xfc\xff\r\n.\r\n", QUIT),
    "lines of 998": (EHLO, MAIL, RCPT, DATA, b"Subject: l\r\n\r\n" + (b"x" * 998 + b"\r\n") * 9 + b".\r\n", QUIT),
    "lines of a hundred thousand": (
        EHLO, MAIL, RCPT, DATA, b"Subject: l\r\n\r\n" + (b"x" * 100_000 + b"\r\n") * 2 + b".\r\n", QUIT,
    ),
    "half a million octets": (
        EHLO, MAIL, RCPT, DATA, b"Subject: l\r\n\r\n" + (b"y" * 74 + b"\r\n") * 6900 + b".\r\n", QUIT,
    ),
    "content octet by octet": (EHLO, MAIL, RCPT, DATA, split(b"Subject: s\r\n\r\n..\r\na\r\n.\r\n", 1), QUIT),
    "end of content cut": (EHLO, MAIL, RCPT, DATA, Say((b"Subject: e\r\n\r\na\r", b"\n.", b"\r", b"\n")), QUIT),
    "control octets but NUL as content": (
        EHLO, MAIL, RCPT, DATA, b"Subject: c\r\n\r\na\x01\x08\t\x0b\x0c\x1b\x7f b\r\n.\r\n", QUIT,
    ),
    # Recipients and refusals.
    "two recipients": (EHLO, MAIL, RCPT, RCPT2, DATA, TEXT, QUIT),
    "one recipient twice": (EHLO, MAIL, RCPT, RCPT, DATA, TEXT, QUIT),
    "thirty recipients": (EHLO, MAIL, *(b"RCPT TO:<r%d@up.example>\r\n" % n for n in range(30)), DATA, TEXT, QUIT),
    "mixed recipients": (EHLO, MAIL, NOBODY, RCPT, FOREIGN, DATA, TEXT, QUIT),
    "all recipients refused, rset, again": (EHLO, MAIL, NOBODY, FOREIGN, RSET, *TX, QUIT),
    "all recipients refused, then a good one": (EHLO, MAIL, NOBODY, NOBODY, RCPT, DATA, TEXT, QUIT),
    "all recipients refused, quit": (EHLO, MAIL, NOBODY, QUIT),
    "mail refused, then a good one": (EHLO, REFUSED, *TX, QUIT),
    "mail refused twice, quit": (EHLO, REFUSED, REFUSED, QUIT),
    "mail badly written, then well": (EHLO, b"MAIL FRUM:<a@b.example>\r\n", b"MAIL\r\n", *TX, QUIT),
    "mail with an unknown parameter": (EHLO, b"MAIL FROM:<ann@client.example> COLOUR=RED\r\n", *TX, QUIT),
    "rcpt badly written, then well": (EHLO, MAIL, b"RCPT bob\r\n", b"RCPT TO:\r\n", RCPT, DATA, TEXT, QUIT),
    "data refused, rset, again": (EHLO, MAIL, LATE, DATA, RSET, *TX, QUIT),
    "data refused, then another recipient": (EHLO, MAIL, LATE, DATA, RCPT, DATA, TEXT, QUIT),
    "data refused, quit": (EHLO, MAIL, LATE, DATA, QUIT),
    "data refused, noop, ehlo": (EHLO, MAIL, LATE, DATA, NOOP, EHLO, *TX, QUIT),
    "data with an argument, quit": (EHLO, MAIL, RCPT, b"DATA now\r\n", RSET, QUIT),
    "size declared": (EHLO, b"MAIL FROM:<ann@client.example> SIZE=100\r\n", RCPT, DATA, TEXT, QUIT),
    "size declared too big": (EHLO, b"MAIL FROM:<ann@client.example> SIZE=999999999\r\n", RSET, *TX, QUIT),
    "utf-8 addresses": (
        EHLO, "MAIL FROM:<jörg@client.example> SMTPUTF8 BODY=8BITMIME\r\n".encode(),
        "RCPT TO:<özil@up.example>\r\n".encode(), DATA, "Subject: grüße\r\n\r\nü\r\n.\r\n".encode(), QUIT,
    ),
    "null reverse path": (EHLO, b"MAIL FROM:<>\r\n", RCPT, DATA, TEXT, QUIT),
    "quoted local part": (EHLO, b'MAIL FROM:<"a b"@client.example>\r\n', b'RCPT TO:<"c@d"@up.example>\r\n', RSET, QUIT),
    "source route": (EHLO, MAIL, b"RCPT TO:<@a.example:bob@up.example>\r\n", RSET, QUIT),
    # Commands that are in order everywhere.
    "rset first": (RSET, EHLO, *TX, QUIT),
    "rset in every state": (EHLO, RSET, MAIL, RSET, MAIL, RCPT, RSET, RSET, *TX, RSET, QUIT),
    "noop in every state": (NOOP, EHLO, NOOP, MAIL, NOOP, RCPT, NOOP, DATA, TEXT, NOOP, QUIT),
    "noop with an argument": (EHLO, b"NOOP are you there\r\n", QUIT),
    "vrfy before ehlo": (VRFY, EHLO, QUIT),
    "vrfy in a transaction": (EHLO, MAIL, VRFY, RCPT, VRFY, DATA, TEXT, QUIT),
    "expn": (EHLO, b"EXPN list@up.example\r\n", MAIL, b"EXPN list@up.example\r\n", RCPT, DATA, TEXT, QUIT),
    "help": (HELP, EHLO, b"HELP MAIL\r\n", MAIL, HELP, RCPT, DATA, TEXT, QUIT),
    "etrn": (EHLO, b"ETRN up.example\r\n", *TX, QUIT),
    "unknown verb": (EHLO, b"FROB x\r\n", *TX, QUIT),
    "unknown verb in a transaction": (EHLO, MAIL, b"FROB\r\n", RCPT, b"FROB y\r\n", DATA, TEXT, QUIT),
    "empty line": (EHLO, b"\r\n", *TX, QUIT),
    # Spellings.
    "lower case": (*(line.lower() for line in (EHLO, MAIL, RCPT, DATA)), TEXT, b"quit\r\n"),
    "mixed case": (
        b"eHlO c.example\r\n", b"mAiL fRoM:<ann@client.example>\r\n", b"rCpT tO:<bob@up.example>\r\n", DATA, TEXT, QUIT,
    ),
    "blank behind the colon": (
        EHLO, b"MAIL FROM: <ann@client.example>\r\n", b"RCPT TO: <bob@up.example>\r\n", DATA, TEXT, QUIT,
    ),
    "no brackets": (EHLO, b"MAIL FROM:ann@client.example\r\n", RSET, *TX, QUIT),
    "trailing blanks": (
        EHLO, b"MAIL FROM:<ann@client.example>  \r\n", b"RCPT TO:<bob@up.example> \r\n", b"RSET \r\n",
        b"NOOP  \r\n", QUIT,
    ),
    "leading blank": (EHLO, b" NOOP\r\n", *TX, QUIT),
    "line of 600": (EHLO, b"NOOP " + b"x" * 600 + b"\r\n", *TX, QUIT),
    "line of 1900": (EHLO, b"NOOP " + b"x" * 1900 + b"\r\n", *TX, QUIT),
    "commands octet by octet": (split(EHLO, 1), split(MAIL, 1), split(RCPT, 1), split(DATA, 1), TEXT, split(QUIT, 1)),
    # Authentication.
    "auth plain": (EHLO, b"AUTH PLAIN " + ANN, *TX, QUIT),
    "auth plain, asked": (EHLO, b"AUTH PLAIN\r\n", ANN, *TX, QUIT),
    "auth login": (EHLO, b"AUTH LOGIN\r\n", USER, PASSWORD, *TX, QUIT),
    "auth in lower case": (EHLO, b"auth login\r\n", USER, PASSWORD, QUIT),
    "auth cancelled, then done": (EHLO, b"AUTH LOGIN\r\n", b"*\r\n", b"AUTH PLAIN " + ANN, *TX, QUIT),
    "auth cancelled late": (EHLO, b"AUTH LOGIN\r\n", USER, b"*\r\n", *TX, QUIT),
    "auth failed, then mail": (EHLO, b"AUTH PLAIN " + ANN_WRONG, *TX, QUIT),
    "auth failed twice, then done": (
        EHLO, b"AUTH PLAIN " + ANN_WRONG, b"AUTH LOGIN\r\n", USER, USER, b"AUTH PLAIN " + ANN, QUIT,
    ),
    "auth of an unknown mechanism": (EHLO, b"AUTH FROB\r\n", *TX, QUIT),
    "auth, then ehlo": (EHLO, b"AUTH PLAIN " + ANN, EHLO, *TX, QUIT),
    "auth between two messages": (EHLO, *TX, b"AUTH PLAIN " + ANN, *TX, QUIT),
    # TLS. Behind the 220 the session is opaque; the replies are compared in the clear.
    "starttls, quit": (EHLO, b"STARTTLS\r\n", TLS, QUIT),
    "starttls, message": (EHLO, b"STARTTLS\r\n", TLS, EHLO, *TX, QUIT),
    "starttls, auth, message": (EHLO, b"STARTTLS\r\n", TLS, EHLO, b"AUTH PLAIN " + ANN, *TX, QUIT),
    "starttls behind a message": (EHLO, *TX, b"starttls\r\n", TLS, EHLO, *TX, QUIT),
    "starttls refused for its argument": (EHLO, b"STARTTLS now\r\n", *TX, QUIT),
}  # fmt: skip

AT_CLOSE: Final[Table] = {
    "half-close at once": (FIN,),
    "half-close behind ehlo": (EHLO, FIN),
    "half-close in a transaction": (EHLO, MAIL, RCPT, FIN),
    "half-close behind a message": (EHLO, *TX, FIN),
    "half-close with a command on its way": (EHLO, Say((NOOP,), 0), FIN),
    "half-close with a transaction on its way": (EHLO, MAIL, RCPT, DATA, Say((TEXT,), 0), FIN),
    "half-close behind quit": (EHLO, Say((QUIT,), 0), FIN),
    "quit with an argument": (EHLO, b"QUIT now\r\n", FIN),
}

PIPELINED: Final[Table] = {
    "mail, rcpt, data together": (EHLO, ahead(MAIL, RCPT, DATA), TEXT, QUIT),
    "mixed recipients together": (EHLO, ahead(MAIL, NOBODY, RCPT, FOREIGN, RCPT2, DATA), TEXT, QUIT),
    "rset and a transaction together": (EHLO, *TX, ahead(RSET, MAIL, RCPT, DATA), TEXT, QUIT),
    "next transaction behind the dot": (EHLO, ahead(MAIL, RCPT, DATA), ahead(TEXT, RSET, MAIL, RCPT, DATA), TEXT, QUIT),
    "mail behind the dot": (EHLO, ahead(MAIL, RCPT, DATA), ahead(TEXT, MAIL, RCPT, DATA), ahead(TEXT, QUIT)),
    "quit behind the dot": (EHLO, *TX[:3], ahead(TEXT, QUIT)),
    "quit at the end of a group": (EHLO, ahead(MAIL, RCPT, RSET, QUIT)),
    "noop at the end of a group": (EHLO, ahead(MAIL, RCPT, NOOP), DATA, TEXT, QUIT),
    "vrfy at the end of a group": (EHLO, ahead(MAIL, RCPT, VRFY), DATA, TEXT, QUIT),
    "a hundred recipients together": (
        EHLO, ahead(MAIL, *(b"RCPT TO:<r%d@up.example>\r\n" % n for n in range(100)), DATA), TEXT, QUIT,
    ),
    "rcpts together behind mail": (EHLO, MAIL, ahead(RCPT, NOBODY, RCPT2), DATA, TEXT, QUIT),
    "a group in pieces of seven": (EHLO, split(MAIL + NOBODY + RCPT + DATA, 7, 4), TEXT, QUIT),
    "a group octet by octet": (EHLO, split(MAIL + RCPT + RCPT2 + DATA, 1, 4), TEXT, QUIT),
    "two rsets and two mails": (EHLO, ahead(MAIL, RSET, MAIL, RCPT, RSET, MAIL, RCPT, DATA), TEXT, QUIT),
    "unknown verb in a group": (EHLO, ahead(MAIL, b"FROB\r\n", RCPT, DATA), TEXT, QUIT),
    "half a line in a group": (EHLO, Say((MAIL + b"RCPT TO:<bo", b"b@up.example>\r\nDA", b"TA\r\n"), 3), TEXT, QUIT),
    "data refused in a group, rset": (EHLO, ahead(MAIL, LATE, DATA), RSET, *TX, QUIT),
}  # fmt: skip


def bdat(payload: bytes, last: bool = False) -> bytes:
    """Return one chunk with its command line."""
    return b"BDAT %d%s\r\n" % (len(payload), b" LAST" * last) + payload


PART = b"Subject: chunk\r\n\r\nfirst\r\n"
REST = b"second\r\n.\r\nQUIT\r\n..\r\nlast\r\n"
CHUNKED: Final[Table] = {
    "one chunk": (EHLO, MAIL, RCPT, bdat(PART, True), QUIT),
    "two chunks": (EHLO, MAIL, RCPT, bdat(PART), bdat(REST, True), QUIT),
    "an empty last chunk": (EHLO, MAIL, RCPT, bdat(PART), b"BDAT 0 LAST\r\n", QUIT),
    "commands in a chunk": (EHLO, MAIL, RCPT, bdat(REST + b"\r\n.\r\nMAIL FROM:<x@y>\r\n", True), QUIT),
    "lone dots of every kind in a chunk": (
        EHLO,
        MAIL,
        RCPT,
        bdat(b"S: x\r\n\r\na\n.\nb\n.\r\nc\r\n.\rd\r\n", True),
        QUIT,
    ),
    "all octets in a chunk": (EHLO, MAIL, RCPT, bdat(b"S: x\r\n\r\n" + bytes(range(1, 256)) + b"\r\n", True), QUIT),
    "noop between chunks": (EHLO, MAIL, RCPT, bdat(PART), NOOP, bdat(REST, True), QUIT),
    "rset between chunks": (EHLO, MAIL, RCPT, bdat(PART), RSET, *TX, QUIT),
    "quit between chunks": (EHLO, MAIL, RCPT, bdat(PART), QUIT),
    "transaction and chunk together": (EHLO, ahead(MAIL, RCPT, bdat(PART, True)), QUIT),
    "chunks together": (EHLO, MAIL, RCPT, ahead(bdat(PART), bdat(REST), bdat(REST, True)), QUIT),
    "lower case": (EHLO, MAIL, RCPT, bdat(PART).replace(b"BDAT", b"bdat"), b"bdat 0 last\r\n", QUIT),
    "two messages": (EHLO, MAIL, RCPT, bdat(PART, True), MAIL, RCPT, bdat(PART, True), QUIT),
    "two messages together": (EHLO, ahead(MAIL, RCPT, bdat(PART, True), MAIL, RCPT, bdat(PART, True)), QUIT),
    "a message by chunk, one by data": (EHLO, MAIL, RCPT, bdat(PART, True), *TX, QUIT),
    "line and payload apart": (EHLO, MAIL, RCPT, Say((b"BDAT 6 LA", b"ST\r\nab", b"c\r\n", b"\n")), QUIT),
    "chunk octet by octet": (EHLO, MAIL, RCPT, split(bdat(PART, True), 1), QUIT),
    "a large chunk": (
        EHLO,
        MAIL,
        RCPT,
        bdat(b"S: x\r\n\r\n" + b"z" * 700 + b"\r\n" + b"0123456\r\n" * 60_000, True),
        QUIT,
    ),
    "mixed recipients": (EHLO, ahead(MAIL, NOBODY, RCPT, bdat(PART, True)), QUIT),
}
DSN: Final[Table] = {
    "dsn": (
        EHLO, b"MAIL FROM:<ann@client.example> RET=HDRS ENVID=x1\r\n",
        b"RCPT TO:<bob@up.example> NOTIFY=NEVER ORCPT=rfc822;bob@up.example\r\n", DATA, TEXT, QUIT,
    ),
}  # fmt: skip
