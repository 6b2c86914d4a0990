"""What an UPSTREAM says of itself, asked of scripted ones."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smtpguard.net import Unreachable
from smtpguard.service.interview import DEADLINE, Interview, interview
from tests.net.loopback import descriptors
from tests.service.mx import CLOSE, SILENCE, Mx

EHLO = {b"EHLO": b"250-mx at your service\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 STARTTLS"}


async def tried(mx: Mx) -> Interview | Unreachable:
    """Ask, return what was said or why nothing was, and see that no descriptor is left."""
    found: Interview | Unreachable
    async with mx.listening():
        upstream = await mx.upstream()
        before = descriptors()
        try:
            found = await interview(upstream.connect)
        except Unreachable as error:
            found = error
        await wait_all_tasks_blocked(0.005)
        assert descriptors() <= before
    return found


async def asked(mx: Mx) -> Interview:
    """Ask one that answers."""
    found = await tried(mx)
    assert isinstance(found, Interview)
    return found


async def refused(mx: Mx) -> str:
    """Ask one that does not, and return the reason."""
    found = await tried(mx)
    assert isinstance(found, Unreachable)
    return found.reason


async def test_what_it_offers() -> None:
    """The greeting, the lines behind the first of its reply, and a time; no message, no recipient."""
    mx = Mx(EHLO, greeting=b"220 mx ESMTP")
    said = await asked(mx)
    assert said.greeting.raw == b"220 mx ESMTP\r\n"
    assert said.offers == (b"PIPELINING", b"SIZE 1000", b"STARTTLS")
    assert 0 < said.seconds < 5
    assert [line.split()[0] for line in mx.lines if line] == [b"EHLO", b"NOOP", b"QUIT"]


async def test_it_refuses_service() -> None:
    """A greeting that is a refusal is what it says; it is not asked further."""
    said = await asked(Mx(greeting=b"554 no SMTP service here"))
    assert (said.greeting.code, said.hello, said.offers, said.seconds) == (554, None, (), 0.0)


async def test_it_knows_no_ehlo() -> None:
    """What it says to EHLO is kept, and offers nothing."""
    said = await asked(Mx({b"EHLO": b"502 no"}))
    assert said.hello is not None
    assert (said.hello.code, said.offers) == (502, ())


@pytest.mark.parametrize(
    ("script", "greeting", "reason"),
    [
        ({}, CLOSE, "closed before it had answered"),
        ({b"EHLO": CLOSE}, b"220 mx", "closed before it had answered"),
        ({}, b"HTTP/1.1 400 Bad Request", "no SMTP"),
    ],
)
async def test_no_answers(script: dict[bytes, bytes], greeting: bytes, reason: str) -> None:
    """What is no SMTP server is not reached, and the reason is told."""
    assert reason in await refused(Mx(script, greeting=greeting))


async def test_silence(jumping_clock: MockClock) -> None:
    """A server that says nothing is waited for so long and no longer."""
    began = trio.current_time()
    assert await refused(Mx(greeting=SILENCE)) == "no answer within 30 s"
    assert DEADLINE <= trio.current_time() - began < DEADLINE + 5
