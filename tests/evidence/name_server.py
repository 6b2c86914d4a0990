"""A small real name server on loopback: it answers over UDP what a table says, or is silent where that says so."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Records = Mapping[tuple[str, str], list[str]]
"""(name, kind) -> the records as zone files write them; what is not in it does not exist."""

SILENT: Final = "silent"
BROKEN: Final = "broken"
"""Instead of a record: no answer at all, and SERVFAIL."""


@contextmanager
def name_server(records: Records) -> Iterator[tuple[str, int]]:
    """Serve for the length of a `with`; gives address and port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(udp, records), daemon=True)
        thread.start()
        address: tuple[str, int] = udp.getsockname()
        try:
            yield address
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", address)
            thread.join()


def _serve(udp: socket.socket, records: Records) -> None:
    while True:
        octets, client = udp.recvfrom(4096)
        if not octets:
            return
        if (answer := _answer(dns.message.from_wire(octets), records)) is not None:
            udp.sendto(answer.to_wire(max_size=65535), client)


def _answer(query: dns.message.Message, records: Records) -> dns.message.Message | None:
    question = query.question[0]
    name, kind = question.name.to_text(), question.rdtype.name
    found = records.get((name, kind))
    if found == [SILENT]:
        return None
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA | dns.flags.RA
    if found == [BROKEN]:
        answer.set_rcode(dns.rcode.SERVFAIL)
    elif found:
        answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
    elif not any(known == name for known, _ in records):
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer
