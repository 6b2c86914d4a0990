"""Would UPSTREAM relay for strangers? Asked of scripted upstreams of every kind."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smtpguard.net import Unreachable
from smtpguard.service.probe import DEADLINE, STRANGERS, Trust, probe
from tests.net.loopback import descriptors
from tests.service.mx import CLOSE, REFUSES, RELAYS, SILENCE, Mx


async def _probed(mx: Mx) -> Trust | Unreachable:
    """Return what the probe found, or why it found nothing, and see that it left no descriptor."""
    async with mx.listening():
        upstream = await mx.upstream()
        before = descriptors()
        found: Trust | Unreachable
        try:
            found = await probe(upstream.connect)
        except Unreachable as error:
            found = error
        await wait_all_tasks_blocked(0.005)
        assert descriptors() <= before
    return found


@pytest.mark.parametrize(
    ("script", "trust"),
    [
        pytest.param(REFUSES, Trust.REFUSES, id="refuses"),
        pytest.param(RELAYS, Trust.RELAYS, id="relays"),
        pytest.param({b"RCPT TO:<smtpguard-probe@example.com>": b"554 no"}, Trust.RELAYS, id="relays-to-one-domain"),
        pytest.param({b"MAIL": b"530 5.7.0 authenticate first"}, Trust.REFUSES, id="refuses-strangers-MAIL"),
        pytest.param({b"MAIL FROM:<>": b"550 no bounces"}, Trust.RELAYS, id="relays-but-for-bounces"),
        pytest.param({b"MAIL FROM:<postmaster@": b"550 who are you"}, Trust.RELAYS, id="relays-bounces-only"),
        pytest.param({b"EHLO": b"502 no", **REFUSES}, Trust.REFUSES, id="knows-HELO-only"),
        pytest.param({b"RCPT": b"454 4.7.1 relay access denied"}, Trust.REFUSES, id="Postfix-defers-relaying"),
        pytest.param({b"RCPT": b"251 will forward"}, Trust.RELAYS, id="forwards"),
    ],
)
async def test_what_it_finds(script: dict[bytes, bytes], trust: Trust) -> None:
    """One accepted recipient in a foreign domain is enough to be a relay."""
    assert await _probed(Mx(script)) is trust


async def test_the_words_of_a_stranger() -> None:
    """EHLO, MAIL, RCPT to domains that belong to nobody (RFC 2606), RSET, QUIT; never a message."""
    mx = Mx(RELAYS)
    await _probed(mx)
    verbs = [line.split()[0] for line in mx.lines if line]
    assert set(verbs) == {b"EHLO", b"MAIL", b"RCPT", b"RSET", b"QUIT"}
    assert verbs[0] == b"EHLO"
    assert verbs[-2:] == [b"RSET", b"QUIT"]
    forward_paths = {line[9:-1] for line in mx.lines if line.startswith(b"RCPT TO:<")}
    assert forward_paths == set(STRANGERS)
    assert all(path.endswith((b"@example.com", b"@example.net")) for path in forward_paths)


@pytest.mark.parametrize(
    "mx",
    [
        pytest.param(Mx(greeting=b"554 no service"), id="554-greeting"),
        pytest.param(Mx(greeting=b"421 later"), id="421-greeting"),
        pytest.param(Mx(greeting=CLOSE), id="closes"),
        pytest.param(Mx(greeting=b"SSH-2.0-OpenSSH_9"), id="garbage"),
        pytest.param(Mx(greeting=b"\x00\xff\xfe"), id="binary"),
        pytest.param(Mx(greeting=b"220-a\r\n250 b"), id="mixed-codes"),
        pytest.param(Mx({b"RCPT": CLOSE}), id="closes-in-between"),
        pytest.param(Mx({b"RCPT": b"garbage"}), id="garbage-in-between"),
        pytest.param(Mx({b"MAIL": b"451 try later"}), id="deferred-MAIL"),
        pytest.param(Mx({b"RCPT": b"450 greylisted"}), id="deferred-RCPT"),
    ],
)
async def test_what_proves_nothing(mx: Mx) -> None:
    """No answer, no SMTP, or a temporary one: not probed, with a reason in words; a bug it is not."""
    found = await _probed(mx)
    assert isinstance(found, Unreachable)
    assert found.reason
    assert found.reason.isascii()


@pytest.mark.parametrize("mx", [Mx(greeting=SILENCE), Mx({b"EHLO": SILENCE}), Mx({b"RSET": SILENCE})])
async def test_silence_ends_at_the_deadline(jumping_clock: MockClock, mx: Mx) -> None:
    """The whole dialogue has its deadline."""
    began = trio.current_time()
    found = await _probed(mx)
    assert isinstance(found, Unreachable)
    assert "within 30 s" in found.reason
    assert trio.current_time() - began == pytest.approx(DEADLINE, abs=1)


async def test_nobody_there() -> None:
    """A refused connection is told as such."""
    mx = Mx()
    async with mx.listening():
        upstream = await mx.upstream()
    with pytest.raises(Unreachable, match="refused"):
        await probe(upstream.connect)
