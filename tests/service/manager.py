"""The service manager's end of NOTIFY_SOCKET, as a test has it."""

import socket


class Manager:
    """A unix datagram socket at `address`: a path, or `@name` of the abstract kind."""

    def __init__(self, address: str, patience: float = 20.0) -> None:
        """Listen; a word may take `patience` seconds."""
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(patience)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    def heard(self) -> list[str]:
        """Return the lines of the next datagram.

        Raises:
            TimeoutError: none came in time.
        """
        return self.socket.recv(4096).decode().split("\n")

    def wait_for(self, word: str) -> list[str]:
        """Return the next datagram that holds this line; those before it are dropped.

        Raises:
            TimeoutError: the next one of any kind did not come in time.
        """
        while word not in (lines := self.heard()):
            pass
        return lines

    def close(self) -> None:
        """Leave."""
        self.socket.close()
