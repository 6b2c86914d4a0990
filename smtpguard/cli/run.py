"""`smtpguard run`: be the gateway, in the foreground, until SIGTERM or SIGINT."""

import sys
from typing import NoReturn

import click

from smtpguard.cli.screen import fail
from smtpguard.cli.settings import Settings, with_settings


@click.command()
@with_settings
def run(settings: Settings) -> NoReturn:
    """Relay mail sessions from --listen to --upstream.

    Stays in the foreground until SIGTERM or SIGINT. `smtpguard check` says beforehand whether it would start.

    Exit codes: 0 stopped by a signal, 2 usage, 78 bad configuration, or nothing could be started.
    """
    loaded = settings.load()
    from smtpguard.service import StartupError, serve  # noqa: PLC0415 - trio, and behind the reading of mistakes

    try:
        sys.exit(serve(loaded))
    except StartupError as error:
        fail(str(error), error.exit_code)
