"""A blind relay as one would write it first with trio: the yardstick of what trio itself costs.

`python -m tests.bench.naive LISTEN_PORT UPSTREAM_PORT`, both on 127.0.0.1. One nursery and two pumps of 64 KiB a
session; it knows no SMTP, has no deadlines and keeps no record.
"""

import sys
from functools import partial

import trio

CHUNK = 64 * 1024


async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
    """Carry octets one way until the end, and hand the end on; a reset ends it too."""
    try:
        while data := await source.receive_some(CHUNK):
            await sink.send_all(data)
        await sink.send_eof()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        await source.aclose()
        await sink.aclose()


async def relay(upstream_port: int, client: trio.SocketStream) -> None:
    """Serve one client."""
    async with client, await trio.open_tcp_stream("127.0.0.1", upstream_port) as upstream, trio.open_nursery() as pumps:
        pumps.start_soon(pump, client, upstream)
        pumps.start_soon(pump, upstream, client)


async def main(listen_port: int, upstream_port: int) -> None:
    """Listen and relay until the process is ended."""
    await trio.serve_tcp(partial(relay, upstream_port), listen_port, host="127.0.0.1")


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]))
