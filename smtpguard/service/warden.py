"""Keeps strangers from an UPSTREAM that would relay their mail: asks it at the start, and when it was down.

Asked is an UPSTREAM that strangers can reach through us, and one that is to take the client's address from us
(`plan.is_probed`).
"""

from collections.abc import Iterable
from functools import partial
from typing import Final

import trio

from smtpguard.config import Address, Send
from smtpguard.net import Place, Unreachable, Upstream
from smtpguard.record import Recorder
from smtpguard.service.plan import Way
from smtpguard.service.probe import Arrives, Probed, Trust, probe
from smtpguard.service.startup import StartupError

RETRY: Final = 2.0
"""Seconds between two probes of an UPSTREAM that is down."""

DISTRUST: Final = 60.0
"""Seconds between two probes of an UPSTREAM that came back trusting strangers."""

OPEN_RELAY: Final = """\
{upstream} relays mail of strangers {whom}, so listening on {listen} would make an open relay.
Nothing was started. Cures, any one of them:
{cures}
  Or listen on loopback only, or set identity.i-know-this-is-an-open-relay = true if only trusted clients reach
  {listen}.\
"""

FOR_US: Final = "for this machine, and is not told who the client is: for it every client has this machine's address"

FOR_ALL: Final = "whoever they are"

TELL_IT: Final = """\
  Tell it who the client is: identity.send = "proxy-v2", and what is to be changed there:
  Postfix: in master.cf a service of its own, which nobody but smtpguard can reach:
      {port} inet n - y - - smtpd
        -o smtpd_upstream_proxy_protocol=haproxy
  Exim (the heavy daemon): hosts_proxy = <this machine's address>
  OpenSMTPD: listen on <interface> port {port} proxy-v2
  Haraka: connection.ini, [haproxy]: enabled=true, hosts[]=<this machine's address>; identity.send = "proxy-v1"
  Or let it trust nobody there. Postfix, for that service in master.cf:
        -o smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination
        -o smtpd_client_restrictions= -o mynetworks=
  Exim: take this machine's address out of relay_from_hosts. Others: out of the list that may relay.\
"""

MEND_IT: Final = """\
  It relays for 192.0.2.1, an address of nobody: mend its relay restrictions (Postfix: mynetworks,
  smtpd_relay_restrictions; Exim: relay_from_hosts; OpenSMTPD: match from any; Haraka: the relay plugin).\
"""

NOT_TOLD: Final = """\
{upstream} reads the PROXY header of identity.send = "{send}" as commands: it is not told who the client is.
Nothing was started. Cures, any one of them:
  Postfix: -o smtpd_upstream_proxy_protocol=haproxy for this service in master.cf
  Exim (the heavy daemon): hosts_proxy = <this machine's address>
  OpenSMTPD: proxy-v2 behind its listen on line; it knows version 2 only
  Haraka: connection.ini, [haproxy]: enabled=true, hosts[]=<this machine's address>; identity.send = "proxy-v1"
  Or set identity.send = "none".\
"""


NO_XCLIENT: Final = """\
{upstream} takes no XCLIENT from us (identity.send = "xclient"): it is not told who the client is.
Nothing was started. Cures, any one of them:
  Postfix: smtpd_authorized_xclient_hosts = <this machine's address> for this service in master.cf (-o)
  Or set identity.send = "proxy-v2" and what belongs to it there, or "none".\
"""


def open_relay(upstream: Upstream, addresses: Iterable[Address], send: Send = Send.NONE) -> StartupError:
    """Make the refusal to be an open relay."""
    told = send is not Send.NONE
    cures = MEND_IT if told else TELL_IT.format(port=upstream.port)
    listening = ", ".join(map(str, addresses))
    whom = FOR_ALL if told else FOR_US
    return StartupError(OPEN_RELAY.format(upstream=upstream, listen=listening, whom=whom, cures=cures))


def refusal(probed: Probed, way: Way) -> StartupError | None:
    """Return why clients must not get there; None: they may."""
    if probed.arrives is Arrives.NOT:
        text = NO_XCLIENT if way.send is Send.XCLIENT else NOT_TOLD
        return StartupError(text.format(upstream=way.upstream, send=way.send.value))
    return open_relay(way.upstream, way.addresses, way.send) if probed.trust is Trust.RELAYS else None


class Warden:
    """Guards the way to one UPSTREAM.

    Args:
        way: its UPSTREAM is admitted here, and nowhere else.
        recorder: hears what an operator should know.
    """

    def __init__(self, way: Way, recorder: Recorder) -> None:
        self._way = way
        self._recorder = recorder

    async def examine(self) -> None:
        """Ask before the first client is let in, at each address; one that is down is asked when it is up.

        Raises:
            StartupError: UPSTREAM would relay for strangers, or is not told who they are though it should be.
        """
        for place in self._way.upstream.shut:
            try:
                refused = await self._ask(place)
            except Unreachable as error:
                told = f"upstream {self._named(place)}: {error.reason}; no client gets there until it answers the probe"
                self._recorder.note("warning", told)
            else:
                if refused is not None:
                    raise refused

    async def keep_watch(self) -> None:
        """Ask again where UPSTREAM was down, came back or has a new address: it may have another configuration."""
        distrusted: dict[Place, float] = {}
        while True:
            await trio.sleep(RETRY)
            for place in self._way.upstream.shut:
                if trio.current_time() >= distrusted.get(place, 0.0):
                    distrusted[place] = await self._watch(place)

    async def _watch(self, place: Place) -> float:
        """Ask one address, and return when it is to be asked again at the earliest."""
        try:
            refused = await self._ask(place)
        except Unreachable:
            return 0.0
        if refused is None:
            told = f"upstream {self._named(place)} answers and refuses to relay for strangers"
            self._recorder.note("info", told)
            return 0.0
        what = str(refused).partition("\n")[0]
        self._recorder.note("error", f"{what} No client gets there; `smtpguard check --live` tells the cures")
        return trio.current_time() + DISTRUST

    async def _ask(self, place: Place) -> StartupError | None:
        """Probe one address; it is admitted if nothing speaks against it."""
        upstream = self._way.upstream
        refused = refusal(await probe(partial(upstream.connect, place), self._way.send), self._way)
        if refused is None:
            upstream.admit(place)
        return refused

    def _named(self, place: Place) -> str:
        upstream, host = self._way.upstream, str(place[1][0])
        return str(upstream) if host == upstream.host else f"{upstream} ({host})"
