"""From the configuration to what the network room is given: a `Door` for each listener, and the UPSTREAMs behind them.

Listeners that have the same UPSTREAM share it, so that it is resolved and probed once. But strangers and this machine
never share one: what is reached from loopback only is not probed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from smtpguard.config import Address, Config, Listener, listeners_of, session_policy
from smtpguard.net import Door, Route, Upstream
from smtpguard.service.startup import only_loopback


@dataclass(slots=True, eq=False)
class Way:
    """One UPSTREAM, and where its clients come in."""

    upstream: Upstream
    addresses: list[Address] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build."""

    doors: Mapping[str, Door]
    """By the listener's name."""
    ways: tuple[Way, ...]


def plan(config: Config) -> Plan:
    """Lay out the doors and the ways behind them."""
    ways: dict[tuple[Address, bool], Way] = {}
    routes: dict[tuple[Way, ...], Route] = {}
    doors = {}
    for listener in listeners_of(config):
        mine = tuple(_way(ways, address, listener, config) for address in listener.upstreams)
        route = routes.setdefault(mine, Route([way.upstream for way in mine]))
        doors[listener.name] = Door(listener.name, route, session_policy(listener, config.limits))
    return Plan(doors, tuple(ways.values()))


def lets_strangers_in(listener: Listener) -> bool:
    """Tell whether its UPSTREAM must be asked for whom it relays."""
    return not (only_loopback(listener.addresses) or listener.identity.i_know_this_is_an_open_relay)


def _way(ways: dict[tuple[Address, bool], Way], address: Address, listener: Listener, config: Config) -> Way:
    guarded = lets_strangers_in(listener)
    way = ways.get((address, guarded))
    if way is None:
        deadline = config.timeouts.connect
        upstream = Upstream(address.host, address.port, connect_deadline=deadline, guarded=guarded)
        way = ways[address, guarded] = Way(upstream)
    way.addresses += listener.addresses
    return way
