"""The servers of this folder: one of each for the whole run, a guard and a tap where a test asks for them."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.against.aio import Aiosmtpd
from tests.against.exim import Exim
from tests.against.guard import Guard
from tests.against.postfix import Postfix
from tests.against.received import KeepingSink
from tests.against.sink import Sink
from tests.against.tap import Tap

MakeGuard = Callable[..., Guard]
MakeTap = Callable[..., Tap]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """The certificate authority of this run."""
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> trustme.LeafCert:
    """The upstreams' certificate, for localhost."""
    return authority.issue_cert("localhost")


@pytest.fixture(scope="session")
def certificate_file(certificate: trustme.LeafCert) -> bytes:
    """The same as a PEM: key first, then the chain."""
    return certificate.private_key_and_cert_chain_pem.bytes()


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A client's TLS context that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def sink() -> Iterator[Sink]:
    """Where Postfix and Exim deliver to."""
    sink = Sink()
    yield sink
    sink.close()


@pytest.fixture(scope="module")
def keeping_sink() -> Iterator[KeepingSink]:
    """Where the servers of deploy/upstream deliver to."""
    sink = KeepingSink()
    yield sink
    sink.close()


@pytest.fixture(scope="session")
def postfix(sink: Sink, certificate_file: bytes) -> Iterator[Postfix]:
    """Postfix 3.7, trusting nobody."""
    postfix = Postfix(sink.port, certificate_file)
    yield postfix
    postfix.close()


@pytest.fixture(scope="session")
def exim(sink: Sink, certificate_file: bytes) -> Iterator[Exim]:
    """Exim 4.96."""
    exim = Exim(sink.port, certificate_file)
    yield exim
    exim.close()


@pytest.fixture(scope="session")
def aiosmtpd(certificate: trustme.LeafCert) -> Iterator[Aiosmtpd]:
    """aiosmtpd 1.4."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    running = Aiosmtpd(context)
    yield running
    running.close()


@pytest.fixture(scope="module")
def make_tap() -> Iterator[MakeTap]:
    """A maker of taps, closed behind the module."""
    taps = list[Tap]()

    def make(*terms: object) -> Tap:
        taps.append(Tap(*terms))  # type: ignore[arg-type]
        return taps[-1]

    yield make
    for tap in taps:
        tap.close()


@pytest.fixture(scope="module")
def make_guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeGuard]:
    """A maker of guards; those still running behind the module are stopped, and must end with 0."""
    guards = list[Guard]()

    def make(upstream: int, *settings: str, flags: tuple[str, ...] = (), host: str = "127.0.0.1") -> Guard:
        folder: Path = tmp_path_factory.mktemp("guard")
        guards.append(Guard(folder, upstream, *settings, flags=flags, host=host))
        return guards[-1]

    yield make
    codes = [guard.stop() for guard in guards if guard.process.poll() is None]
    assert codes == [0] * len(codes), [guard.said() for guard in guards]
