"""What smtpguard costs, beside others that stand in front of the same mail server.

    python -m tests.bench [--rounds N] [--quick] [--only ROW]... [--peer NAME]... [--json FILE]

Every peer stands before one and the same null sink on loopback, all at once: `direct` (no peer), `haproxy` in TCP
mode on one thread, `naive` (a blind trio relay as one would write it first, the yardstick of what trio costs), and
`smtpguard` with full inspection and evidence. A round visits every peer in every load, both in random order, so that
a disturbance of the machine hits all alike; what is compared is the ratio of two peers *within a round*, its median
over the rounds, and the spread of that median, 1.57 IQR/√n. Absolute figures drift with the machine; effects within
the spread are none.

CPU is that of the peer's process tree by the kernel's own clock (user and system, all threads, nanoseconds), around
each load and until the peer is quiet again: what smtpguard writes a second later belongs to the load too. Memory is
the growth of PSS by idle sessions, in a process that is fresh but for a warm-up.

The load (`load.c`) checks every reply code; messages and octets are counted at the sink (`sink.c`) after every load,
and smtpguard's `session-end` events in its audit at the end. A count that differs is a failure: exit code 1. A peer
that is not installed is named and left out. A row that misses its mark is said in the table and is no failure of the
bench.

The rooms: `rows` what is measured and the marks; `programs` the two C programs; `peers` the relays; `meter` CPU and
memory of a process tree; `campaign` the order of it all; `evidence` counts in the audit; `figures` the statistics;
`setting` what it ran on; `report` the table. A further peer is one entry in `peers.PEERS`, a further row one in
`rows.ROWS`.
"""
