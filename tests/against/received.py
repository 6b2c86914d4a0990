"""The sink that keeps what it else takes off: the `Received` field, in which a mail server tells whom it met."""

import asyncio

from tests.against.deadline import wait_until
from tests.against.sink import RECEIVED, Sink


class KeepingSink(Sink):
    """`received` holds the topmost `Received` field by forward path, folded lines and all."""

    def __init__(self) -> None:
        self.received: dict[bytes, str] = {}
        super().__init__()

    def received_by(self, forward_path: bytes) -> str:
        """Return the field of the message for a forward path, as soon as it has come."""
        what = f"message for {forward_path!r} at the sink"
        wait_until(lambda: forward_path in self.received, what)
        return self.received[forward_path]

    async def _content(
        self, reader: asyncio.StreamReader, reverse_path: bytes, forward_paths: tuple[bytes, ...]
    ) -> None:
        lines = [await reader.readuntil(b"\r\n")]
        while lines[-1] != b".\r\n":
            lines.append(await reader.readuntil(b"\r\n"))
        whole = b"".join(lines)
        found = RECEIVED.match(whole)
        for forward_path in forward_paths:
            self.received[forward_path] = found[0].decode("ascii") if found else ""
        again = asyncio.StreamReader()
        again.feed_data(whole)
        await super()._content(again, reverse_path, forward_paths)
