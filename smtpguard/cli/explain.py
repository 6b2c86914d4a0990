"""`smtpguard explain`: one rule, or all, told to the person who has to act on it; or a transcript, judged.

What is told comes from `smtpguard.evidence`; this module lays the rules out, `explain_transcript` the transcripts. A
screen is as wide as the terminal, and no wider than 100 columns; in a pipe it has 80 and no colour, so
`smtpguard explain --all | less` reads well.
"""

import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from smtpguard.cli.explain_transcript import explain_transcript, is_transcript
from smtpguard.cli.rules import as_object
from smtpguard.cli.screen import Style, as_json, fail, say, styled

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from smtpguard.evidence import Explanation, Line

USAGE: Final = 2
NO_INPUT: Final = 66
"""EX_NOINPUT of sysexits.h."""

FORMS: Final = ("show", "json", "smtplib", "swaks", "gateway", "postfix", "letters", "arrows", "terminal")
"""The names of `evidence.transcripts.FORMS`; written out, so that `--help` imports no room."""

PROFILES: Final = ("strict", "standard", "lenient")

WIDEST: Final = 100
"""Columns; longer lines of prose are hard to read."""

NARROWEST: Final = 40

_INDENT: Final = "  "

_WHOLE: Final = re.compile(r"`[^`]+`|\[SG[0-9]{3} [0-9A-Z]+\]")
_HELD: Final = "\N{NO-BREAK SPACE}"

_SPEAKERS: Final = {"C": "client", "U": "upstream", "G": "smtpguard", "*": "event"}
_MARKS: Final = {"!": "stopped", "~": "passed-on", " ": None}


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - only a shell asks

    from smtpguard.smtp import CATALOGUE  # noqa: PLC0415 - as above

    named = incomplete.casefold()
    return [
        CompletionItem(rule.id, help=rule.name) for rule in CATALOGUE.values() if rule.id.casefold().startswith(named)
    ]


@click.command()
@click.argument("words", nargs=-1, metavar="[RULE]... | FILE | -", shell_complete=_complete)
@click.option("--all", "all_wanted", is_flag=True, help="Explain every rule.")
@click.option("--form", type=click.Choice(FORMS), help="The form of the transcript; else it is found out.")
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="standard",
    show_default=True,
    help="Judge a transcript by this one.",
)
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON: a list of rules, or one object of a transcript.")
@click.pass_context
def explain(  # noqa: PLR0913 - click hands options over as arguments
    context: click.Context,
    *,
    words: tuple[str, ...],
    all_wanted: bool,
    form: str | None,
    profile: str,
    json_wanted: bool,
) -> None:
    """Explain a rule, or judge a transcript that you paste.

    RULE is an id such as SG105, or a name such as nested-mail; `smtpguard rules` lists them.

    FILE holds a transcript, `-` takes it from standard input: output of swaks, a session typed into telnet or netcat,
    Postfix's notice with In: and Out:, a log with [rx] and [tx], C: and S: as RFCs have them, Python's smtplib, curl,
    or what `smtpguard show` prints. Each line is judged by the engine that `run` uses, and each rule that fires is
    explained. Passwords are not repeated.

    Exit codes: 0 explained, 2 usage, 65 no transcript in the file, 66 no such file, 74 the file cannot be read.
    """
    columns = shutil.get_terminal_size().columns
    width = max(NARROWEST, min(columns, WIDEST))
    if len(words) == 1 and not all_wanted and is_transcript(words[0]):
        explain_transcript(words[0], form, profile, json_wanted=json_wanted, width=width)
        return
    _refuse_transcript_options(context)
    told = _explanations(words, all_wanted=all_wanted)
    if json_wanted:
        as_json([_object(each) for each in told])
        return
    for place, each in enumerate(told):
        if place:
            say(f"\n{styled('-' * width, Style.FAINT)}\n")
        for line in screen(each, width):
            say(line)


def _refuse_transcript_options(context: click.Context) -> None:
    for name in ("form", "profile"):
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} goes with one transcript, a FILE or `-`")


