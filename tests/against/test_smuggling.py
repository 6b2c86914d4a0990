"""Ends of content that are none: before the guard no octet of them reaches Postfix, which would take some as an end.

Every line end of one or two octets of CR, LF and NUL stands before and behind a lone dot; the best known of them are
also cut at every octet, and sent octet by octet. Behind it stands a second envelope. Postfix trusts loopback here, as
it does where a guard is put before it.
"""

import itertools
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.against.client import Closed, RawClient, deliver
from tests.against.conftest import MakeGuard, MakeTap
from tests.against.deadline import wait_until
from tests.against.guard import Guard
from tests.against.postfix import Postfix
from tests.against.segments import send_apart
from tests.against.sink import Sink
from tests.against.tap import Tap

LINE_ENDS = [b"".join(octets) for size in (1, 2) for octets in itertools.product((b"\r", b"\n", b"\0"), repeat=size)]
MORE_ENDS = [b"\r\r\n", b"\r\n\0", b"\0\r\n", b"\r\0\n", b"\n\r\n", b"\r\n\r"]
VARIANTS = list(itertools.product(LINE_ENDS + MORE_ENDS, repeat=2))
# These are cut, too; the cuts of all the others are the engine's own tests.
CUT_ENDS = [b"\0", b"\n", b"\r", b"\r\n", b"\0\n", b"\n\0", b"\r\r\n"]

# design.md, rule 10, word for word.
HIDDEN_END = re.compile(rb"[\r\n]\0*\.[\0\r]*[\r\n]")

HEAD = b"Subject: smuggling\r\n\r\ntext"
SECOND = (
    b"MAIL FROM:<smuggled@client.example>\r\nRCPT TO:<smuggled@up.example>\r\nDATA\r\n"
    b"Subject: smuggled\r\n\r\ntext\r\n.\r\n"
)


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one variant."""

    number: int
    before: bytes
    after: bytes
    reply: bytes
    upstream: bytes
    closed: bool


def lawful_end(before: bytes, after: bytes) -> bool:
    """Tell whether this is CRLF.CRLF, the one end of content, with something behind it."""
    return before.endswith(b"\r\n") and after.startswith(b"\r\n")


HIDDEN = [(b, a) for b, a in VARIANTS if not lawful_end(b, a) and HIDDEN_END.search(b"t" + b + b"." + a + b"M")]
HARMLESS = [(b, a) for b, a in VARIANTS if not lawful_end(b, a) and (b, a) not in HIDDEN]


@pytest.fixture(scope="module")
def tap(postfix: Postfix, make_tap: MakeTap) -> Tap:
    """Before the Postfix that trusts loopback."""
    return make_tap(postfix.trusting)


@pytest.fixture(scope="module")
def guard(tap: Tap, make_guard: MakeGuard) -> Guard:
    """Before the tap, in mode observe: the dot guard is safe, it holds there too."""
    return make_guard(tap.port, "policy.mode=observe").wait_served()


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Names for sessions, so that a recording can be told by its EHLO."""
    return itertools.count()


def opened(client: RawClient, number: int) -> bytes:
    """Bring a session to where content begins, and return all that was said."""
    client.reply()
    for line in (b"EHLO v%d.c.example" % number, b"MAIL FROM:<ann@client.example>", b"RCPT TO:<bob@up.example>"):
        assert client.say(line)[:3] == b"250"
    assert client.say(b"DATA")[:3] == b"354"
    return bytes(client.said)


def say_variant(number: int, before: bytes, after: bytes, cut: int | None, guard: Guard, tap: Tap) -> Heard:
    """Play one variant through the guard; `cut` is None: whole, 0: octet by octet, else where to cut the pattern."""
    pattern = before + b"." + after
    with RawClient(guard.port) as client:
        opened(client, number)
        match cut:
            case None:
                client.send(HEAD + pattern + SECOND)
            case 0:
                send_apart(client, guard.port, (HEAD, *(bytes([octet]) for octet in pattern), SECOND))
            case _:
                send_apart(client, guard.port, (HEAD + pattern[:cut], pattern[cut:] + SECOND))
        reply, closed = b"", True
        try:
            reply = client.reply()
            if reply[:3] == b"250":
                reply, closed = reply + client.say(b"QUIT"), False
            client.rest()
        except Closed:
            pass
    upstream = bytes(tap.of(b"EHLO v%d.c.example\r\n" % number).up)
    return Heard(number, before, after, reply, upstream, closed)


