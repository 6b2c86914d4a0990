"""Do the settings agree with one another? What no single value can show.

outline        of the raw tree, so that it is said together with the mistakes of single values
disagreements  of a Config whose values are all right
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from smtpguard.config.address import LOCALHOST, Address
from smtpguard.config.lines import KeyPath
from smtpguard.config.listeners import Listener, listeners_of
from smtpguard.config.model import AuditSettings, Config, OnFailure

Complaint = tuple[KeyPath, str]
"""Where, and what is allowed there."""

WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_NAME_RULE: Final = "a name of a-z, 0-9 and '-', 32 characters at most, such as 'public'"


def outline(tree: dict[str, Any]) -> Iterator[Complaint]:
    """Find names that are none, and what is required and missing."""
    listeners = tree.get("listener", {})
    named = listeners if isinstance(listeners, dict) else {}
    for name in named:
        if not _NAME.fullmatch(name):
            yield ("listener", name), _NAME_RULE
    if not named and "listen" not in tree:
        yield ("listen",), "required"
    if "upstream" not in tree:
        alone = [name for name, own in named.items() if not (isinstance(own, dict) and "upstream" in own)]
        if "listen" in tree or not named:
            yield ("upstream",), "required"
        else:
            yield from ((("listener", name, "upstream"), "required") for name in alone)


def disagreements(config: Config) -> Iterator[Complaint]:
    """Find a group without its user, evidence that contradicts itself, addresses that two listeners want, and loops
    that can be seen."""
    if config.group is not None and config.user is None:
        yield ("group",), "only beside `user`; root that changes its group alone is root still"
    yield from _evidence(config.audit)
    listeners = listeners_of(config)
    yield from _twice(listeners)
    for listener in listeners:
        yield from _loops(listener, listeners)


def _evidence(audit: AuditSettings) -> Iterator[Complaint]:
    if audit.on_failure is OnFailure.REFUSE and audit.directory is None:
        yield ("audit", "on-failure"), "only beside `audit.directory`; without it nothing is written that could fail"
    for place, network in enumerate(audit.transcript_never):
        if network in audit.transcript_always:
            told = f"each network in one of the two lists; {network} is in audit.transcript-always too"
            yield ("audit", "transcript-never", place), told


def _twice(listeners: tuple[Listener, ...]) -> Iterator[Complaint]:
    taken: dict[Address, Listener] = {}
    for listener in listeners:
        for address in listener.addresses:
            other = taken.setdefault(address, listener)
            if other is not listener:
                yield _address_key(listener), f"each address once; {address} is in {other.key} too"


def _loops(listener: Listener, all_listeners: tuple[Listener, ...]) -> Iterator[Complaint]:
    """Find the loop that can be seen in the configuration; a session through it would open sessions for ever."""
    own = [address for each in all_listeners for address in each.addresses]
    for upstream in listener.upstreams:
        for address in own:
            if address.port == upstream.port and _reaches(upstream, address):
                yield _upstream_key(listener), f"another program's address; {address} is our own listener"
                return


def _address_key(listener: Listener) -> KeyPath:
    return ("listen",) if listener.key == "listen" else ("listener", listener.name, "address")


def _upstream_key(listener: Listener) -> KeyPath:
    return ("upstream",) if listener.key == "listen" else ("listener", listener.name, "upstream")


def _reaches(dialled: Address, listening: Address) -> bool:
    """Tell whether a dial to one host surely meets a listener on the other."""
    if dialled.host in (listening.host, *WILDCARDS):
        return True
    named = LOCALHOST in (dialled.host, listening.host)
    return dialled.is_loopback and (listening.host in WILDCARDS or (named and listening.is_loopback))
