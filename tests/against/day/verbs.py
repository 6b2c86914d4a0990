"""What smtpguard's own readers say of the day, against the truth.

Each verb is run as a person runs it, as a process, and what it prints as JSON (the dossier: as a letter) is compared.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.against.day import replayed
from tests.against.day.hosts import HOSTS
from tests.against.day.kinds import Found, Kind
from tests.against.day.reported import BY, Book, Expected
from tests.against.day.run import Folder
from tests.against.day.truth import Planned, Truth
from tests.against.day.verify import events, seconds
from tests.against.guard import ROOT

NOTHING: Final = 66
"""EX_NOINPUT: nothing was found of this host."""


def smtpguard(*words: str) -> tuple[int, str, str]:
    """Run a verb; return its exit code and what it said on stdout and stderr."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "smtpguard", *words], capture_output=True, text=True, check=False, timeout=120,
        stdin=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def counted(found: tuple[Found, ...]) -> Counter[tuple[str, str]]:
    """Return (rule, cause) -> events."""
    return Counter({(one.rule, one.cause): one.kept for one in found})


def rules_of(kind: Kind) -> Counter[str]:
    """Return rule -> lines that are marked with it."""
    return Counter({one.rule: one.count for one in (*kind.found, *kind.facts)}) + Counter(
        {one.rule: one.count for one in kind.consequences}
    )


def show(truth: Truth, folder: Folder) -> Iterator[str]:
    """Compare `show --host IP --all --json` for every host."""
    for host in HOSTS:
        kept = [one for one in truth.kept() if one.ip == host.ip]
        speaking = {one.port: one for one in kept if one.kind.found or one.kind.consequences or one.kind.facts}
        code, said, complaint = smtpguard("show", "--host", host.ip, "--all", "--json", "--audit", str(folder.audit))
        if code != (0 if speaking else NOTHING) or (complaint and not code):
            yield f"{host.ip}: exit code {code}, {complaint}"
        elif speaking:
            told = json.loads(said)
            if told["sessions"] != len(kept):
                yield f"{host.ip}: {told['sessions']} sessions, not {len(kept)}"
            yield from _shown(host.ip, told["with_findings"], speaking)


def _shown(ip: str, told: list[dict[str, Any]], speaking: dict[int, Planned]) -> Iterator[str]:
    missing = dict(speaking)
    for session in told:
        one = missing.pop(session["client"]["port"], None)
        if one is None:
            yield f"{ip}: session {session['session']} of port {session['client']['port']} is none of these"
            continue
        charges = Counter((each["rule"], _cause(each), each["blames_client"]) for each in session["findings"])
        wanted = Counter({(*key, True): count for key, count in counted(one.kind.found).items()})
        wanted += Counter({(*key, False): count for key, count in counted(one.kind.consequences).items()})
        wanted += Counter({(*key, False): count for key, count in counted(one.kind.facts).items()})
        if charges != wanted:
            yield f"{ip}:{one.port} ({one.title}): {dict(charges)}, not {dict(wanted)}"
        marked = Counter(rule for line in session["transcript"]["lines"] for rule in line["rules"])
        if marked != rules_of(one.kind):
            yield f"{ip}:{one.port} ({one.title}): lines marked {dict(marked)}"
    yield from (f"{ip}:{port} ({one.title}): not shown" for port, one in missing.items())


def _cause(charge: dict[str, Any]) -> str:
    return str(charge["cause"]["id"]) if charge["cause"] else "unknown"


def dossier(truth: Truth, folder: Folder) -> Iterator[str]:
    """Compare the figures in the letter to every host; to one with nothing to blame no letter is written."""
    for host in HOSTS:
        sums = truth.sums(host.ip)
        code, letter, complaint = smtpguard(
            "dossier", host.ip, "--no-dns", "--from", "postmaster@up.example", "--audit", str(folder.audit)
        )
        if code != (0 if sums.affected else NOTHING):
            yield f"{host.ip}: exit code {code}, {complaint}"
        elif sums.affected:
            told, counts = _LETTER.search(letter), sorted(sums.findings_of_mail.values(), reverse=True)
            mistakes = "1 mistake" if sum(counts) == 1 else f"{sum(counts)} mistakes"
            wanted = (str(sums.affected), str(sums.sessions - sums.not_smtp), mistakes)
            if told is None or told.groups() != wanted:
                yield f"{host.ip}: {told and told.groups()}, not {wanted}"
            named = [_times(words) for words in _COUNTS.findall(letter)]
            # The letter names the first few rules, and sums up the rest.
            if named[:-1] != counts[: len(named) - 1] or named[-1:] != [sum(counts[len(named) - 1 :])]:
                yield f"{host.ip}: {named}, not {counts}"