def _explanations(words: tuple[str, ...], *, all_wanted: bool) -> "list[Explanation]":
    from smtpguard.evidence import UnknownRuleError, explanation  # noqa: PLC0415 - `--help` needs none
    from smtpguard.smtp import CATALOGUE  # noqa: PLC0415 - as above

    if not words and not all_wanted:
        raise click.UsageError(
            "name a rule, as in `smtpguard explain SG105`, or say --all; `smtpguard rules` lists them. "
            "To have a transcript judged, name its file, or `-` and paste it"
        )
    if words and all_wanted:
        raise click.UsageError("name rules or say --all, not both")
    told, mistakes = [], []
    for word in words or CATALOGUE:
        if is_transcript(word):
            mistakes.append(f"{word!r} is a file: a transcript is judged alone, one at a time")
            continue
        try:
            told.append(explanation(word))
        except UnknownRuleError as error:
            mistakes.append(str(error).replace("no rule is called", "no rule and no file is called", 1))
    if mistakes:
        names_file = len(words) == 1 and any(sign in words[0] for sign in "/.")
        fail("\n".join(mistakes), NO_INPUT if names_file else USAGE)
    return told


# --- the screen -------------------------------------------------------------------------------------------------------


def screen(told: "Explanation", width: int) -> Iterator[str]:
    """Lay an explanation out.

    Args:
        told: what is to be said.
        width: columns of the screen.
    """
    rule = told.rule
    yield f"{styled(rule.id, Style.CODE)} {styled(rule.name, Style.HEADING)}"
    yield from _wrapped(f"{_capital(rule.situation)}.", width, indent="")
    yield ""
    yield from _pairs(_facts(told), width)
    yield from _part("What happened", _wrapped(told.happened, width))
    yield from _part("In a session", _transcript(told, width))
    yield from _part("What the RFC says", _wrapped(told.says, width))
    yield from _part("What other servers answer", _measured(told, width))
    yield from _part("Usual causes", _causes(told, width))
    yield from _cures(told, width)
    yield from _part("How to relax it", _relaxing(told, width))


def _part(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield ""
    yield styled(title, Style.HEADING)
    yield from lines


def _wrapped(text: str, width: int, *, indent: str = _INDENT, hanging: str | None = None) -> list[str]:
    # What one types, and the reference at the end of an answer, are to be copied whole.
    lines = textwrap.wrap(
        _WHOLE.sub(lambda whole: whole[0].replace(" ", _HELD), text),
        width,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_HELD, " ") for line in lines]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _pairs(pairs: list[tuple[str, str]], width: int) -> Iterator[str]:
    """Two columns, the left one as wide as it needs."""
    left = max(len(name) for name, _ in pairs) + 2
    for name, text in pairs:
        first, *rest = _wrapped(text, width, indent=" " * (left + len(_INDENT)))
        yield _INDENT + styled(name, Style.FAINT) + first[len(_INDENT) + len(name) :]
        yield from rest


def _facts(told: "Explanation") -> list[tuple[str, str]]:
    rule = told.rule
    verdicts = {profile.value: verdict.value for profile, verdict in rule.verdicts.items()}
    if len(set(verdicts.values())) == 1:
        verdict = f"{verdicts['standard']} in every profile" + (
            ", and in mode observe, too (safe)" if rule.safe else ""
        )
    else:
        verdict = ", ".join(f"{word} ({', '.join(profiles)})" for word, profiles in _grouped(verdicts).items())
    return [("source", rule.reference), ("verdict", verdict), ("answer", _answer(told))]


def _answer(told: "Explanation") -> str:
    answer = told.rule.answer
    if answer is None:
        return "none of ours"
    # The answers about UPSTREAM are said whatever the verdict is: the session cannot go on.
    said = told.rule.section.name == "UPSTREAM" or _refused(told)
    return f"{answer.code} {answer.enhanced} {answer.text}" + (
        "" if said else " (where the verdict is refuse or close)"
    )


def _refused(told: "Explanation") -> bool:
    """Tell whether profile standard answers this rule's finding itself."""
    return told.verdict.value in ("refuse", "close")


def _grouped(verdicts: dict[str, str]) -> dict[str, list[str]]:
    """Turn profile -> verdict round: verdict -> profiles."""
    return {word: [profile for profile in verdicts if verdicts[profile] == word] for word in verdicts.values()}


def _transcript(told: "Explanation", width: int) -> Iterator[str]:
    for line in told.transcript:
        mark, speaker = line.mark.value, line.speaker.value
        text = f"({line.text})" if speaker == "*" else f"{speaker}: {line.text}"
        for part in _wrapped(text, width, indent=f"{_INDENT}{mark} ", hanging=" " * 7) or [
            f"{_INDENT}{mark} {speaker}:"
        ]:
            yield _styled_line(line, part)
    yield ""
    for text in _legend(told):
        yield from (styled(part, Style.FAINT) for part in _wrapped(text, width, hanging=_INDENT * 2))


