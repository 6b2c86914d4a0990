"""`smtpguard replay`: recorded sessions under the rules of today and under proposed ones.

What is read and ruled on is `smtpguard.evidence.replay`'s; this module makes the two sets of rules of files and
options, runs through the sources, and ends with the exit code. `replay_screen` lays the result out.
"""

import os
import time
from collections.abc import Iterable, Iterator
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from smtpguard.cli.screen import Style, as_json, fail, say, styled

if TYPE_CHECKING:
    from smtpguard.config import ConfigError, Loaded
    from smtpguard.evidence.replay.replay import Book, Played
    from smtpguard.evidence.replay.sources import Asked, Source
    from smtpguard.evidence.replay.sums import Summary

FOUND: Final = 1
"""Something was found that --fail-on asks for."""

USAGE: Final = 2
UNAVAILABLE: Final = 69
BAD_CONFIG: Final = 78

WANTED: Final = ("change", "violation", "any")

_PROFILES: Final = ("strict", "standard", "lenient")


def _wanted(_context: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> tuple[str, ...]:
    """Return what --fail-on names: its words, or rules' ids."""
    from smtpguard.evidence import UnknownRuleError  # noqa: PLC0415 - `--help` needs none
    from smtpguard.evidence.explain import rule_called  # noqa: PLC0415 - as above

    try:
        return tuple(word if word in WANTED else rule_called(word).id for word in words)
    except UnknownRuleError as error:
        raise click.BadParameter(f"{error}; or say {', '.join(WANTED)}", param=parameter) from None


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The rules of today; without it those of /etc/smtpguard/smtpguard.toml, or the defaults.",
)
@click.option(
    "--proposed",
    "proposed_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The proposed rules; without it those of today, changed by --profile and --set.",
)
@click.option("--profile", type=click.Choice(_PROFILES), help="Propose this profile: --set policy.profile=NAME.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Propose one setting; may be given again: --set policy.rules.SG105=note.",
)
@click.option(
    "--listener", metavar="NAME", default="", help="Judge by the rules of this listener; else by the first's."
)
@click.option(
    "--port",
    "ports",
    type=click.IntRange(1, 65535),
    multiple=True,
    default=(25, 587),
    show_default=True,
    help="Port of the mail server in captures; may be given again.",
)
@click.option("--since", metavar="TIME", help="Of the audit only events from this time on: 7d, 12h, 2026-11-23, ...")
@click.option("--until", metavar="TIME", help="Of the audit only events before this time.")
@click.option("--timezone", metavar="ZONE", help="Read and show times in this zone; else the local one.")
@click.option("--sessions", "each_wanted", is_flag=True, help="With --json: a line for each session, the sums last.")
@click.option("--json", "json_wanted", is_flag=True, help="Print one JSON document.")
@click.option(
    "--fail-on",
    "wanted",
    callback=_wanted,
    multiple=True,
    metavar="RULE|change|violation|any",
    help="Exit 1 if the proposed rules find this; may be given again.",
)
def replay(  # noqa: PLR0913 - click hands options over as arguments
    *,
    files: tuple[Path, ...],
    file: Path | None,
    proposed_file: Path | None,
    profile: str | None,
    assignments: tuple[str, ...],
    listener: str,
    ports: tuple[int, ...],
    since: str | None,
    until: str | None,
    timezone: str | None,
    each_wanted: bool,
    json_wanted: bool,
    wanted: tuple[str, ...],
) -> None:
    """Run recorded sessions through the engine under other rules.

    FILE is a packet capture (pcap, pcapng, gzipped or not), an audit directory or a segment of one, or a pasted
    transcript. What was recorded, or what today's rules give, is set against what the proposed rules give, by host and
    rule.

    Would it hurt to enforce the strict profile?

    \b
      smtpguard replay /var/lib/smtpguard --profile strict
      smtpguard replay monday.pcap --set policy.rules.SG202=close --fail-on change

    Exit codes: 0 done, 1 found what --fail-on asks for, 2 usage, 65 no capture, segment or transcript, 66 no such
    file or nothing in it, 69 an extra is missing, 74 cannot be read, 78 bad configuration.
    """
    if each_wanted and not json_wanted:
        raise click.UsageError("--sessions goes with --json")
    zone, name = _zone(timezone)
    _need_extra()
    from smtpguard.evidence.replay.sources import Asked  # noqa: PLC0415 - `--help` needs none
    from smtpguard.evidence.replay.sums import Summary, meets  # noqa: PLC0415 - as above

    proposals = ([f"policy.profile={profile}"] if profile else []) + list(assignments)
    now = _book(file, ())
    proposed = _book(proposed_file or file, proposals) if proposals or proposed_file else now
    _check_listener(listener, proposed)
    asked = Asked(
        now=now,
        proposed=proposed,
        ports=frozenset(ports),
        listener=listener,
        since=_time("--since", since, zone),
        until=_time("--until", until, zone),
    )
    summary, kinds = Summary(), list[str]()
    for played in _played(files, asked, kinds):
        summary.add(played)
        if each_wanted:
            _say_line(played)
    _show(summary, kinds, zone, name, json_wanted=json_wanted, each_wanted=each_wanted)
    if any(meets(summary, one) for one in wanted):
        raise SystemExit(FOUND)