_LETTER: Final = re.compile(r"^  sessions +(\d+) of (\d+) affected \([0-9.]+ %\), (\d+ mistakes?)$", re.MULTILINE)
_COUNTS: Final = re.compile(r"^(?:Subject: .+|  also +.+), (once|\d+)(?: times?)?(?: since .+| on .+)?$", re.MULTILINE)


def _times(words: str) -> int:
    return 1 if words == "once" else int(words)


def log(truth: Truth, folder: Folder) -> Iterator[str]:
    """Compare the operator log: one line for each finding, and for the facts; none for a consequence."""
    lines = Counter(_LINE.findall(folder.log.read_text(encoding="ascii")))
    for one in truth.sessions:
        told = Counter[tuple[str, str]]()
        for found in (*one.kind.found, *one.kind.facts):
            told[found.rule, found.cause] = lines.pop((one.ip, str(one.port), found.rule, found.cause), 0)
        if told != counted((*one.kind.found, *one.kind.facts)):
            yield f"session {one.number} ({one.title}): lines {dict(told)}"
    yield from (f"a line of nobody's: {line}" for line in lines)


_LINE: Final = re.compile(
    r"NOQUEUE: (?:reject|reject_warning|note): \S+ from unknown\[([0-9.]+)\]:(\d+): .* rule=(SG\d+) cause=(\S+) "
)


def report(truth: Truth, folder: Folder) -> Iterator[str]:
    """Compare the totals and every table of `report --json`."""
    yield from _reported(truth, folder, folder.audit)


def report_of_a_week(truth: Truth, folder: Folder) -> Iterator[str]:
    """Compare the same for the copy that is spread over seven days."""
    yield from _reported(truth, folder, folder.spread)


def _reported(truth: Truth, folder: Folder, audit: Path) -> Iterator[str]:
    book = Book(truth, json.loads(folder.ports.read_text()), events(audit))
    for by in BY:
        code, said, complaint = smtpguard(
            "report", "--by", by, "--limit", "0", "--json", "--since", "8d", "--audit", str(audit)
        )
        if code or complaint:
            yield f"--by {by}: exit code {code}, {complaint}"
            continue
        told = json.loads(said)
        totals = {key: told["totals"][key] for key in book.totals()}
        if totals != book.totals() or told["unreadable"]:
            yield f"--by {by}: totals {totals}, not {book.totals()}"
        rows = {row["name"]: Expected(*(row[key] for key in Expected._fields)) for row in told["rows"]}
        yield from _differences(f"--by {by}", rows, book.table(by))
        halves = {row["name"]: row["earlier"] + row["later"] for row in told["rows"]}
        yield from _differences(f"--by {by}, both halves", halves, {name: row.findings for name, row in rows.items()})
        seen = {row["name"]: (seconds(row["first_seen"]), seconds(row["last_seen"])) for row in told["rows"]}
        yield from _differences(f"--by {by}, seen", seen, book.seen(by))


def _differences(what: str, told: Mapping[str, object], wanted: Mapping[str, object]) -> Iterator[str]:
    for name in sorted({*told, *wanted}):
        if told.get(name) != wanted.get(name):
            yield f"{what}, {name or 'none'}: {told.get(name)}, not {wanted.get(name)}"


def replay_of_the_audit(truth: Truth, folder: Folder) -> Iterator[str]:
    """Compare `replay` of the audit's own transcripts."""
    yield from _replayed(list(truth.kept()), folder, str(folder.audit))


def replay_of_the_capture(truth: Truth, folder: Folder) -> Iterator[str]:
    """Compare `replay` of what tcpdump saw between the clients and the guard."""
    ports = [word for port in json.loads(folder.ports.read_text()).values() for word in ("--port", str(port))]
    yield from _replayed(truth.sessions, folder, str(folder.capture), *ports)


def _replayed(planned: list[Planned], folder: Folder, *words: str) -> Iterator[str]:
    code, said, complaint = smtpguard("replay", *words, "--json", "--sessions")
    if code or complaint:
        yield f"exit code {code}, {complaint}"
    else:
        yield from replayed.disagreements(said, replayed.live(events(folder.audit)), planned)


class Reader(NamedTuple):
    """One comparison, and what it reads."""

    compare: Callable[[Truth, Folder], Iterator[str]]
    source: Callable[[Folder], Path]


VERBS: Final[dict[str, Reader]] = {
    "the log": Reader(log, lambda folder: folder.log),
    "report": Reader(report, lambda folder: folder.audit),
    "report of a week": Reader(report_of_a_week, lambda folder: folder.spread),
    "show": Reader(show, lambda folder: folder.audit),
    "dossier": Reader(dossier, lambda folder: folder.audit),
    "replay of the audit": Reader(replay_of_the_audit, lambda folder: folder.audit),
    "replay of the capture": Reader(replay_of_the_capture, lambda folder: folder.capture),
}
