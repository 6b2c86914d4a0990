"""Plays a session of `sessions`, and compares two plays octet for octet.

`MASKS` is all that may differ: names that a server makes anew for each message.
"""

import re
import ssl
from dataclasses import dataclass
from typing import Final

from tests.against.client import RawClient
from tests.against.sessions import HalfClose, Say, StartTls, Step
from tests.against.tap import Tap

MASKS: Final = (
    # Postfix: the queue id.
    re.compile(rb"(?<= queued as )[0-9A-F]{6,20}(?=\r\n)"),
    # Exim: the message id.
    re.compile(rb"(?<= id=)[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}(?=\r\n)"),
)


@dataclass(frozen=True, slots=True)
class Played:
    """One session as it went."""

    heard: bytes
    """All that CLIENT was told; behind STARTTLS in the clear."""
    upstream: bytes
    """All that UPSTREAM was sent; of TLS the first octet only, the rest is never the same twice."""


def masked(octets: bytes) -> bytes:
    """Return octets less what may differ."""
    for mask in MASKS:
        octets = mask.sub(b"*", octets)
    return octets


def differences(direct: Played, guarded: Played) -> list[str]:
    """Return the two sides of a session that are not the same, by name."""
    found = []
    if masked(direct.heard) != masked(guarded.heard):
        found.append(f"CLIENT heard {guarded.heard!r}, directly {direct.heard!r}")
    if direct.upstream != guarded.upstream:
        found.append(f"UPSTREAM was sent {guarded.upstream!r}, directly {direct.upstream!r}")
    return found


def play(steps: tuple[Step, ...], port: int, tap: Tap, tls: ssl.SSLContext) -> Played:
    """Say a session at `port`, and return it with what came by at `tap` before the upstream."""
    mark = len(tap.recordings)
    clear: int | None = None
    with RawClient(port) as client:
        client.reply()
        for step in steps:
            match step:
                case HalfClose():
                    client.half_close()
                case StartTls():
                    clear = len(client.said)
                    client.start_tls(tls)
                case Say(pieces, replies):
                    client.send(*pieces)
                    for _ in range(replies):
                        client.reply()
                case bytes():
                    client.send(step)
                    client.reply()
        client.rest()
    sent = bytes(tap.only_since(mark).up)
    return Played(bytes(client.heard), sent if clear is None else sent[: clear + 1])
