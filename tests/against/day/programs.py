"""The sessions of real programs: swaks, Python's smtplib, Postfix's smtp-source.

swaks and smtplib bind to their host's address themselves. smtp-source cannot: it dials a `Carrier`, which dials the
guard from the planned address and carries octets both ways. What smtplib is made to say is what the programs of the
stories said (see `test_stories`): it has the commands, and does not mind their order.
"""

import smtplib
import ssl
import subprocess
from collections.abc import Callable
from typing import Final

import trio

from tests.against.day.kinds import Found, Kind
from tests.against.programs import program

ANN, BOB, NOBODY = "ann@client.example", "bob@up.example", "nobody@up.example"
CONTENT: Final = b"Subject: by a program\r\n\r\n.text\r\n"
PATIENCE: Final = 60.0
"""Seconds that a program may take for one command."""

SMTP_SOURCE: Final = "smtp-source, one message"

PROGRAMS: Final[dict[str, Kind]] = {
    "swaks, one message": Kind(program="swaks", messages=1),
    "swaks, its only recipient refused": Kind(
        program="swaks", consequences=(Found("SG104", "all-recipients-refused"),)),
    "smtplib, one message": Kind(program="smtplib", messages=1),
    "smtplib, starttls": Kind(program="smtplib", visible="until-starttls", close=""),
    "smtplib, connection given back in a transaction": Kind(
        program="smtplib", messages=1, found=(Found("SG105", "pooled-connection"),)),
    "smtplib, a loop without rset": Kind(
        program="smtplib", found=(Found("SG105", "all-recipients-refused", 3),)),
    SMTP_SOURCE: Kind(program="smtp-source", messages=1),
}  # fmt: skip


def run(title: str, *, source: tuple[str, int], port: int, name: str) -> str:
    """Play one session with its program; blocks.

    Args:
        title: the kind's.
        source: our own address and port.
        port: the guard's, at 127.0.0.1.
        name: for EHLO.

    Returns:
        What went otherwise than planned; empty if nothing did.
    """
    try:
        if title in _SWAKS:
            return _swaks(title, source, port, name)
        with smtplib.SMTP("127.0.0.1", port, local_hostname=name, source_address=source, timeout=PATIENCE) as client:
            return _SMTPLIB[title](client)
    except (OSError, smtplib.SMTPException, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {error}"


def smtp_source(port: int, sessions: int) -> None:
    """Send so many messages, each in a session of its own, two at a time; blocks.

    Raises:
        subprocess.SubprocessError: it failed, or took longer than two minutes.
    """
    subprocess.run(
        [program("smtp-source"), "-s", "2", "-m", str(sessions), "-f", ANN, "-t", BOB, f"127.0.0.1:{port}"],
        check=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip


_SWAKS: Final = {
    "swaks, one message": (0, BOB, ()),
    # 26: all recipients were refused.
    "swaks, its only recipient refused": (24, NOBODY, ("--pipeline",)),
}


def _swaks(title: str, source: tuple[str, int], port: int, name: str) -> str:
    wanted, to, options = _SWAKS[title]
    done = subprocess.run(
        [
            program("swaks"), "--server", "127.0.0.1", "--port", str(port), "--local-interface", source[0],
            "--local-port", str(source[1]), "--helo", name, "--from", ANN, "--to", to, *options,
        ],
        capture_output=True, text=True, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return "" if done.returncode == wanted else f"swaks ended with {done.returncode}:\n{done.stdout}{done.stderr}"


def _one_message(client: smtplib.SMTP) -> str:
    refused = client.sendmail(ANN, [BOB], CONTENT)
    return f"refused: {refused}" if refused else ""


def _starttls(client: smtplib.SMTP) -> str:
    # Whose certificate it is, is not what this is about.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client.starttls(context=context)
    return _one_message(client)


def _given_back(client: smtplib.SMTP) -> str:
    """Two users of a pool: the first is done with one message and gives up in the next, the second begins."""
    client.sendmail(ANN, [BOB], CONTENT)
    codes = [client.mail(ANN)[0], client.rcpt(BOB)[0], client.mail(ANN)[0]]
    return "" if codes == [250, 250, 503] else f"heard {codes}"


def _loop(client: smtplib.SMTP) -> str:
    """Four messages in a loop, the first to a bad address; after an error the loop goes on with the next message."""
    client.ehlo()
    codes = [client.mail(ANN)[0], client.rcpt(NOBODY)[0], *(client.mail(ANN)[0] for _ in range(3))]
    return "" if codes == [250, 550, 503, 503, 503] else f"heard {codes}"


_SMTPLIB: Final[dict[str, Callable[[smtplib.SMTP], str]]] = {
    "smtplib, one message": _one_message,
    "smtplib, starttls": _starttls,
    "smtplib, connection given back in a transaction": _given_back,
    "smtplib, a loop without rset": _loop,
}


class Carrier:
    """Carries each connection to one port of 127.0.0.1 on to the guard, from the next of some addresses."""

    def __init__(self, sources: list[tuple[str, int]], guard: int) -> None:
        self._sources = iter(sources)
        self._guard = guard

    async def serve(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen at a free port, which `task_status` is told, until cancelled."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        task_status.started(listener.socket.getsockname()[1])
        await trio.serve_listeners(self._carry, [listener])

    async def _carry(self, near: trio.SocketStream) -> None:
        far = await dial(next(self._sources), self._guard)
        async with near, far, trio.open_nursery() as nursery:
            nursery.start_soon(_pump, near, far)
            await _pump(far, near)
            nursery.cancel_scope.cancel()


async def _pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
    try:
        async for octets in source:
            await sink.send_all(octets)
        await sink.send_eof()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the other side has gone


async def dial(source: tuple[str, int], port: int) -> trio.SocketStream:
    """Connect to a port of 127.0.0.1 from an address and port of our own."""
    dialling = trio.socket.socket()
    dialling.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
    await dialling.bind(source)
    await dialling.connect(("127.0.0.1", port))
    return trio.SocketStream(dialling)
