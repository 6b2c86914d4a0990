"""The screens of `smtpguard demo`: what the demo read back, as text for a person.

The first bad session is told in full: transcript, log line, event. Of the others only what differs: the lines from the
one that led to the guard's answer on. Lines are folded at the terminal's width, never cut.
"""

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from smtpguard.cli.screen import Style, say, styled

if TYPE_CHECKING:
    from smtpguard.demo import Event, Marked, Played, Session, Shown, Stage

Counts = Counter[tuple[str, str]]
"""(rule id, client address) -> findings."""

WIDEST: Final = 120
"""Columns that are used where there are more."""
LABEL: Final = 14
"""Columns of the labels before log line, event and the like."""
TOP: Final = 8
"""Hosts that are shown of a crowd."""
LAST: Final = 3
"""Lines of the log that are shown of a crowd."""


def _width() -> int:
    return min(WIDEST, shutil.get_terminal_size((100, 24)).columns)


def heading(stage: "Stage") -> None:
    """Say what runs where."""
    guard = stage.guard
    say(styled(f"The guard listens on {guard.listen}: a real `smtpguard run`, process {guard.pid}.", Style.HEADING))
    if stage.moved:
        say("Port 2525 is taken here, so it is another one; --listen chooses.")
    if stage.own:
        _fold(f"Behind it, on {guard.upstream}, a mail server of the demo's own. It would take commands in any order.")
    else:
        _fold(f"Behind it {guard.upstream}, yours. It is sent no message: RSET comes before any content.")
    say()


# --- sessions ------------------------------------------------------------------------------------------------------


def sessions(shown: Sequence["Shown"], left_out: Iterable["Session"]) -> None:
    """Show the good session and the bad ones."""
    number = 0
    for each in shown:
        session = each.played.session
        if not session.rule:
            _good(each)
            continue
        number += 1
        _title(f"{number}  {session.title}", session.story, each)
        _bad(each, full=number == 1)
    for absent in left_out:
        say(styled(f"-  {absent.title}", Style.HEADING))
        say(f"   Left out before a server of yours: {absent.left_out}.")
        say()


def _title(title: str, story: str, shown: "Shown") -> None:
    host = f"from {shown.played.host}"
    gap = max(2, _width() - len(title) - len(host))
    say(styled(title, Style.HEADING) + " " * gap + styled(host, Style.FAINT))
    _fold(story, indent=3)


def _good(shown: "Shown") -> None:
    session = shown.played.session
    _title(session.title, session.story, shown)
    _transcript(_without_content(_short(shown.played.transcript)[1:]))
    found = "no finding" if not shown.findings else f"findings: {', '.join(e['rule']['id'] for e in shown.findings)}"
    taken = f"upstream took {_messages(shown)}, " if shown.upstream_saw else ""
    say("   " + styled(taken + found, Style.GOOD if shown.as_told else Style.BAD))
    _mismatch(shown)
    say()


def _messages(shown: "Shown") -> str:
    return f"{shown.messages or 'no'} message{'s' if (shown.messages or 0) > 1 else ''}"


def _bad(shown: "Shown", *, full: bool) -> None:
    transcript = _short(shown.played.transcript)
    _transcript(transcript if full else _from_offence(transcript))
    if shown.upstream_saw is not None:
        saw = ", ".join(_verbs(shown.upstream_saw)) or "nothing"
        _label("upstream saw", f"{saw}; it took {_messages(shown)}" if "DATA" in saw else saw)
    blamed = [event for event in shown.findings if event["rule"]["id"] == shown.played.session.rule]
    if blamed:
        lines = [line for line in shown.log if f" rule={shown.played.session.rule} " in line]
        for line in lines[:1]:
            _label("log", line if full else _gist(line))
        for label, text in _event(blamed[0]) if full else _short_event(blamed[0]):
            _label(label, text)
        also = [f"{event['rule']['id']} {event['rule']['name']}" for event in shown.findings if event not in blamed]
        if also:
            _label("also noted", ", ".join(also))
    _mismatch(shown)
    say()


def _mismatch(shown: "Shown") -> None:
    """Say where it went otherwise than the table tells."""
    if shown.played.trouble:
        say("   " + styled(f"this session broke off: {shown.played.trouble}", Style.BAD))
    elif not shown.as_told:
        found = ", ".join(event["rule"]["id"] for event in shown.findings) or "nothing"
        wanted = shown.played.session.rule or "nothing"
        _fold(f"meant to show {wanted}, the guard found {found}: the upstream answered otherwise.", indent=3)


