"""Who keeps strangers from an upstream that trusts us; the keeping itself is seen in `test_guard`."""

from smtpguard.config import Address, Send
from smtpguard.net import Upstream
from smtpguard.service.plan import Way
from smtpguard.service.probe import Arrives, Probed, Trust
from smtpguard.service.warden import open_relay, refusal


def test_an_open_relay_names_the_cures() -> None:
    """The refusal says who relays for whom, and a cure for Postfix, Exim, others and those who know."""
    refusal = open_relay(Upstream("127.0.0.1", 10025), [Address("0.0.0.0", 25), Address("::", 25)])
    assert refusal.exit_code == 78
    for word in ("127.0.0.1:10025", "0.0.0.0:25, [::]:25", "master.cf", "mynetworks", "relay_from_hosts", "loopback",
                 "proxy-v2", "hosts_proxy", "connection.ini",
                 "identity.i-know-this-is-an-open-relay = true"):  # fmt: skip
        assert word in str(refusal)


def way(send: Send) -> Way:
    """Return a way for strangers."""
    return Way(Upstream("127.0.0.1", 10025, guarded=True), send, [Address("0.0.0.0", 25)])


def test_told_and_an_open_relay_all_the_same() -> None:
    """Who relays for an address of nobody relays for all: then it is its restrictions that must be mended."""
    said = str(refusal(Probed(Trust.RELAYS, Arrives.UNSEEN), way(Send.PROXY_V2)))
    assert "relays mail of strangers whoever they are" in said
    assert "192.0.2.1" in said
    assert "identity.send" not in said


def test_not_told() -> None:
    """An upstream that reads the header as commands: what to change, server by server."""
    said = str(refusal(Probed(Trust.REFUSES, Arrives.NOT), way(Send.PROXY_V1)))
    for word in ('reads the PROXY header of identity.send = "proxy-v1" as commands', "smtpd_upstream_proxy_protocol",
                 "hosts_proxy", "connection.ini", 'identity.send = "none"'):  # fmt: skip
        assert word in said


def test_no_xclient() -> None:
    """The same for XCLIENT, with its own cure."""
    said = str(refusal(Probed(Trust.REFUSES, Arrives.NOT), way(Send.XCLIENT)))
    assert "takes no XCLIENT from us" in said
    assert "smtpd_authorized_xclient_hosts" in said


def test_all_is_well() -> None:
    """Nothing to say."""
    for probed in (Probed(Trust.REFUSES), Probed(Trust.REFUSES, Arrives.SEEN), Probed(Trust.REFUSES, Arrives.UNSEEN)):
        assert refusal(probed, way(Send.PROXY_V2)) is None