def _need_extra() -> None:
    try:
        import dpkt  # type: ignore[import-untyped] # noqa: F401, PLC0415 - it has no types, and `--help` needs none
    except ImportError:
        fail("smtpguard replay needs the extra \"report\": pip install 'smtpguard[report]'", UNAVAILABLE)


def _played(files: Iterable[Path], asked: "Asked", kinds: list[str]) -> "Iterator[Played]":
    """Yield the sessions of all sources; those that are none are told and end all, behind the others."""
    from smtpguard.evidence.replay.sources import SourceError, source_of  # noqa: PLC0415 - as above

    code = 0
    for path in files:
        try:
            source = source_of(path, asked)
            yield from source
            kinds.append(source.kind)
            _warn(source)
        except SourceError as error:
            say(str(error), err=True)
            code = code or error.code
    if code and not kinds:
        raise SystemExit(code)
    if code:
        kinds.append(f"!{code}")


def _warn(source: "Source") -> None:
    for sentence in source.warnings():
        say(f"{styled('warning', Style.WARNING)}: {sentence}", err=True)


# --- the rules --------------------------------------------------------------------------------------------------------


def _book(file: Path | None, assignments: Iterable[str]) -> "Book":
    from smtpguard.config import default_file, listeners_of, session_policy  # noqa: PLC0415 - pydantic
    from smtpguard.evidence.replay.replay import Book  # noqa: PLC0415 - as above

    config = _loaded(file if file is not None else default_file(), tuple(assignments)).config
    return Book({each.name: session_policy(each, config.limits, config.audit) for each in listeners_of(config)})


def _loaded(file: Path | None, assignments: tuple[str, ...]) -> "Loaded":
    """Read the settings; rules alone will do, nobody listens here."""
    from smtpguard.config import ConfigError, load  # noqa: PLC0415 - as above

    try:
        return load(file, environ=os.environ, assignments=assignments)
    except ConfigError:
        pass
    try:
        return load(file, environ=os.environ, flags=_NOWHERE, assignments=assignments)
    except ConfigError as error:
        fail(_mistakes(error), BAD_CONFIG)


_NOWHERE: Final = {
    "replay": (("listen",), ["127.0.0.1:25"]),
    "replay ": (("upstream",), ["127.0.0.2:25"]),
}
"""Stands for the addresses that a file of rules alone does not have."""


def _mistakes(error: "ConfigError") -> str:
    return "\n".join(map(str, error.mistakes))


def _check_listener(name: str, book: "Book") -> None:
    if name and name not in book.policies:
        names = ", ".join(book.policies)
        raise click.UsageError(f"there is no listener {name!r} in the configuration; there are {names}")


# --- times ------------------------------------------------------------------------------------------------------------


def _zone(name: str | None) -> tuple[tzinfo, str]:
    from smtpguard.evidence.period import local_zone, zone_called  # noqa: PLC0415 - `--help` needs none

    if not name:
        return local_zone()
    try:
        zone = zone_called(name)
    except ValueError as error:
        fail(f"--timezone: {error}", USAGE)
    return zone, zone.key


def _time(option: str, words: str | None, zone: tzinfo) -> float | None:
    from smtpguard.evidence.period import parse  # noqa: PLC0415 - as above

    try:
        return None if words is None else parse(words, time.time(), zone)
    except ValueError as error:
        fail(f"{option}: {error}", USAGE)


# --- what is said -----------------------------------------------------------------------------------------------------


def _show(  # noqa: PLR0913 - as many as options ask for
    summary: "Summary", kinds: list[str], zone: tzinfo, zone_name: str, *, json_wanted: bool, each_wanted: bool
) -> None:
    from smtpguard.cli.replay_screen import as_object, screen  # noqa: PLC0415 - `--help` needs none

    failed = [kind for kind in kinds if kind.startswith("!")]
    sources = [kind for kind in kinds if not kind.startswith("!")]
    if each_wanted:
        _say_object({"summary": as_object(summary, sources)})
    elif json_wanted:
        as_json(as_object(summary, sources))
    else:
        for line in screen(summary, sources, zone, zone_name):
            say(line)
    if failed:
        raise SystemExit(int(failed[0][1:]))


def _say_line(played: "Played") -> None:
    from smtpguard.cli.replay_screen import session_object  # noqa: PLC0415 - as above

    _say_object(session_object(played))


def _say_object(value: object) -> None:
    import json  # noqa: PLC0415 - as above

    click.echo(json.dumps(value, ensure_ascii=True))
