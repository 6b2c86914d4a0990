"""Would `run` start, and would mail flow? Each check is a row: what was looked at, a verdict, what was found, the cure.

The checks ask what `run` asks, by the same functions, and leave nothing behind: ports are opened and closed again, no
file is made, descriptor limits are those of this process. `examine` stays on this machine, `examine_upstreams` dials.
Certificates are not among them: no setting names one.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Final

import trio

from smtpguard.config import Address, Config, Listener, Loaded, Send, listeners_of, written
from smtpguard.net import STRANGER, Place, Unreachable, Upstream
from smtpguard.record import printable
from smtpguard.service.account import Account, account, acting_as
from smtpguard.service.descriptors import DEFAULT_SESSIONS, lift
from smtpguard.service.holder import holder
from smtpguard.service.interview import Interview, interview
from smtpguard.service.places import troubles
from smtpguard.service.plan import Planner, Way
from smtpguard.service.probe import Arrives, Probed, probe
from smtpguard.service.startup import (
    BAD_CONFIG,
    StartupError,
    examine_rights,
    only_loopback,
    open_listeners,
    sessions_at_once,
)
from smtpguard.service.warden import refusal

UNREACHABLE: Final = 69
"""EX_UNAVAILABLE of sysexits.h."""

LITTLE_SPACE: Final = 1 << 30
"""Octets free under the audit directory, below which a warning is due: some days of a busy server."""

SYSLOG: Final = Path("/dev/log")

WANTED: Final = (b"PIPELINING", b"CHUNKING", b"STARTTLS")
"""What most servers offer; a person wonders where one of them is missing."""


class Outcome(Enum):
    """What a check says."""

    GOOD = "good"
    WARNING = "warning"
    """`run` starts, and somebody should know."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Examined:
    """One row."""

    check: str
    """What was looked at: one word."""
    verdict: Outcome
    text: str
    cure: str = ""
    """What to do; may be empty where all is well."""
    exit_code: int = 0
    """What `check` ends with; of several the highest: 78 speaks before 69."""


def good(check: str, text: str) -> Examined:
    """Return a row of what is well."""
    return Examined(check, Outcome.GOOD, text)


def warning(check: str, text: str, cure: str) -> Examined:
    """Return a row of what somebody should know."""
    return Examined(check, Outcome.WARNING, text, cure)


def bad(check: str, refusal: StartupError | str, exit_code: int = BAD_CONFIG) -> Examined:
    """Return a row of what keeps `run` from starting; in our messages the cure stands behind a semicolon."""
    text, _, cure = str(refusal).partition("; ")
    return Examined(check, Outcome.BAD, text, cure, exit_code)


# --- this machine ----------------------------------------------------------------------------------------------------


def examine(loaded: Loaded) -> Iterator[Examined]:
    """Look at everything that `run` needs of this machine."""
    config = loaded.config
    yield from _configuration(loaded)
    yield from _listeners(listeners_of(config))
    try:
        whom = account(config)
        yield from _account(config, whom)
    except StartupError as refusal:
        yield bad("account", refusal)
        whom = None
    with acting_as(whom):
        rows = [*_rights(config), *_places(config)]
    yield from rows
    yield _descriptors(config)


def _configuration(loaded: Loaded) -> Iterator[Examined]:
    for old in loaded.warnings:
        text, _, cure = str(old).partition("; ")
        yield warning("configuration", text, cure)
    files = ", ".join(map(str, loaded.files)) or "no file"
    changed = sum(row.changed for row in written.shown(loaded))
    yield good("configuration", f"{files}: {changed} setting{'s' * (changed != 1)} changed")


def _listeners(listeners: tuple[Listener, ...]) -> Iterator[Examined]:
    each = [(listener, address) for listener in listeners for address in listener.addresses]
    # First all together, as `run` does: beside 0.0.0.0 a listener on [::] is opened in another way than alone.
    refusal = _refused(listeners)
    if refusal is None:
        yield from (good("listener", f"{_named(*one)} can be opened") for one in each)
        return
    rows = [_listener(*one) for one in each]
    yield from rows
    if all(row.verdict is Outcome.GOOD for row in rows):
        # Each can be had, but not all at once: two names of one address.
        yield bad("listener", refusal)


