"""Tests of the network room: one relay in virtual time over memory streams, and the real sockets on loopback."""
