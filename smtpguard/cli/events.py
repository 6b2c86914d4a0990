"""`smtpguard events`: what the audit's lines hold."""

import click

from smtpguard.cli.command import Named
from smtpguard.cli.screen import as_json


@click.group(cls=Named)
def events() -> None:
    """Print what the audit's lines hold."""


@events.command()
def schema() -> None:
    """Print the JSON Schema of one line of the audit, for validators and collectors.

    Every line of DIRECTORY/events is valid by it. A later smtpguard may write names that are not in it; a change that
    could break a reader raises `smtp.schema` and the schema's `$id`.
    """
    from smtpguard.record import audit_schema  # noqa: PLC0415 - the room behind it is not for `--help`

    as_json(audit_schema())
