"""A stand-in for Dovecot's auth service, so that Postfix can offer AUTH without Dovecot: user `ann`, password `secret`.

It speaks as much of Dovecot's auth protocol (https://doc.dovecot.org/developer_manual/design/auth_protocol/) as Postfix
asks for: the handshake, PLAIN and LOGIN, one step or several.
"""

import base64
import os
import socket
import threading
from pathlib import Path

HANDSHAKE = b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n"
PLAIN = b"\0ann\0secret"
LOGIN = [b"ann", b"secret"]
ASKED = (b"Username:", b"Password:")


def verdict(mechanism: bytes, answers: list[bytes]) -> tuple[bytes, bytes]:
    """Return (word, rest): OK, FAIL, or CONT with the next challenge."""
    if mechanism == b"PLAIN":
        if not answers:
            return b"CONT", b""
        return (b"OK" if answers[0] == PLAIN else b"FAIL"), b"user=ann"
    if len(answers) < len(LOGIN):
        return b"CONT", base64.b64encode(ASKED[len(answers)])
    return (b"OK" if answers == LOGIN else b"FAIL"), b"user=ann"


class SaslStandIn:
    """Listens on a Unix socket at `path`."""

    def __init__(self, path: Path, owner: int) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        os.chown(path, owner, -1)
        self._listener.listen(50)
        self._thread = threading.Thread(target=self._accept, name="sasl", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        open_exchanges = dict[bytes, tuple[bytes, list[bytes]]]()
        with peer, peer.makefile("rb") as lines:
            peer.sendall(HANDSHAKE)
            for line in lines:
                word, *fields = line.rstrip(b"\n").split(b"\t")
                if word == b"AUTH":
                    initial = [base64.b64decode(one[5:]) for one in fields if one.startswith(b"resp=")]
                    open_exchanges[fields[0]] = (fields[1], initial)
                elif word == b"CONT":
                    open_exchanges[fields[0]][1].append(base64.b64decode(fields[1]))
                else:
                    continue
                answer, rest = verdict(*open_exchanges[fields[0]])
                peer.sendall(b"\t".join((answer, fields[0], rest)) + b"\n")
