"""Keeps strangers from an UPSTREAM that would relay their mail: asks it at the start, and when it was down.

Only an UPSTREAM that strangers can reach through us is asked: one behind a listener that is not on loopback.
"""

from collections.abc import Iterable
from typing import Final

import trio

from smtpguard.config import Address
from smtpguard.net import Unreachable, Upstream
from smtpguard.record import Recorder
from smtpguard.service.probe import Trust, probe
from smtpguard.service.startup import StartupError

RETRY: Final = 2.0
"""Seconds between two probes of an UPSTREAM that is down."""

DISTRUST: Final = 60.0
"""Seconds between two probes of an UPSTREAM that came back trusting strangers."""

OPEN_RELAY: Final = """\
{upstream} relays mail of strangers for this machine, and smtpguard cannot tell it yet who the client is: behind
smtpguard every client has this machine's address, so listening on {listen} would make an open relay.
Nothing was started. Cures, any one of them:
  Postfix: give smtpguard a service of its own in master.cf, one that trusts nobody by address:
      {port} inet n - y - - smtpd
        -o smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination
        -o smtpd_client_restrictions= -o mynetworks=
  Exim: take this machine's address out of relay_from_hosts (dpkg-reconfigure exim4-config, "relay mail for").
  Other servers: take this machine's address out of the list that may relay.
  Or listen on loopback only, or set identity.i-know-this-is-an-open-relay = true if only trusted clients reach
  {listen}.\
"""


def open_relay(upstream: Upstream, addresses: Iterable[Address]) -> StartupError:
    """Make the refusal to be an open relay."""
    return StartupError(OPEN_RELAY.format(upstream=upstream, listen=", ".join(map(str, addresses)), port=upstream.port))


class Warden:
    """Guards the way to one UPSTREAM.

    Args:
        upstream: it is admitted here, and nowhere else.
        addresses: where strangers come in.
        recorder: hears what an operator should know.
    """

    def __init__(self, upstream: Upstream, addresses: Iterable[Address], recorder: Recorder) -> None:
        self._upstream = upstream
        self._addresses = tuple(addresses)
        self._recorder = recorder

    async def examine(self) -> None:
        """Ask before the first client is let in; an UPSTREAM that is down is asked when it is up.

        Raises:
            StartupError: UPSTREAM would relay for strangers.
        """
        upstream = self._upstream
        try:
            trust = await probe(upstream.connect)
        except Unreachable as error:
            told = f"upstream {upstream}: {error.reason}; clients hear 421 until it answers the probe"
            self._recorder.note("warning", told)
            return
        if trust is Trust.RELAYS:
            raise open_relay(upstream, self._addresses)
        upstream.admitted = True

    async def keep_watch(self) -> None:
        """Ask again when UPSTREAM is down or came back: it may have been given another configuration."""
        upstream, pause = self._upstream, RETRY
        while True:
            await trio.sleep(pause)
            pause = RETRY
            if upstream.admitted:
                continue
            try:
                trust = await probe(upstream.connect)
            except Unreachable:
                continue
            if trust is Trust.RELAYS:
                self._recorder.note("error", f"{open_relay(upstream, self._addresses)}".partition("\n")[0])
                pause = DISTRUST
            else:
                upstream.admitted = True
                self._recorder.note("info", f"upstream {upstream} answers and refuses to relay for strangers")
