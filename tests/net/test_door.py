"""What the clients that come in at a door are told."""

from dataclasses import replace
from ipaddress import ip_network

from smtpguard.net import Door, Route, Upstream
from smtpguard.smtp import policy_for


def test_policy_of_a_network() -> None:
    """The first network that holds the client speaks; without any the door's own policy does."""
    common, narrow, wide = policy_for(), policy_for(), policy_for()
    door = Door("d", Route([Upstream("127.0.0.1", 25)]), common)
    assert door.policy_for("192.0.2.1") is common
    door = replace(door, exceptions=((ip_network("192.0.2.0/28"), narrow), (ip_network("192.0.2.0/24"), wide)))
    told = [door.policy_for(ip) for ip in ("192.0.2.1", "192.0.2.16", "198.51.100.1", "2001:db8::1")]
    for found, expected in zip(told, (narrow, wide, common, common), strict=True):
        assert found is expected
