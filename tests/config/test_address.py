"""HOST:PORT: every spelling that is taken, and the cure for every one that is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpguard.config import Address, parse_address

GOOD = {
    "127.0.0.1:25": Address("127.0.0.1", 25),
    "0.0.0.0:1": Address("0.0.0.0", 1),
    "[::]:25": Address("::", 25),
    "[2001:DB8:0::1]:65535": Address("2001:db8::1", 65535),
    "localhost:2525": Address("localhost", 2525),
    "mx_1.Example-Host.net.:25": Address("mx_1.Example-Host.net.", 25),
}


@pytest.mark.parametrize("text", GOOD)
def test_good(text: str) -> None:
    """Addresses are kept in the spelling of `ipaddress`, names as they are."""
    assert parse_address(text) == GOOD[text]


@pytest.mark.parametrize("address", GOOD.values(), ids=str)
def test_spelling_comes_back(address: Address) -> None:
    """What `str` writes is read as the same address."""
    assert parse_address(str(address)) == address


def test_value_passes() -> None:
    """A value made by code is taken as it is, port 0 too."""
    assert parse_address(Address("127.0.0.1", 0)) == Address("127.0.0.1", 0)


BAD = {
    "": "the port is missing",
    "localhost": "the port is missing, as in 127.0.0.1:25",
    ":25": "0.0.0.0:25",
    "*:25": "0.0.0.0:25",
    "::1:25": "brackets",
    "::1": "brackets",
    "2001:db8::1:25": "brackets",
    "[::1]": "[2001:db8::1]:25",
    "[::1": "[2001:db8::1]:25",
    "[::1]25": "[2001:db8::1]:25",
    "[]:25": "0.0.0.0:25",
    "[127.0.0.1]:25": "no IPv6 address",
    "[localhost]:25": "no IPv6 address",
    "1.2.3:25": "no IPv4 address",
    "256.1.1.1:25": "no IPv4 address",
    "25:25": "no IPv4 address",
    "a b:25": "neither an address nor a host name",
    "-a:25": "neither an address nor a host name",
    "a..b:25": "neither an address nor a host name",
    f"{'a' * 64}:25": "neither an address nor a host name",
    f"{'a.' * 127}:25": "neither an address nor a host name",
    "host\n:25": "neither an address nor a host name",
    "mail.example.net:": "from 1 to 65535",
    "127.0.0.1:0": "from 1 to 65535",
    "127.0.0.1:65536": "from 1 to 65535",
    "127.0.0.1:70000": "from 1 to 65535",
    "127.0.0.1:-1": "from 1 to 65535",
    "127.0.0.1:+25": "from 1 to 65535",
    "127.0.0.1: 25": "from 1 to 65535",
    "127.0.0.1:\u0662\u0665": "from 1 to 65535",
    "127.0.0.1:smtp": "from 1 to 65535",
    "127.0.0.1:25\n": "from 1 to 65535",
}


@pytest.mark.parametrize("text", BAD)
def test_bad(text: str) -> None:
    """What is no address is refused with its cure."""
    with pytest.raises(ValueError) as caught:
        parse_address(text)
    assert str(caught.value).startswith("HOST:PORT")
    assert BAD[text] in str(caught.value)


@pytest.mark.parametrize("value", [25, None, ["127.0.0.1:25"], True, b"127.0.0.1:25"])
def test_no_text(value: object) -> None:
    """Another type is refused."""
    with pytest.raises(ValueError, match="HOST:PORT in quotes"):
        parse_address(value)


@given(st.text() | st.from_regex(r"\[?[0-9a-f:.]*\]?:?[0-9]*"))
def test_any_text(text: str) -> None:
    """Any text is an address that comes back, or a ValueError."""
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert parse_address(str(address)) == address
