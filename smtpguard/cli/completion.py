"""`smtpguard completion SHELL`: the script by which a shell completes verbs, options, rule ids and file names."""

import click

from smtpguard.cli.screen import say

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes words in a shell.

    To have it in every new shell:

    \b
    bash   put into ~/.bashrc:
             eval "$(smtpguard completion bash)"
    zsh    put into ~/.zshrc, behind compinit:
             eval "$(smtpguard completion zsh)"
    fish   once:
             smtpguard completion fish > ~/.config/fish/completions/smtpguard.fish
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - and the verbs, which import this module

    from smtpguard.cli.command import main  # noqa: PLC0415

    kind = get_completion_class(shell)
    assert kind is not None
    # The variable's name is the one that click's own `main` looks for.
    say(kind(main, {}, "smtpguard", "_SMTPGUARD_COMPLETE").source(), nl=False)
