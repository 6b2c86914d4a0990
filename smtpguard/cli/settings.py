"""The options that name settings, shared by the verbs that need a configuration, and the reading of it.

`load` prints what is wrong and exits 78; `read` raises, for a verb that shows mistakes in its own way.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from smtpguard.cli.screen import Style, fail, say, styled

if TYPE_CHECKING:
    from smtpguard.config import Flags, Loaded

BAD_CONFIG: Final = 78
"""EX_CONFIG of sysexits.h."""

OPTIONS: Final = (
    click.option(
        "-c",
        "--config",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Read settings from this TOML file, and from conf.d/*.toml beside it; "
        "without it from /etc/smtpguard/smtpguard.toml, if that is there.",
    ),
    click.option(
        "--listen", multiple=True, metavar="HOST:PORT", help="Listen here; may be given again. IPv6: [::1]:2525."
    ),
    click.option(
        "--upstream",
        multiple=True,
        metavar="HOST:PORT",
        help="Relay to this mail server; may be given again: the first that can be reached.",
    ),
    click.option("--observe", is_flag=True, help="Record what would be refused, refuse nothing: policy.mode=observe."),
    click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set one key, over file, environment and flags; may be given again: --set timeouts.command=5m.",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the options said."""

    file: Path | None = None
    listen: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    observe: bool = False
    assignments: tuple[str, ...] = ()

    def read(self) -> "Loaded":
        """Read all sources.

        Raises:
            smtpguard.config.ConfigError: with every mistake that can be told at once.
        """
        from smtpguard.config import default_file, load  # noqa: PLC0415 - pydantic is a quarter of a second

        file = self.file if self.file is not None else default_file()
        return load(file, environ=os.environ, flags=self._flags(), assignments=self.assignments)

    def load(self) -> "Loaded":
        """Read all sources; warnings go to standard error. Mistakes too, and end all with 78."""
        from smtpguard.config import ConfigError  # noqa: PLC0415 - as above

        try:
            loaded = self.read()
        except ConfigError as error:
            fail("\n".join(map(str, error.mistakes)), BAD_CONFIG)
        for warning in loaded.warnings:
            say(f"{styled('warning', Style.WARNING)}: {warning}", err=True)
        return loaded

    def _flags(self) -> "Flags":
        flags: dict[str, tuple[tuple[str, ...], object]] = {}
        if self.listen:
            flags["--listen"] = (("listen",), list(self.listen))
        if self.upstream:
            flags["--upstream"] = (("upstream",), list(self.upstream))
        if self.observe:
            flags["--observe"] = (("policy", "mode"), "observe")
        return flags


def with_settings(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options of settings; it is called with one `Settings`, its first argument."""

    @wraps(verb)
    def collected(
        *,
        file: Path | None,
        listen: tuple[str, ...],
        upstream: tuple[str, ...],
        observe: bool,
        assignments: tuple[str, ...],
        **others: Any,
    ) -> Any:
        return verb(Settings(file, listen, upstream, observe, assignments), **others)

    whole: Callable[..., Any] = collected
    for option in reversed(OPTIONS):
        whole = option(whole)
    return whole
