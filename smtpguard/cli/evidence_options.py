"""The options that the verbs over the audit share: which audit, and which period.

`audit_options` gives a verb the keyword `audit`, an `AuditPlace`; `open_store` opens it. `period_options` gives it
`period`, `PeriodWords`; `read_period` makes a `Period` of them. A mistake is told on standard error and ends all.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from smtpguard.cli.screen import Style, fail, say, styled
from smtpguard.cli.settings import Settings

if TYPE_CHECKING:
    from smtpguard.evidence.period import Period
    from smtpguard.evidence.store import Store

USAGE: Final = 2

VARIABLE: Final = "SMTPGUARD_AUDIT__DIRECTORY"
"""The variable of the setting `audit.directory`."""

AUDIT: Final = (
    click.option(
        "--audit",
        "directory",
        type=click.Path(path_type=Path),
        envvar=VARIABLE,
        metavar="DIRECTORY",
        help="Where the audit is; without it the configuration's audit.directory.",
    ),
    click.option(
        "-c",
        "--config",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Take audit.directory from this configuration file; without it from /etc/smtpguard/smtpguard.toml.",
    ),
)

PERIOD: Final = (
    click.option(
        "--since",
        default="7d",
        show_default=True,
        metavar="TIME",
        help="From this time on: 7d, 12h, 30m (ago), today, yesterday, 2026-11-23, 2026-11-23T10:00.",
    ),
    click.option("--until", default="now", show_default=True, metavar="TIME", help="Up to this time; as --since."),
    click.option(
        "--timezone",
        metavar="ZONE",
        help="Read and show times in this zone, such as Europe/Vienna; else the local one.",
    ),
)


@dataclass(frozen=True, slots=True)
class AuditPlace:
    """What the options said about where the audit is."""

    directory: Path | None
    file: Path | None


@dataclass(frozen=True, slots=True)
class PeriodWords:
    """What the options said about the period."""

    since: str
    until: str
    timezone: str | None


def audit_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options that say where the audit is; it is called with the keyword `audit`."""

    @wraps(verb)
    def collected(*, directory: Path | None, file: Path | None, **others: Any) -> Any:
        return verb(audit=AuditPlace(directory, file), **others)

    return _with(AUDIT, collected)


def period_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb --since, --until and --timezone; it is called with the keyword `period`."""

    @wraps(verb)
    def collected(*, since: str, until: str, timezone: str | None, **others: Any) -> Any:
        return verb(period=PeriodWords(since, until, timezone), **others)

    return _with(PERIOD, collected)


def _with(options: tuple[Callable[..., Any], ...], verb: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        verb = option(verb)
    return verb


def open_store(audit: AuditPlace) -> "Store":
    """Open the audit that the options name; where there is none, say so and exit 2, 66, 74 or 78."""
    from smtpguard.evidence.store import Store, StoreError  # noqa: PLC0415 - `--help` needs none

    try:
        return Store(audit.directory or _configured(audit))
    except StoreError as error:
        fail(str(error), error.code)


def _configured(audit: AuditPlace) -> Path:
    """Return `audit.directory` of the configuration file."""
    from smtpguard.config import default_file  # noqa: PLC0415 - pydantic is a quarter of a second

    file = audit.file or default_file()
    if file is None:
        raise click.UsageError("say where the audit is: --audit DIRECTORY, or -c FILE with audit.directory in it")
    directory = Settings(file=file).load().config.audit.directory
    if directory is None:
        raise click.UsageError(f"{file}: audit.directory is not set; say where the audit is: --audit DIRECTORY")
    return directory


def read_period(words: PeriodWords, now: float | None = None) -> "Period":
    """Make a period of the options; a time, a zone or an order that cannot be is told, exit 2."""
    from smtpguard.evidence.period import Period, local_zone, parse, zone_called  # noqa: PLC0415 - `--help` needs none

    now = time.time() if now is None else now
    try:
        if words.timezone:
            zone: tzinfo = zone_called(words.timezone)
            name = str(zone)
        else:
            zone, name = local_zone()
    except ValueError as error:
        fail(f"--timezone: {error}", USAGE)
    since, until = (_time(option, text, now, zone, parse) for option, text in _asked(words))
    period = Period(since=since, until=until, zone=zone, zone_name=name)
    if since >= until:
        fail(f"--since {words.since} is not before --until {words.until}: {period} is no period", USAGE)
    return period


def _asked(words: PeriodWords) -> tuple[tuple[str, str], tuple[str, str]]:
    return (("--since", words.since), ("--until", words.until))


def _time(option: str, text: str, now: float, zone: tzinfo, parse: Callable[[str, float, tzinfo], float]) -> float:
    try:
        return parse(text, now, zone)
    except ValueError as error:
        fail(f"{option}: {error}", USAGE)


def warn_unreadable(count: int) -> None:
    """Say on standard error how many lines could not be read, if any; the result stands."""
    if count:
        lines = "1 line of the audit" if count == 1 else f"{count} lines of the audit"
        say(
            f"{styled('warning', Style.WARNING)}: {lines} could not be read, and {'is' if count == 1 else 'are'} "
            "not counted (a cut line or no event)",
            err=True,
        )
