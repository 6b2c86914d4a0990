"""Who keeps strangers from an upstream that trusts us; the keeping itself is seen in `test_guard`."""

from smtpguard.config import Address
from smtpguard.net import Upstream
from smtpguard.service.warden import open_relay


def test_an_open_relay_names_the_cures() -> None:
    """The refusal says who relays for whom, and a cure for Postfix, Exim, others and those who know."""
    refusal = open_relay(Upstream("127.0.0.1", 10025), [Address("0.0.0.0", 25), Address("::", 25)])
    assert refusal.exit_code == 78
    for word in ("127.0.0.1:10025", "0.0.0.0:25, [::]:25", "master.cf", "mynetworks", "relay_from_hosts", "loopback",
                 "identity.i-know-this-is-an-open-relay = true"):  # fmt: skip
        assert word in str(refusal)
