"""`smtpguard run`: be the gateway, in the foreground, until SIGTERM or SIGINT."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

if TYPE_CHECKING:
    from smtpguard.config import Config, Flags

BAD_CONFIG: Final = 78
"""EX_CONFIG of sysexits.h."""


@click.command()
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="Listen here; may be given again. IPv6: [::1]:2525.")
@click.option("--upstream", metavar="HOST:PORT", help="Relay to this mail server.")
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="Read settings from this TOML file first."
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one key, over file and flags; may be given again: --set timeouts.command=5m.",
)
@click.option("--observe", is_flag=True, help="Record what would be refused, refuse nothing: policy.mode=observe.")
def run(
    listen: tuple[str, ...], upstream: str | None, config: Path | None, assignments: tuple[str, ...], observe: bool
) -> NoReturn:
    """Relay mail sessions from --listen to --upstream.

    Exit codes: 0 stopped by a signal, 2 usage, 78 bad configuration, or nothing could be started.
    """
    flags: dict[str, tuple[tuple[str, ...], object]] = {}
    if listen:
        flags["--listen"] = (("listen",), list(listen))
    if upstream is not None:
        flags["--upstream"] = (("upstream",), upstream)
    if observe:
        flags["--observe"] = (("policy", "mode"), "observe")
    sys.exit(_serve(_settings(config, flags, assignments)))


def _settings(file: Path | None, flags: "Flags", assignments: tuple[str, ...]) -> "Config":
    from smtpguard.config import ConfigError, load  # noqa: PLC0415 - pydantic is a quarter of a second

    try:
        return load(file, flags=flags, assignments=assignments)
    except ConfigError as error:
        for mistake in error.mistakes:
            click.echo(mistake, err=True)
        sys.exit(BAD_CONFIG)


def _serve(config: "Config") -> int:
    from smtpguard.service import StartupError, serve  # noqa: PLC0415 - as above

    try:
        return serve(config)
    except StartupError as error:
        click.echo(error, err=True)
        sys.exit(error.exit_code)
