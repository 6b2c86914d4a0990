"""The PROXY protocol, both versions and both directions: octets in, octets out, no socket.

A balancer in front of us says in the first octets of a connection whose connection it is; so do we to UPSTREAM. The
specification is HAProxy's proxy-protocol.txt, to which the sections here refer.

`HeaderReader` is asked how many octets it wants and is given at most so many, so it never holds an octet that belongs
to SMTP or TLS: version 2 is read as 15, 1 and the rest, version 1 by its shortest possible rest. It says so with the
first octet that no header can have; only inside an IPv6 address it waits for the blank behind. Whether a header is due
is for the caller to know by who connected: "MUST not try to guess whether the protocol header is present or not".

Local is what was not relayed for anybody, or for nobody who can be named: LOCAL (a balancer's probe), UNKNOWN, and
PROXY with AF_UNSPEC. Then the block of addresses and TLVs is skipped unread ("discard the protocol block").

Refused, though a header: UNIX and datagram addresses, which no CLIENT of SMTP has; INET without a transport, which the
receiver is "free to reject"; a TLV that overruns its block; a wrong CRC32c; two TLVs of one type that we read. Port 0
is taken: "[0..65535] inclusive", and some balancers have no port to tell. TLVs that we do not read are passed over.

The package proxy-protocol (0.11.3) was tried as codec and not taken. It verifies a CRC32c only if another package
happens to be installed, and then over the TLVs sorted by type, so that a right one fails; it cuts off a TLV that
overruns; it takes families that "must be rejected". With version 1 checked before it, it would have nothing left to do.
"""

from smtpguard.net.proxy.header import BadHeader, Header
from smtpguard.net.proxy.reader import HeaderReader
from smtpguard.net.proxy.v1 import header_v1
from smtpguard.net.proxy.v2 import header_v2

__all__ = ["BadHeader", "Header", "HeaderReader", "header_v1", "header_v2"]
