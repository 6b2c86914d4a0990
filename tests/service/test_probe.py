"""Would UPSTREAM relay for strangers? Asked of scripted upstreams of every kind."""

import contextlib
import ssl
from collections.abc import Mapping

import pytest
import trio
import trustme
from trio.testing import MockClock, wait_all_tasks_blocked

from smtpguard.config import Send
from smtpguard.net import Unreachable
from smtpguard.service.probe import DEADLINE, STRANGERS, Arrives, Probed, Trust, probe
from tests.net.loopback import descriptors
from tests.service.mx import CLOSE, REFUSES, RELAYS, SILENCE, Mx


async def _probed(mx: Mx) -> Trust | Unreachable:
    """Return what the probe found, or why it found nothing, and see that it left no descriptor."""
    async with mx.listening():
        upstream = await mx.upstream()
        before = descriptors()
        found: Trust | Unreachable
        try:
            found = (await probe(upstream.connect)).trust
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


class Told(Mx):
    """An upstream that waits for a PROXY header, or does not know one, and remembers the octets that came first."""

    def __init__(self, *, understands: bool, hello: bytes = b"250 mx", script: Mapping[bytes, bytes] = REFUSES) -> None:
        super().__init__({b"EHLO": hello, **script})
        self.understands = understands
        self.header = b""

    async def answer(self, stream: trio.SocketStream) -> None:
        """Read the header, then be what the script says."""
        if self.understands:
            while not self.header.endswith(b"\r\n"):
                self.header += bytes(await stream.receive_some(1))
        await super().answer(stream)

    def reply(self, line: bytes) -> bytes:
        """Take a header for a command where it is not understood."""
        return b"502 unknown command" if line.startswith(b"PROXY") else super().reply(line)


async def _told(mx: Mx) -> Probed:
    async with mx.listening():
        upstream = await mx.upstream()
        return await probe(upstream.connect, Send.PROXY_V1)


async def test_the_stranger_is_introduced() -> None:
    """The header names an address of nobody: that is for whom UPSTREAM is asked to relay."""
    mx = Told(understands=True)
    assert await _told(mx) == Probed(Trust.REFUSES, Arrives.UNSEEN)
    assert mx.header == b"PROXY TCP4 192.0.2.1 192.0.2.1 25 25\r\n"
    assert await _told(Told(understands=True, script=RELAYS)) == Probed(Trust.RELAYS, Arrives.UNSEEN)


async def test_the_address_is_seen() -> None:
    """A reply to EHLO that names the stranger's address proves that it arrived."""
    mx = Told(understands=True, hello=b"250 mx Hello probe [192.0.2.1]")
    assert await _told(mx) == Probed(Trust.REFUSES, Arrives.SEEN)


async def test_the_header_is_read_as_a_command() -> None:
    """Then nobody's address arrives."""
    assert (await _told(Told(understands=False))).arrives is Arrives.NOT


async def test_it_takes_no_xclient_from_us() -> None:
    """Where it does not offer it clients would not arrive."""
    mx = Mx({b"EHLO": b"250 mx", **REFUSES})
    async with mx.listening():
        upstream = await mx.upstream()
        assert (await probe(upstream.connect, Send.XCLIENT)).arrives is Arrives.NOT


async def test_it_offers_us_xclient() -> None:
    """It would believe us any address: worth knowing where we do not use it."""
    mx = Mx({b"EHLO": b"250-mx\r\n250 XCLIENT NAME ADDR", **REFUSES})
    async with mx.listening():
        upstream = await mx.upstream()
        assert await probe(upstream.connect) == Probed(Trust.REFUSES, Arrives.UNASKED, authorised=True)


async def test_it_waits_for_a_header(autojump_clock: MockClock) -> None:
    """An upstream that says nothing may wait for a header that nobody sends it: the reason asks that."""
    found = await _probed(Mx(greeting=SILENCE))
    assert isinstance(found, Unreachable)
    assert "does it wait for a PROXY header (identity.send)?" in found.reason


@pytest.mark.parametrize(
    "script",
    [
        pytest.param({b"RCPT": b"504 5.5.2 need a fully-qualified hostname"}, id="hello-refused"),
        pytest.param({b"RCPT": b"556 5.1.10 takes no mail"}, id="null-MX"),
        pytest.param({b"MAIL": b"501 5.1.7 bad address"}, id="every-MAIL-refused"),
    ],
)
async def test_it_was_not_asked(script: dict[bytes, bytes]) -> None:
    """A refusal for another reason says nothing about relaying: nobody is let in on the strength of it."""
    found = await _probed(Mx(script))
    assert isinstance(found, Unreachable)
    assert "could not ask" in found.reason


class Secret(Mx):
    """An upstream that demands TLS before it says anything about relaying, and then relays, or does not."""

    def __init__(self, script: Mapping[bytes, bytes]) -> None:
        demand = {b"EHLO": b"250-mx\r\n250 STARTTLS", b"MAIL": b"530 5.7.0 Must issue a STARTTLS command first"}
        super().__init__({**demand, b"STARTTLS": b"220 go"})
        self.inside = Mx(script, greeting=b"")
        certificate = trustme.CA().issue_cert("mx.test")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.context)

    async def answer(self, stream: trio.SocketStream) -> None:
        """Serve one connection, in the clear to STARTTLS and within TLS behind it."""
        await stream.send_all(b"220 mx\r\n")
        line = b""
        while not line.startswith(b"STARTTLS"):
            line = bytes(await stream.receive_some(4096))
            self.lines.append(line.strip())
            await stream.send_all(self.reply(line) + b"\r\n")
        within = trio.SSLStream(stream, self.context, server_side=True, https_compatible=True)
        # A connection that is cut at the end is no mistake here.
        with contextlib.suppress(trio.BrokenResourceError):
            while line := bytes(await within.receive_some(4096)):
                self.inside.lines.append(line.strip())
                await within.send_all(self.inside.reply(line) + b"\r\n")
        stream.socket.close()


@pytest.mark.parametrize(("script", "trust"), [(REFUSES, Trust.REFUSES), (RELAYS, Trust.RELAYS)])
async def test_within_tls(script: Mapping[bytes, bytes], trust: Trust) -> None:
    """Where TLS is demanded it is asked within TLS: there clients go too, past us, uninspected."""
    mx = Secret(script)
    assert await _probed(mx) is trust
    assert not [line for line in mx.lines if line.startswith(b"RCPT")]
    assert [line for line in mx.inside.lines if line.startswith(b"RCPT")]


async def test_tls_that_does_not_come_up() -> None:
    """STARTTLS is offered and taken, and then there is no TLS: it could not be asked."""
    found = await _probed(Mx({b"EHLO": b"250-mx\r\n250 STARTTLS", b"STARTTLS": b"220 go", **REFUSES}))
    assert isinstance(found, Unreachable)
    assert "the open-relay probe" in found.reason


async def test_tls_that_is_put_off() -> None:
    """STARTTLS is offered and refused: what was said in the clear holds."""
    script = {b"EHLO": b"250-mx\r\n250 STARTTLS", b"STARTTLS": b"454 4.7.0 not now", **REFUSES}
    assert await _probed(Mx(script)) is Trust.REFUSES
