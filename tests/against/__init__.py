"""smtpguard against real mail servers and real clients, all on loopback.

Upstreams: Postfix, Exim and aiosmtpd, run by the tests on free ports and stopped by process id. The guard is the real
program, `python -m smtpguard run`, as a process of its own. Between the guard and its upstream stands a `Tap`, so that
"it never came" is proved by recorded octets.

A program that is missing skips its tests by name, with the line that installs it (`programs`).
"""
