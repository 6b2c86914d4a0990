"""The command `smtpguard` and its verbs.

A person's mistake becomes lines on standard error and an exit code, never a traceback; a bug keeps its traceback.
"""

import click

from smtpguard import __version__
from smtpguard.cli.run import run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="smtpguard", message="%(prog)s %(version)s")
def main() -> None:
    """Stand in front of a mail server and keep SMTP commands in order.

    A command out of order is answered 503 and recorded; everything else passes through, octet for octet.
    """


main.add_command(run)
