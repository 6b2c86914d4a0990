"""Plays the day, and compares.

    python -m tests.against.day --sessions 5000 --out DIR       plays, and compares the audit with the truth
        --seed N       other sessions (default 1)
        --capture      tcpdump's capture of the clients' side in DIR/capture.pcap
        --spread       a copy of the audit whose timestamps are spread over 7 days, in DIR/spread
        --verify       compare with report, show, dossier and replay, too
    python -m tests.against.day --verify --out DIR              compares what a run left in DIR, plays nothing

Exit code 0: all agree; 1: something does not, each point on a line of stderr; 66: DIR holds no day, or another one;
69: a program is missing, which stderr names.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.against.day.run import Figures, Folder, day
from tests.against.day.spread import spread
from tests.against.day.truth import Truth, read
from tests.against.day.verbs import VERBS
from tests.against.day.verify import disagreements, events


def main() -> int:
    """Run the command."""
    options = _options()
    folder, wrong = Folder(options.out), list[str]()
    if options.sessions:
        truth, figures = day(options.out, sessions=options.sessions, seed=options.seed, capturing=options.capture)
        wrong += figures.otherwise
        _tell(truth, figures)
        if options.spread:
            spread(folder.audit, folder.spread)
    else:
        truth = read(folder.truth)
    wrong += _compare("the audit", disagreements(truth, events(folder.audit)))
    if options.verify:
        for name, reader in VERBS.items():
            if (source := reader.source(folder)).exists():
                wrong += _compare(name, reader.compare(truth, folder))
            else:
                sys.stdout.write(f"{name}: not compared, there is no {source}\n")
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return int(bool(wrong))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.against.day")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sessions", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    for flag in ("--capture", "--spread", "--verify"):
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()


def _compare(what: str, points: Iterable[str]) -> list[str]:
    wrong = [f"{what}: {point}" for point in points]
    sys.stdout.write(f"{what}: {f'{len(wrong)} disagreements' if wrong else 'agrees with the truth'}\n")
    return wrong


def _complaint(text: str, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return code


def _tell(truth: Truth, figures: Figures) -> None:
    sums = truth.sums()
    sys.stdout.write(
        f"{figures.sessions} sessions in {figures.seconds:.1f} s ({figures.seconds_with_servers:.1f} s with the start "
        f"and end of the servers); {sums.good} good, {sums.affected} with something to blame, {sums.not_smtp} of other "
        f"protocols, {sums.probes} probes\n"
        f"findings    {json.dumps(dict(sorted(sums.findings.items())))}\n"
        f"not blamed  {json.dumps(dict(sorted((sums.consequences | sums.facts).items())))}\n"
        f"{figures.capture}\n"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FileExistsError as error:
        sys.exit(_complaint(str(error), 66))
    except FileNotFoundError as error:
        sys.exit(_complaint(f"no day in the folder: {error}", 66))
    except pytest.skip.Exception as missing:
        sys.exit(_complaint(str(missing), 69))
