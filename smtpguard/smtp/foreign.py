"""Other protocols, told by their first octets: out of every client ranking, closed at once.

A client of another protocol that reaches an SMTP port is no misbehaving mail client. Left alone it would be answered
line by line, and a crafted HTTP POST would run its body as commands (ALPACA, USENIX Security 2021). Only the very
first octets of a session are looked at; the table is read from the top.
"""

import re
from typing import Final

from smtpguard.smtp import rules
from smtpguard.smtp.verdicts import Rule

HEAD: Final = 4096
"""Octets that are looked at."""

PROXY_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"
"""The first octets of a PROXY header, version 2."""

_FIRST_OCTETS: Final[tuple[tuple[re.Pattern[bytes], Rule], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), rule)
    for pattern, rule in (
        (re.escape(PROXY_V2), rules.SG404),
        (rb"PROXY (?:TCP[46]|UNKNOWN)[ \r]", rules.SG404),
        (rb"\x16\x03", rules.SG402),  # TLS handshake record
        (rb"\x80.\x01\x03", rules.SG402),  # SSL 2.0 ClientHello
        (rb"[A-Z]{3,16} [^ \r\n]{1,4000} HTTP/[0-9]", rules.SG401),
        (rb"PRI \* HTTP/2", rules.SG401),
        (rb"SSH-[0-9]", rules.SG403),
        (rb"[A-Z]{3,16} sips?:[^ \r\n]{1,4000} SIP/2", rules.SG403),
        (rb"[A-Z]{3,16} [^ \r\n]{1,4000} RTSP/[0-9]", rules.SG403),
        (rb"\x03\0[\0-\x10].[\x02-\xff]\xe0", rules.SG403),  # RDP: TPKT with a connection request
        (rb"\x04[\x01\x02].{6}", rules.SG403),  # SOCKS 4
        (rb"\x05[\x01-\x09][\0-\x09]", rules.SG403),  # SOCKS 5
        (rb"(?:stats|version|flush_all)\r?\n", rules.SG403),  # memcached
        (rb"(?:gets?|set|add|delete) [^\r\n]{1,250}\r?\n", rules.SG403),  # memcached
        (rb"\*[0-9]{1,4}\r\n\$[0-9]", rules.SG403),  # Redis
        (rb"<\?xml |<stream:stream", rules.SG403),  # XMPP
        (rb"\0\0..\xff?SMB", rules.SG403),
        (rb"\0\0..\xfeSMB", rules.SG403),
        (rb"(?:JRMI|GIOP|AMQP|MGLNDD_)", rules.SG403),
    )
)
_HEALTH_CHECK: Final = re.compile(
    rb"(?:OPTIONS|HEAD|GET) (?:/ |\* |/[^ ]*(?:health|ready|live|status|ping|check))", re.I
)


def recognise(head: bytes) -> Rule | None:
    """Return the rule that the first octets of a session break, None if they may be SMTP."""
    for pattern, rule in _FIRST_OCTETS:
        if pattern.match(head):
            return rule
    return None


def may_become_proxy_header(head: bytes) -> bool:
    """Return True while `head` is a beginning of a PROXY header of version 2, unless it is whole empty lines.

    A person who types Return wants an answer; a header comes in one segment, longer than this.
    """
    return len(head) < len(PROXY_V2) and PROXY_V2.startswith(head) and head not in _EMPTY_LINES


_EMPTY_LINES: Final = (b"", b"\r", b"\r\n", b"\r\n\r\n")


def is_health_check(head: bytes) -> bool:
    """Return True for a request of the kind that balancers and monitors send."""
    return _HEALTH_CHECK.match(head) is not None
