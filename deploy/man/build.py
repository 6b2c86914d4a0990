"""Writes the manual pages of this folder: `python deploy/man/build.py [FOLDER]`.

smtpguard(1) and a page for each verb come from the verbs' own help, by click-man; smtpguard.toml(5) comes from the
descriptions of the settings. Nothing is said here that is not said there, but what only a manual has: exit status,
files, see also. A test builds the pages anew and compares.

The pages carry the version and no date: a page that is built twice is the same page.
"""

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
from click_man.man import ManPage

from smtpguard import __version__
from smtpguard.cli import main
from smtpguard.config import describe, written

SOURCE = f"smtpguard {__version__}"

LEFT = ".nh\n.ad l\n"
"""Words are not cut, lines not stretched: what stands here is typed as it stands."""

EXIT_STATUS = """\
.SH EXIT STATUS
.TP
.B 0
Good.
.TP
.B 1
Something was found that was asked for.
.TP
.B 2
The command line cannot be read.
.TP
.B 65
The input is not what it should be.
.TP
.B 66
There is no such input, or nothing in the period.
.TP
.B 69
The upstream cannot be reached, or an extra is not installed.
.TP
.B 74
Something cannot be read or written.
.TP
.B 78
Bad configuration, or nothing could be started.
"""

FILES = """\
.SH FILES
.TP
.I /etc/smtpguard/smtpguard.toml
Read where no \\-\\-config is given, if it is there.
.TP
.I /etc/smtpguard/conf.d/*.toml
Laid over it, by name.
"""

ENVIRONMENT = """\
.SH ENVIRONMENT
.TP
.B SMTPGUARD_\\fITABLE\\fP__\\fIKEY\\fP
Sets a key over the files; \\- in its name is written _. SMTPGUARD_POLICY__MODE=observe is policy.mode.
.TP
.B NO_COLOR
Set and not empty: no colours.
"""

TOML_HEAD = """\
.TH "SMTPGUARD.TOML" "5" "" "{source}" "smtpguard Manual"
{left}.SH NAME
smtpguard.toml \\- settings of smtpguard
.SH DESCRIPTION
Settings are read from
.IR /etc/smtpguard/smtpguard.toml ,
or from the file named by
.BR \\-\\-config ,
and from all
.I conf.d/*.toml
beside it, by name; then from variables such as SMTPGUARD_POLICY__MODE, from options, and from
.BR "\\-\\-set key=value" .
The later speaks. All are TOML. Unknown keys are mistakes; all mistakes are told at once.
.PP
The keys of a table are written
.I table.key
here: policy.mode is
.I mode
in the table
.IR [policy] .
"""

TOML_TAIL = """\
.SH SEE ALSO
.BR smtpguard (1),
.BR smtpguard\\-run (1),
.BR smtpguard\\-config (1),
.BR smtpguard\\-explain (1)
"""


def escaped(text: str) -> str:
    """Return text that roff prints as it stands."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return re.sub(r"^\.", r"\\&.", text, flags=re.MULTILINE)


def pages() -> Iterator[tuple[str, str]]:
    """Give out each page's file name and text."""
    yield from command_pages(click.Context(main, info_name="smtpguard", **main.context_settings))
    yield "smtpguard.toml.5", toml_page()


