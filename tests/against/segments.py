"""Sends pieces so that the peer reads each one alone: the next goes when the kernel holds nothing unread for the peer.

Without this the pieces of a split end of content would meet again in the peer's receive buffer, and nothing would be
split.
"""

from pathlib import Path

from tests.against.client import RawClient
from tests.against.deadline import wait_until

TABLE = Path("/proc/net/tcp")


def unread(port: int, client_port: int) -> int:
    """Return the octets that wait unread at `port` on the connection from `client_port`; 0 if there is none."""
    # Thousands of closed connections may stand in the table: find the row before reading it.
    _, found, row = TABLE.read_text().partition(f" 0100007F:{port:04X} 0100007F:{client_port:04X} ")
    return int(row.split()[1].split(":")[1], 16) if found else 0


def send_apart(client: RawClient, port: int, pieces: tuple[bytes, ...]) -> None:
    """Send each piece when the one before has been read by the process at `port`."""
    for piece in pieces:
        client.send(piece)
        wait_until(lambda: unread(port, client.port) == 0, "a piece to be read", pause=0.0005)