def say_all(
    variants: list[tuple[bytes, bytes, int | None]], numbers: Iterator[int], guard: Guard, tap: Tap
) -> list[Heard]:
    """Play variants, eight at a time."""
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(say_variant, next(numbers), *variant, guard, tap) for variant in variants]
        return [job.result() for job in jobs]


def in_manner(manner: str, variants: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes, int | None]]:
    """Return variants with the ways of cutting each."""
    if manner == "whole":
        return [(before, after, None) for before, after in variants]
    short = [(before, after) for before, after in variants if before in CUT_ENDS and after in CUT_ENDS]
    if manner == "octet by octet":
        return [(before, after, 0) for before, after in short]
    return [(b, a, cut) for b, a in short for cut in range(1, len(b) + 1 + len(a) + 1)]


def nothing_smuggled(postfix: Postfix, guard: Guard, sink: Sink, box: bytes) -> None:
    """No second envelope came in, and no cut-off first one: a message sent behind all of them is the only one."""
    before = postfix.accepted("ann@client.example")
    with RawClient(guard.port) as client:
        client.reply()
        client.say(b"EHLO c.example")
        deliver(client, box)
    sink.wait_for(box)
    wait_until(lambda: postfix.accepted("ann@client.example") > before, "the queue manager's line")
    assert postfix.accepted("smuggled@client.example") == 0
    assert not sink.to(b"smuggled@up.example")


@pytest.mark.parametrize("manner", ["whole", "cut at every octet", "octet by octet"])
def test_a_hidden_end_of_content_never_passes(
    manner: str, postfix: Postfix, guard: Guard, tap: Tap, sink: Sink, numbers: Iterator[int]
) -> None:
    """CLIENT hears 550 5.5.2 and is closed; UPSTREAM got nothing from the dot on; there is no second envelope."""
    variants = in_manner(manner, HIDDEN)
    accepted = postfix.accepted("ann@client.example")
    heard = say_all(variants, numbers, guard, tap)

    wrong = [
        one
        for one in heard
        if one.reply[:9] != b"550 5.5.2"
        or not one.closed
        or not (HEAD + one.before).startswith(one.upstream.partition(b"\r\nDATA\r\n")[2])
    ]
    assert wrong == []
    assert len(heard) >= (len(HIDDEN) if manner == "whole" else 30)
    nothing_smuggled(postfix, guard, sink, b"behind-" + manner.replace(" ", "-").encode() + b"@up.example")
    # The message behind them, and not one of theirs.
    assert postfix.accepted("ann@client.example") == accepted + 1


@pytest.mark.parametrize("manner", ["whole", "cut at every octet", "octet by octet"])
def test_a_dot_that_ends_nothing_passes_unchanged(
    manner: str, guard: Guard, tap: Tap, numbers: Iterator[int], postfix: Postfix
) -> None:
    """Where no reader sees a line of one dot the message goes through, octet for octet, as one message."""
    variants = in_manner(manner, HARMLESS)
    heard = say_all(variants, numbers, guard, tap)

    assert heard
    for one in heard:
        assert one.reply[:3] == b"250", one
        content = one.upstream.partition(b"\r\nDATA\r\n")[2]
        assert content == HEAD + one.before + b"." + one.after + SECOND + b"QUIT\r\n"
    assert postfix.accepted("smuggled@client.example") == 0


def test_the_variants_are_many() -> None:
    """Both tables hold something, and the known ends of other servers are among the hidden ones."""
    known = {(b"\n", b"\n"), (b"\n", b"\r\n"), (b"\r\n", b"\n"), (b"\r\n", b"\r\r\n"), (b"\r", b"\r"), (b"\n", b"\0\n")}
    assert known <= set(HIDDEN)
    assert len(HIDDEN) > 150
    assert len(HARMLESS) > 50


def test_without_the_guard_postfix_takes_the_second_envelope(postfix: Postfix) -> None:
    """The same octets straight to Postfix 3.7: LF.LF and others are an end there, which the guard refuses above."""
    taken = []
    for number, (before, after) in enumerate(HIDDEN):
        with RawClient(postfix.trusting) as client:
            opened(client, number)
            client.send(HEAD + before + b"." + after + SECOND.replace(b"smuggled@up", b"direct%d@up" % number))
            replies = [client.reply()]
            client.half_close()
            replies.append(client.rest())
        if b"354" in replies[1]:
            taken.append((before, after))
    assert {(b"\n", b"\n"), (b"\n", b"\r\n"), (b"\r\n", b"\n")} <= set(taken)
    wait_until(lambda: postfix.accepted("smuggled@client.example") == len(taken), "second envelopes in the queue")