def _named(listener: Listener, address: Address) -> str:
    return str(address) if listener.name == str(address) else f"{address} ({listener.name})"


def _listener(listener: Listener, address: Address) -> Examined:
    refusal = _refused((replace(listener, addresses=(address,)),))
    if refusal is None:
        return good("listener", f"{_named(listener, address)} can be opened")
    other = holder(address.port) if "in use" in str(refusal) else None
    if other is None:
        return bad("listener", refusal)
    if other.manages_services:
        cure = "nothing, if a .socket unit passes it to `run`; otherwise another unit's ListenStream= has it"
        return warning("listener", f"{_named(listener, address)} is held by {other}", cure)
    if other.ours:
        cure = "nothing, if this is for its restart; a second one could not start"
        text = f"{_named(listener, address)} is held by a running smtpguard, pid {other.pid}"
        return warning("listener", text, cure)
    row = bad("listener", refusal)
    return replace(row, cure=row.cure.replace("another program", f"another program ({other})", 1))


def _refused(listeners: tuple[Listener, ...]) -> StartupError | None:
    try:
        opened = open_listeners(listeners)
    except StartupError as refusal:
        return refusal
    for each in opened:
        each.socket.close()
    return None


def _account(config: Config, whom: Account | None) -> Iterator[Examined]:
    if whom is not None:
        yield good("account", f"{whom.user} (uid {whom.uid}, gid {whom.gid})")
    elif os.geteuid() == 0 and not only_loopback(a for each in listeners_of(config) for a in each.addresses):
        cure = "set user, or let the service manager set the account"
        yield warning("account", "started like this, smtpguard stays root, which nothing in it needs", cure)


def _rights(config: Config) -> Iterator[Examined]:
    try:
        examine_rights(listeners_of(config))
    except StartupError as refusal:
        yield bad("identity", refusal)


def _places(config: Config) -> Iterator[Examined]:
    """Look at audit and log with the rights of the account that is to write them."""
    wrong = {trouble.partition(" ")[0]: trouble for trouble in troubles(config)}
    yield bad("audit", wrong["audit.directory"]) if "audit.directory" in wrong else _audit(config.audit.directory)
    if "privacy.addresses" in wrong:
        yield bad("privacy", wrong["privacy.addresses"])
    yield bad("log", wrong["log.target"]) if "log.target" in wrong else _log(config.log.target)


