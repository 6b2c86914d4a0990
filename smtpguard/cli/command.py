"""The command `smtpguard` and its verbs.

A person's mistake becomes lines on standard error and an exit code, never a traceback; a bug keeps its traceback.

`VERBS` names each verb's module and says in one sentence what it is for; a verb's module is imported when the verb is
called, or its own help is asked for. So `--help` costs what click costs, whatever the verbs need.
"""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from smtpguard import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb is, and what `--help` says of it."""

    place: str
    """module:attribute, the attribute a `click.Command`."""
    sentence: str
    """The first sentence of the verb's own help, without its full stop."""


# In the order in which a person meets them.
VERBS: Final[Mapping[str, Verb]] = {
    "demo": Verb("smtpguard.cli.demo:demo", "Play good and bad sessions, and show what becomes of them"),
    "check": Verb("smtpguard.cli.check:check", "Tell whether `run` would start, and what to mend if not"),
    "run": Verb("smtpguard.cli.run:run", "Relay mail sessions from --listen to --upstream"),
    "report": Verb("smtpguard.cli.report:report", "Tell who sends commands out of order, and how often"),
    "show": Verb("smtpguard.cli.show:show", "Show a session's transcript with the offending line marked"),
    "dossier": Verb("smtpguard.cli.dossier:dossier", "Write to the postmaster of a host, with the evidence"),
    "replay": Verb("smtpguard.cli.replay:replay", "Run recorded sessions through the engine under other rules"),
    "events": Verb("smtpguard.cli.events:events", "Print what the audit's lines hold"),
    "rules": Verb("smtpguard.cli.rules:rules", "List the rules and what each leads to"),
    "explain": Verb("smtpguard.cli.explain:explain", "Explain a rule, or judge a transcript that you paste"),
    "config": Verb("smtpguard.cli.configuration:config", "Print settings: those in force, a sample file, a schema"),
    "completion": Verb("smtpguard.cli.completion:completion", "Print the script that completes words in a shell"),
}


class Named(click.Group):
    """A group that lists its commands in its own order, and tells which one a wrong word was meant to be."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {args[0]!r}{_meant(args[0], names)}", ctx)
        return super().resolve_command(ctx, args)


class Verbs(Named):
    """The group of all verbs, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of `VERBS`."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name].place.partition(":")
        command: Any = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs; click would import each for its sentence."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.sentence + ".") for name, verb in VERBS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Offer the verbs that begin so, and the options."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only a shell asks

        verbs = [
            CompletionItem(name, help=verb.sentence) for name, verb in VERBS.items() if name.startswith(incomplete)
        ]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)


def _meant(word: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(names)}."


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    __version__, "-V", "--version", prog_name="smtpguard", message="%(prog)s %(version)s", help="Print the version."
)
def main() -> None:
    """Stand in front of a mail server and keep SMTP commands in order.

    A command out of order is answered 503 and recorded; everything else passes through, octet for octet.

    New here? `smtpguard demo` needs no set-up and no mail server.
    """
