"""`smtpguard config`: the settings in force, a sample file, and the schema of the file."""

import click

from smtpguard import __version__
from smtpguard.cli.command import Named
from smtpguard.cli.screen import Style, as_json, say, styled
from smtpguard.cli.settings import Settings, with_settings


@click.group(cls=Named)
def config() -> None:
    """Print settings: those in force, a sample file, a schema.

    What each setting means stands in the sample file, and in smtpguard.toml(5).
    """


@config.command()
@with_settings
@click.option("--changed", is_flag=True, help="Only what differs from its default.")
@click.option("--origin", is_flag=True, help="Say behind each key who set it: file:line, a variable, an option.")
@click.option("--json", "machine", is_flag=True, help="One JSON document; durations in seconds.")
def show(settings: Settings, *, changed: bool, origin: bool, machine: bool) -> None:
    """Print the settings in force, as TOML that can be loaded again.

    Later sources speak over earlier ones: defaults, FILE, conf.d/*.toml beside it, variables such as
    SMTPGUARD_POLICY__MODE, options, --set.

    Exit codes: 0 printed, 2 usage, 78 bad configuration.
    """
    loaded = settings.load()
    from smtpguard.config import mistakes, written  # noqa: PLC0415 - pydantic, and behind the reading of mistakes

    rows = [row for row in written.shown(loaded) if row.changed or not changed]
    files = [str(file) for file in loaded.files]
    if machine:
        named = [
            {"key": mistakes.shown_key(row.path), "value": row.value, "default": row.default, "origin": row.origin}
            for row in rows
        ]
        as_json({"version": __version__, "files": files, "settings": named})
        return
    say(styled(f"# smtpguard {__version__}; read: {', '.join(files) or 'no file'}", Style.FAINT))
    for line in written.as_toml(rows, origins=origin).splitlines():
        say(_coloured(line, origin=origin))


def _coloured(line: str, *, origin: bool) -> str:
    if line.startswith("["):
        return styled(line, Style.HEADING)
    if not origin or "  # " not in line:
        return styled(line, Style.FAINT) if line.startswith("#") else line
    setting, sign, source = line.rpartition("  # ")
    unchanged = source == "default"
    return (styled(setting, Style.FAINT) if unchanged else setting) + styled(sign + source, Style.FAINT)


@config.command()
def example() -> None:
    """Print a sample file: every setting, its default, what it means.

    A good beginning:

    \b
      smtpguard config example > smtpguard.toml
    """
    from smtpguard.config import written  # noqa: PLC0415 - pydantic

    say(written.example(), nl=False)


@config.command()
def schema() -> None:
    """Print the JSON schema of the file, for editors and programs.

    Draft 2020-12. An editor that knows Taplo completes and checks keys with this line at the top of the file:

    \b
      #:schema ./smtpguard.schema.json
    """
    from smtpguard.config import describe  # noqa: PLC0415 - pydantic

    as_json(describe.schema())