def command_pages(ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Give out the page of a command and those of its verbs."""
    yield f"{ctx.command_path.replace(' ', '-')}.1", command_page(ctx)
    for name, verb in verbs(ctx):
        yield from command_pages(click.Context(verb, info_name=name, parent=ctx))


def verbs(ctx: click.Context) -> list[tuple[str, click.Command]]:
    """Return the verbs of a group, in its order; none of a plain command."""
    group = ctx.command
    names = group.list_commands(ctx) if isinstance(group, click.Group) else []
    found = [(name, group.get_command(ctx, name)) for name in names if isinstance(group, click.Group)]
    return [(name, verb) for name, verb in found if verb is not None and not verb.hidden]


def command_page(ctx: click.Context) -> str:
    """Return the page of one command."""
    page = ManPage(ctx.command_path)
    page.version, page.date = SOURCE, ""
    page.command = ctx.command_path.replace(" ", "-")
    page.short_help = escaped(ctx.command.get_short_help_str(limit=200).removesuffix("."))
    page.synopsis = " ".join(ctx.command.collect_usage_pieces(ctx))
    page.description = prose(ctx.command.help or "")
    records = [each.get_help_record(ctx) for each in ctx.command.get_params(ctx) if isinstance(each, click.Option)]
    page.options = [(names, escaped(text)) for names, text in filter(None, records)]
    page.commands = [(name, escaped(verb.get_short_help_str(limit=200))) for name, verb in verbs(ctx)]
    # The words are typed with a space between them; only the page is called by the one with a hyphen.
    typed = str(page).replace(f".B {page.command}\n", f".B {ctx.command_path}\n", 1)
    return tidy(typed) + (EXIT_STATUS + FILES + ENVIRONMENT if ctx.parent is None else "") + see_also(ctx)


def prose(text: str) -> str:
    """Turn click's help into roff: blocks behind a backspace keep their lines."""
    blocks = cleandoc(text).split("\n\n")
    return "\n\n".join(
        f".nf\n{escaped(block.removeprefix(chr(8)).strip(chr(10)))}\n.fi" if block.startswith("\b") else escaped(block)
        for block in blocks
    )


def tidy(page: str) -> str:
    """Mend what click-man makes: indents, which roff takes for line ends; a paragraph behind a header; cut words."""
    page = re.sub(r"^  (See \\fB)([^\n]*)-([^\n]*)\(1\)", r"\1\2\\-\3(1)", page, flags=re.MULTILINE)
    page = re.sub(r"^\.PP\n(\\fB[a-z]+\\fP)\n  ", r".TP\n\1\n", page, flags=re.MULTILINE)
    page = re.sub(r"(^\.SH [A-Z]+\n)\.PP\n", r"\1", page, flags=re.MULTILINE)
    return re.sub(r"(^\.TH .*\n)", r"\1" + LEFT, page)


def see_also(ctx: click.Context) -> str:
    """Name the pages around this one."""
    own = ctx.command_path.replace(" ", "-")
    root = ctx.find_root()
    names = [
        "smtpguard",
        *(f"smtpguard-{name}" for name, _ in verbs(root)),
        *(f"{own}-{name}" for name, _ in verbs(ctx)),
    ]
    others = [f".BR {escaped(name)} (1)," for name in dict.fromkeys(names) if name != own]
    return "\n".join([".SH SEE ALSO", *others, ".BR smtpguard.toml (5)", ""])


def toml_page() -> str:
    """Return smtpguard.toml(5)."""
    text = TOML_HEAD.format(source=SOURCE, left=LEFT)
    for section in describe.sections():
        text += "".join(toml_section(section))
    return text + example_section() + TOML_TAIL


def toml_section(section: describe.Section) -> Iterator[str]:
    """Give out the lines of one table; a listener's own tables are the common ones again."""
    if len(section.path) > 2:
        return
    title = "top of the file" if not section.path else f"[{section.path[0]}]"
    title = "[[listener]]" if section.path[:1] == ("listener",) else title
    yield f".SH {escaped(title).upper() if not section.path else escaped(title)}\n"
    if section.description:
        yield f"{escaped(section.description)}\n"
    if section.path[:1] == ("listener",):
        yield f".TP\n.B name\n{escaped(describe.LISTENER_NAME)}\n"
    for setting in section.settings:
        yield toml_setting(setting)
    if section.path[:1] == ("listener",):
        yield (
            ".PP\n\\fI[listener.policy]\\fP, \\fI[listener.tls]\\fP and \\fI[listener.identity]\\fP behind it hold\n"
            "the keys of the common tables that differ for this listener.\n"
        )


def toml_setting(setting: describe.Setting) -> str:
    """Return one key: what it means, what is allowed, its default."""
    default = "unset"
    if setting.default not in (None, {}):
        default = written.value_text(setting.default, lasting=setting.lasting)
    elif setting.required:
        default = "none; it is required" + ", unless [[listener]] tables have it" * (len(setting.path) == 1)
    elif setting.default == {}:
        default = "none"
    return (
        f".TP\n.B {escaped(setting.key)}\n{escaped(setting.description)}\n.br\n"
        f"Allowed: {escaped(setting.allowed)}. Default: {escaped(default)}.\n"
    )


def example_section() -> str:
    """Return a small file."""
    return (
        '.SH EXAMPLE\n.nf\nlisten = ["0.0.0.0:25", "[::]:25"]\nupstream = "mx\\-inside.example.net:10025"\n\n'
        '[policy]\nmode = "observe"\n.fi\n'
    )


def build(folder: Path) -> None:
    """Write all pages into a folder."""
    for name, text in pages():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