def _styled_line(line: "Line", part: str) -> str:
    looks = {"!": Style.BAD, "~": Style.WARNING}.get(line.mark.value)
    if looks is None:
        looks = {"G": Style.CODE, "*": Style.FAINT}.get(line.speaker.value)
    return styled(part, looks) if looks else part


_LEGENDS: Final = {
    ("!", "C"): "! the line at fault: it was stopped, and the upstream never saw it",
    ("~", "C"): "~ the line at fault: it was recorded, and forwarded all the same",
    ("!", "U"): "! the reply in question: it was not handed on",
    ("~", "U"): "~ the reply in question: it was recorded, and handed on",
    ("!", "*"): "! what was recorded",
    ("!", "G"): "! what was recorded",
}


def _legend(told: "Explanation") -> Iterator[str]:
    (marked,) = [line for line in told.transcript if line.mark.value != " "]
    speakers = {line.speaker.value for line in told.transcript}
    names = {"C": "C client", "U": "U upstream", "G": "G our own answer"}
    yield ", ".join(name for speaker, name in names.items() if speaker in speakers)
    turns = "".join(line.speaker.value for line in told.transcript)
    if told.rule.section.name == "TIMING" and "CC" in turns:
        yield "lines of C with nothing between them were sent at once, without waiting"
    yield _LEGENDS[marked.mark.value, marked.speaker.value]


def _measured(told: "Explanation", width: int) -> Iterator[str]:
    from smtpguard.evidence import VERSIONS  # noqa: PLC0415 - `--help` needs none

    if (measured := told.measured) is None:
        yield f"{_INDENT}Not measured."
        return
    yield from _wrapped(f"{_capital(measured.situation)}:", width)
    yield from _pairs([(f"{server} {VERSIONS[server]}", answer) for server, answer in measured.answers.items()], width)
    if measured.note:
        yield ""
        yield from _wrapped(measured.note, width)


def _causes(told: "Explanation", width: int) -> Iterator[str]:
    for each in told.causes:
        named = f" [{each.cause.value}]" if each.cause else ""
        yield from _wrapped(f"- {each.text}{named}", width, hanging=_INDENT + "  ")


def _cures(told: "Explanation", width: int) -> Iterator[str]:
    theirs, ours = "What the sending side should change", "What you can do"
    if told.rule.section.name == "UPSTREAM":
        yield from _part(theirs, _wrapped(told.rule.cure, width))
        yield from _part(ours, _wrapped(told.cure, width))
    else:
        yield from _part(theirs, _wrapped(f"{told.rule.cure} {told.cure}", width))


def _relaxing(told: "Explanation", width: int) -> Iterator[str]:
    yield from (f"{_INDENT}  {styled(setting, Style.CODE)}" for setting in told.settings)
    yield from [""] if told.settings else []
    yield from _wrapped(told.relax, width)
    if told.settings and _refused(told) and not told.rule.safe and told.rule.section.name not in ("LIMITS", "UPSTREAM"):
        yield from _wrapped(
            'For all rules at once: `policy.mode = "observe"` refuses only what is safe, and records all.', width
        )


# --- JSON -------------------------------------------------------------------------------------------------------------


def _object(told: "Explanation") -> dict[str, Any]:
    return {
        **as_object(told.rule),
        "happened": told.happened,
        "transcript": [
            {"mark": _MARKS[line.mark.value], "speaker": _SPEAKERS[line.speaker.value], "text": line.text}
            for line in told.transcript
        ],
        "says": told.says,
        "measured": _measured_object(told),
        "causes": [
            {
                "id": each.cause.value if each.cause else None,
                "text": each.text,
                "cure": each.cause.cure if each.cause else None,
            }
            for each in told.causes
        ],
        "advice": told.cure,
        "relax": {"text": told.relax, "settings": list(told.settings)},
    }


def _measured_object(told: "Explanation") -> dict[str, Any] | None:
    from smtpguard.evidence import VERSIONS  # noqa: PLC0415 - `--help` needs none

    if (measured := told.measured) is None:
        return None
    answers = [
        {"server": server, "versions": VERSIONS[server], "answer": answer}
        for server, answer in measured.answers.items()
    ]
    return {"situation": measured.situation, "answers": answers, "note": measured.note}