def _short(transcript: Iterable["Marked"]) -> list[tuple[str, str]]:
    """Return a transcript, a reply of many lines as its first with a count."""
    rows: list[tuple[str, str]] = []
    more = 0
    for each in transcript:
        goes_on = each.mark.value != " ->" and each.text[3:4] == "-"
        if not more:
            rows.append((each.mark.value, each.text))
        elif not goes_on:
            rows[-1] = (rows[-1][0], f"{rows[-1][1]}  (and {more} more lines)")
        more = more + 1 if goes_on else 0
    return rows


def _without_content(rows: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the rows less the lines of a message, of which the final dot stays."""
    in_content = False
    for mark, text in rows:
        in_content = mark == " ->" and in_content and text != "."
        if not in_content:
            yield mark, text
        in_content = in_content or text.startswith("354")


def _from_offence(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the rows from the command before the one that the guard answered, up to that answer."""
    answered = [at for at, (mark, _) in enumerate(rows) if mark == "<**"]
    if not answered:
        return rows
    end = answered[0]
    start = end - 1
    while start > 0 and rows[start - 1][0] == " ->":
        start -= 1
    if start > 1:
        start -= 2
    return [*([("", "...")] if start else []), *rows[start : end + 1], *([("", "...")] if end + 1 < len(rows) else [])]


def _transcript(rows: Iterable[tuple[str, str]]) -> None:
    for mark, text in rows:
        style = {"<**": Style.BAD, "<- ": Style.FAINT}.get(mark)
        for number, line in enumerate(textwrap.wrap(text, _width() - 8) or [""]):
            row = f"   {mark if not number else '':<3} {'  ' if number else ''}{line}".rstrip()
            say(styled(row, style) if style else row)


def _verbs(lines: Iterable[str]) -> Iterator[str]:
    """Yield the verbs of command lines, repeated ones with their number."""
    verbs = [line.split(" ", 1)[0].upper() for line in lines]
    while verbs:
        verb = verbs.pop(0)
        times = 1
        while verbs and verbs[0] == verb:
            verbs.pop(0)
            times += 1
        yield verb if times == 1 else f"{verb} x{times}"


def _gist(line: str) -> str:
    """Return of a log line what stands between the program's name and the fields."""
    return line.partition("]: ")[2].partition("; ")[0]


def _event(event: "Event") -> Iterator[tuple[str, str]]:
    rule, smtp = event["rule"], event["smtp"]
    yield "event", f"{rule['id']} {rule['name']} ({rule['reference']})"
    yield "  client", f"{event['source']['ip']}, helo {smtp.get('helo', 'none')}"
    yield "  state", f"{smtp['state']}; in order would be {', '.join(smtp.get('expected') or ['nothing'])}"
    yield "  command", smtp.get("line") or smtp["command"]
    yield "  previous", _previous(event)
    yield "  verdict", f"{smtp['verdict']}, {'forwarded' if smtp['forwarded'] else 'not forwarded'}"
    yield from _cause(event)


def _short_event(event: "Event") -> Iterator[tuple[str, str]]:
    rule, smtp = event["rule"], event["smtp"]
    forwarded = "forwarded" if smtp["forwarded"] else "not forwarded"
    yield "event", f"{rule['id']} {rule['name']}, state {smtp['state']}, previous {_previous(event)}, {forwarded}"
    yield from _cause(event)


def _previous(event: "Event") -> str:
    previous = event["smtp"].get("previous")
    return f"{previous['command']} {previous['reply_code']}" if previous else "none"


def _cause(event: "Event") -> Iterator[tuple[str, str]]:
    """Yield the likely cause and the cure for the sending side, as the rules' own words say them."""
    from smtpguard.smtp import CATALOGUE, Cause  # noqa: PLC0415 - the verb has it loaded already

    told = event["smtp"].get("cause")
    cause = next((each for each in Cause if each.value == told), Cause.UNKNOWN)
    if cause is Cause.UNKNOWN:
        yield "  cure", CATALOGUE[event["rule"]["id"]].cure
    else:
        yield "  cause", f"{cause.value}: {cause.meaning}"
        yield "  cure", cause.cure


# --- tables --------------------------------------------------------------------------------------------------------


def counted(counts: Counts) -> list[dict[str, Any]]:
    """Return the findings by rule and host as rows, for JSON."""
    return [
        {"rule": rule, "name": _name(rule), "client": host, "count": count}
        for (rule, host), count in sorted(counts.items())
    ]


def _name(rule: str) -> str:
    from smtpguard.smtp import CATALOGUE  # noqa: PLC0415 - as above

    return CATALOGUE[rule].name


def table(counts: Counts) -> None:
    """Show the findings by rule and host."""
    rows = [(rule, _name(rule), host, str(count)) for (rule, host), count in sorted(counts.items())]
    _columns(("rule", "name", "host", "count"), rows)


def _columns(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in columns; numbers to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if rows and rows[0][column].isdigit() else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        say(styled(line, Style.HEADING) if row is head else line)
    say()


# --- a crowd -------------------------------------------------------------------------------------------------------


def crowd_comes(count: int, seed: int) -> None:
    """Say what is going to be played."""
    say(f"{count} clients come, most of them with a bug (--sessions {count} --seed {seed}).")


def crowd_went(stage: "Stage", played: Sequence["Played"], counts: Counts, seconds: float) -> None:
    """Show what a crowd left behind."""
    messages = sum(each.messages for each in stage.own.since(0)) if stage.own else 0
    say(f"They went after {seconds:.1f} s; {counts.total()} findings, and the upstream took {messages} messages.")
    for each in [each for each in played if each.trouble][:LAST]:
        say(styled(f"{each.session.title} from {each.host} broke off: {each.trouble}", Style.BAD))
    say()
    by_rule = Counter[str]()
    by_host = Counter[str]()
    for (rule, host), count in counts.items():
        by_rule[rule] += count
        by_host[host] += count
    rows = [(rule, _name(rule), str(count), str(_hosts(counts, rule))) for rule, count in sorted(by_rule.items())]
    _columns(("rule", "name", "findings", "hosts"), rows)
    top = by_host.most_common(TOP)
    _columns(("busiest hosts", "findings", "mostly"), [(h, str(n), _mostly(counts, h)) for h, n in top])
    say(styled("The last lines of its log:", Style.HEADING))
    for line in [line for line in stage.readback.lines if "NOQUEUE: reject:" in line][-LAST:]:
        live(line)
    say()


def _hosts(counts: Counts, rule: str) -> int:
    return sum(1 for broken, _ in counts if broken == rule)


def _mostly(counts: Counts, host: str) -> str:
    rule, _ = max(((rule, count) for (rule, who), count in counts.items() if who == host), key=lambda each: each[1])
    return f"{rule} {_name(rule)}"


# --- the end -------------------------------------------------------------------------------------------------------


def kept(folder: Path) -> None:
    """Say where the files are."""
    say(f"Kept in {folder}: smtpguard.toml, smtpguard.log, audit/events/")


def farewell(stage: "Stage", *, stays: bool) -> None:
    """Say what one may do next."""
    where = stage.guard.dialled
    if not stays:
        _fold(
            "Next: `smtpguard demo` stays up for your own telnet, `smtpguard demo --chaos` brings a crowd, "
            "`smtpguard explain SG102` tells a rule."
        )
        return
    say(styled("Now try it yourself, in another terminal:", Style.HEADING))
    recipient = "ann@demo.example" if stage.own else "a@b"
    for line in (f"telnet {where.host} {where.port}", "EHLO me", f"RCPT TO:<{recipient}>"):
        say("   " + styled(line, Style.CODE))
    _fold("What the guard logs appears here. `smtpguard explain SG102` tells a rule. Ctrl-C ends guard and demo.")
    say()


def live(line: str) -> None:
    """Show a line of the log."""
    bad = " NOQUEUE: reject: " in line
    for text in textwrap.wrap(line, _width(), subsequent_indent="    ", break_on_hyphens=False):
        say(styled(text, Style.WARNING) if bad else styled(text, Style.FAINT))


# --- folding -------------------------------------------------------------------------------------------------------


def _fold(text: str, *, indent: int = 0) -> None:
    blanks = " " * indent
    say(textwrap.fill(text, _width(), initial_indent=blanks, subsequent_indent=blanks, break_on_hyphens=False))


def _label(label: str, text: str) -> None:
    """Print a label, and its text folded beside it."""
    lines = textwrap.wrap(text, _width() - LABEL - 3, break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        say("   " + styled(f"{label if not number else '':<{LABEL}}", Style.FAINT) + line)