def _audit(directory: Path | None) -> Examined:
    if directory is None:
        return good("audit", "audit.directory is unset: findings are told in the log only")
    there = next(each for each in (directory.absolute(), *directory.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    text = f"{directory} can be written, {free / (1 << 30):.1f} GiB free"
    if free < LITTLE_SPACE:
        return warning("audit", text, "make room, or name a directory on a larger disk in audit.directory")
    return good("audit", text)


def _log(target: str) -> Examined:
    if target == "syslog" and not SYSLOG.is_socket():
        return warning("log", f"{SYSLOG} is not there", "start the syslog daemon, or set log.target = 'journal'")
    return good("log", f"{target} can be written" if "/" in target else target)


def _descriptors(config: Config) -> Examined:
    limit = lift()
    try:
        sessions = sessions_at_once(config, limit)
    except StartupError as refusal:
        return bad("descriptors", refusal)
    text = f"{sessions} sessions at once, of a descriptor limit of {limit}"
    if config.limits.sessions is None and sessions < DEFAULT_SESSIONS:
        return warning("descriptors", text, "raise it for more (LimitNOFILE=, ulimit -n)")
    return good("descriptors", text)


# --- the upstreams ---------------------------------------------------------------------------------------------------


async def examine_upstreams(config: Config) -> list[Examined]:
    """Dial each upstream: what it says, and whether it would relay for strangers through us."""
    # One that strangers can reach and this machine too stands there twice; the strangers' way is the one to judge.
    all_ways = sorted(Planner(config).plan().ways, key=lambda way: way.upstream.guarded)
    ways = {(str(way.upstream), way.send): way for way in all_ways}
    rows = []
    for way in ways.values():
        rows += await _upstream(way, config)
    return rows


async def _upstream(way: Way, config: Config) -> list[Examined]:
    upstream = way.upstream
    try:
        with trio.move_on_after(config.timeouts.connect):
            await upstream.resolve()
        said = await interview(upstream.connect, way.send)
    except Unreachable as error:
        cure = "start it, or set upstream; until then clients hear 421"
        return [bad("upstream", f"{upstream}: {error.reason}; {cure}", UNREACHABLE)]
    rows = list(_said(upstream, said))
    if said.hello is not None:
        rows += await _trust(way)
    return rows


def _said(upstream: Upstream, said: Interview) -> Iterator[Examined]:
    greeting = printable(said.greeting.raw.split(b"\r\n")[0], 120)
    if said.hello is None:
        cure = "see its log; where it waits for a PROXY header, set identity.send"
        yield Examined("upstream", Outcome.BAD, f"{upstream} refuses service: {greeting}", cure, UNREACHABLE)
        return
    yield good("upstream", f"{upstream} says {greeting} ({said.seconds * 1000:.1f} ms for a NOOP)")
    if said.hello.code >= 300:
        text = f"{upstream} answers EHLO with {said.hello.code}, so it offers no extension"
        yield warning("upstream", text, "most clients get along with HELO; see its log if this is not meant")
        return
    offered = ", ".join(printable(line, 80) for line in said.offers) or "nothing"
    words = {line.split(b" ", 1)[0].upper() for line in said.offers}
    missing = ", ".join(word.decode() for word in WANTED if word not in words)
    yield good("upstream", f"{upstream} offers {offered}" + (f"; not {missing}" if missing else ""))


async def _trust(way: Way) -> list[Examined]:
    upstream = way.upstream
    if way.send is Send.TRANSPARENT:
        return [good("upstream", f"{upstream} sees clients' own addresses; our own is not in play")]
    rows = []
    for place in upstream.addresses:
        rows += await _trust_at(way, place)
    # Several addresses that answer alike make one row.
    return list(dict.fromkeys(rows))


async def _trust_at(way: Way, place: Place) -> list[Examined]:
    upstream = way.upstream
    try:
        probed = await probe(partial(upstream.connect, place), way.send)
    except Unreachable as error:
        cure = "ask again later; where strangers can reach us, no client gets there until it answers the probe"
        return [warning("upstream", f"{upstream}: {error.reason}", cure)]
    refused = refusal(probed, way)
    if refused is not None and upstream.guarded:
        text, _, cure = str(refused).partition("\nNothing was started. ")
        return [Examined("upstream", Outcome.BAD, text.replace("\n", " "), cure, BAD_CONFIG)]
    if refused is not None:
        cure = "let nobody reach the listeners whom it may not relay for"
        return [warning("upstream", f"{upstream} relays mail of strangers for this machine", cure)]
    return [*_identity(way, probed), good("upstream", f"{upstream} refuses to relay for strangers through us")]


def _identity(way: Way, probed: Probed) -> Iterator[Examined]:
    """Tell whether the client's address arrives, and whether we are trusted more than we need."""
    upstream, send = way.upstream, way.send.value
    if probed.arrives is Arrives.SEEN:
        yield good("identity", f"{upstream} takes the client's address from us ({send}): it called us {STRANGER}")
    elif probed.arrives is Arrives.UNSEEN:
        text = f"{upstream} takes {send} without complaint, and repeats no address in its reply to EHLO"
        yield good("identity", f"{text}; its log has a session of {STRANGER}")
    if probed.authorised:
        text = f"{upstream} offers us XCLIENT: it would believe us any address"
        yield warning("identity", text, "nothing for clients' sake, SG405 keeps them from it; or set identity.send")
