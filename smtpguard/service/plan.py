"""From the configuration to what the network room is given: a `Door` for each listener, and the UPSTREAMs behind them.

Listeners that have the same UPSTREAM and introduce their clients alike share it, so that it is resolved and probed
once. But strangers and this machine never share one: what is reached from loopback only is not probed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from smtpguard.config import (
    Address,
    Choice,
    Config,
    Listener,
    Send,
    listeners_of,
    session_policy,
    transcript_exceptions,
)
from smtpguard.net import Door, Route, Told, Upstream
from smtpguard.service.startup import only_loopback


@dataclass(slots=True, eq=False)
class Way:
    """One UPSTREAM, who comes to it from where, and how it learns that."""

    upstream: Upstream
    send: Send
    addresses: list[Address] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build."""

    doors: Mapping[str, Door]
    """By the listener's name."""
    ways: tuple[Way, ...]
    routes: tuple[Route, ...]


class Planner:
    """Lays out doors, routes and ways of one configuration."""

    def __init__(self, config: Config, told: Told | None = None) -> None:
        self._config = config
        self._told = told
        self._ways: dict[tuple[Address, Send, bool], Way] = {}
        self._routes: dict[tuple[Choice, tuple[Way, ...]], Route] = {}

    def plan(self) -> Plan:
        """Return the whole."""
        doors = {listener.name: self._door(listener) for listener in listeners_of(self._config)}
        return Plan(doors, tuple(self._ways.values()), tuple(self._routes.values()))

    def _door(self, listener: Listener) -> Door:
        policy = session_policy(listener, self._config.limits, self._config.audit)
        exceptions = transcript_exceptions(self._config.audit)
        return Door(
            listener.name,
            self._route(listener),
            policy,
            arrival=listener.identity.arrival,
            balancers=listener.identity.accept_proxy_from,
            exceptions=tuple((network, replace(policy, transcript=mode)) for network, mode in exceptions),
        )

    def _route(self, listener: Listener) -> Route:
        ways = tuple(self._way(address, listener) for address in listener.upstreams)
        route = self._routes.get((listener.choice, ways))
        if route is None:
            timeouts = self._config.timeouts
            route = self._routes[listener.choice, ways] = Route(
                [way.upstream for way in ways],
                choice=listener.choice,
                send=listener.identity.send,
                connect_deadline=timeouts.connect,
                introduce_deadline=timeouts.greeting,
                told=self._told,
            )
        return route

    def _way(self, address: Address, listener: Listener) -> Way:
        send, guarded = listener.identity.send, is_probed(listener)
        way = self._ways.get((address, send, guarded))
        if way is None:
            deadline = self._config.timeouts.connect
            upstream = Upstream(address.host, address.port, connect_deadline=deadline, guarded=guarded)
            way = self._ways[address, send, guarded] = Way(upstream, send)
        way.addresses += listener.addresses
        return way


def lets_strangers_in(listener: Listener) -> bool:
    """Tell whether others than this machine can come in: past a balancer everybody can."""
    return bool(listener.identity.accept_proxy_from) or not only_loopback(listener.addresses)


def is_probed(listener: Listener) -> bool:
    """Tell whether its UPSTREAM must be asked for whom it relays, and whether clients' addresses arrive.

    Where it sees the client's own address as the peer there is nothing to ask: our own is not in play.
    """
    identity = listener.identity
    if identity.send is Send.TRANSPARENT or identity.i_know_this_is_an_open_relay:
        return False
    return lets_strangers_in(listener) or identity.send is not Send.NONE
