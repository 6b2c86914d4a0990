"""Other protocols by their first octets, and the lines of SMTP that look like them."""

import pytest

from smtpguard.smtp.foreign import PROXY_V2, is_health_check, may_become_proxy_header, recognise


@pytest.mark.parametrize(
    ("head", "rule_id"),
    [
        (b"GET / HTTP/1.1\r\n", "SG401"),
        (b"PRI * HTTP/2.0\r\n", "SG401"),
        (b"PROPFIND /x HTTP/1.0\r\n", "SG401"),
        (b"\x16\x03\x01", "SG402"),
        (b"\x80\x2e\x01\x03\x01", "SG402"),
        (b"SSH-2.0-x\r\n", "SG403"),
        (b"INVITE sip:a SIP/2.0\r\n", "SG403"),
        (b"OPTIONS * RTSP/1.0\r\n", "SG403"),
        (b"\x03\0\0\x13\x0e\xe0\0", "SG403"),
        (b"\x04\x01\0\x50\1\2\3\4\0", "SG403"),
        (b"\x05\x01\0", "SG403"),
        (b"stats\r\n", "SG403"),
        (b"get key\r\n", "SG403"),
        (b"*1\r\n$4\r\nPING\r\n", "SG403"),
        (b"<?xml version", "SG403"),
        (b"\0\0\0\x54\xffSMB", "SG403"),
        (b"\0\0\0\x54\xfeSMB", "SG403"),
        (b"AMQP\0\0\x09\x01", "SG403"),
        (b"JRMI\0\x02K", "SG403"),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "SG404"),
        (b"PROXY UNKNOWN\r\n", "SG404"),
        (PROXY_V2 + b"\x21\x11", "SG404"),
    ],
)
def test_recognised(head: bytes, rule_id: str) -> None:
    """Each protocol has its rule."""
    rule = recognise(head)
    assert rule is not None
    assert rule.id == rule_id


@pytest.mark.parametrize(
    "head",
    [
        b"EHLO a\r\n",
        b"HELO HTTP/1.1\r\n",
        b"MAIL FROM:<a@http> X=HTTP/1\r\n"[:20],
        b"QUIT\r\n",
        b"\r\n",
        b"NOOP\r\n",
        b"HELP\r\n",
        b"GET\r\n",
        b"PROXY\r\n",
        b"VRFY stats\r\n",
        b"version x\r\n",
        b"STARTTLS\r\n",
        b"AUTH PLAIN x\r\n",
        b"\x16",
        b"",
    ],
)
def test_smtp_is_not_recognised(head: bytes) -> None:
    """A line of SMTP, odd ones too, and too few octets to tell."""
    assert recognise(head) is None


@pytest.mark.parametrize("length", range(15))
def test_a_proxy_header_that_is_coming(length: int) -> None:
    """From its third octet on a v2 signature is waited for, until it is whole; two empty lines are answered."""
    assert may_become_proxy_header(PROXY_V2[:length]) == (2 < length < 12 and length != 4)
    assert not may_become_proxy_header(b"\r\n\r\nEHLO"[:length]) or length == 3


@pytest.mark.parametrize(
    "line",
    [
        b"OPTIONS / HTTP/1.0",
        b"OPTIONS * HTTP/1.1",
        b"HEAD / HTTP/1.1",
        b"GET /healthz HTTP/1.1",
        b"GET /status HTTP/1.0",
    ],
)
def test_health_checks(line: bytes) -> None:
    """What balancers and monitors ask for."""
    assert is_health_check(line)


@pytest.mark.parametrize("line", [b"POST / HTTP/1.0", b"GET /index.php HTTP/1.1", b"CONNECT a:25 HTTP/1.1", b"EHLO a"])
def test_no_health_checks(line: bytes) -> None:
    """What they do not."""
    assert not is_health_check(line)
