"""What `smtpguard report` costs over a large audit.

    python -m tests.bench.reporting [--events N] [--days N] [--runs N] [--html] [--keep DIRECTORY]

Makes an audit of a million events over a week (see `many_events`), once plain and once gzipped, and reports on it as
often as asked for, each time in a fresh process: wall time, CPU time and greatest resident memory are what the kernel
says of that process. The figures of every report are compared with what was written; a difference ends all with 1. The
marks are 3 s and 500 MiB on a machine with two cores that has nothing else to do; a mark that is missed is said.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click

from tests.bench.many_events import Made, write

WALL_MARK = 3.0
"""Seconds."""

MEMORY_MARK = 500
"""MiB."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One report."""

    wall: float
    cpu: float
    memory: float
    """MiB."""


def measured(audit: Path, made: Made, days: int, *arguments: str) -> Cost:
    """Make one report in a process of its own.

    Raises:
        ValueError: it failed, or its figures are not those that were written.
    """
    command = [sys.executable, "-m", "smtpguard", "report", "--audit", str(audit), "--since", f"{days}d", *arguments]
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        told = out.read()
    if process.returncode:
        raise ValueError(f"{' '.join(command)} ended with {process.returncode}")
    if "--json" in arguments:
        _compared(json.loads(told), made)
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _compared(told: dict[str, dict[str, object]], made: Made) -> None:
    totals = told["totals"]
    found = (totals["sessions"], totals["affected"], totals["findings"], totals["other_protocol"])
    other = {"sessions": made.other_protocol, "hosts": made.other_protocol_hosts}
    written = (made.sessions, made.affected, made.rules.total(), other)
    if found != written:
        raise ValueError(f"the report tells {found}, and {written} was written")


@click.command()
@click.option("--events", default=1_000_000, show_default=True, type=click.IntRange(min=1000))
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 90))
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option("--html", is_flag=True, help="Also the page.")
@click.option("--keep", type=click.Path(path_type=Path), metavar="DIRECTORY", help="Make the audit here, and leave it.")
def main(*, events: int, days: int, runs: int, html: bool, keep: Path | None) -> NoReturn:
    """Measure `smtpguard report` over an audit of a million events.

    Exit codes: 0 measured, 1 a figure differs or a report failed, 2 usage.
    """
    with tempfile.TemporaryDirectory(prefix="smtpguard-bench-") as folder:
        for packed in (False, True):
            audit = (keep or Path(folder)) / ("packed" if packed else "plain")
            # A second earlier: a report's own period begins when it is asked for, and must not cut the oldest events.
            made = write(audit, events=events, days=days, until=time.time(), packed=packed, margin=600)
            size = sum(file.stat().st_size for file in audit.rglob("*.jsonl*"))
            click.echo(
                f"{audit.name}: {made.events} events, {made.octets / 1e6:.0f} MB, on disk {size / 1e6:.0f} MB, "
                f"{made.sessions} sessions, {made.affected} affected"
            )
            for form in (("--json",), ("--html", os.devnull)) if html else (("--json",),):
                try:
                    costs = [measured(audit, made, days, *form) for _ in range(runs)]
                except ValueError as error:
                    click.echo(f"failed: {error}", err=True)
                    sys.exit(1)
                click.echo(_line(form[0], costs))
    sys.exit(0)


def _line(form: str, costs: list[Cost]) -> str:
    wall, memory = statistics.median(cost.wall for cost in costs), max(cost.memory for cost in costs)
    missed = " MISSED" if form == "--json" and (wall > WALL_MARK or memory > MEMORY_MARK) else ""
    return (
        f"  report {form}: wall median {wall:.2f} s (best {min(cost.wall for cost in costs):.2f}), "
        f"CPU {statistics.median(cost.cpu for cost in costs):.2f} s, memory {memory:.0f} MiB, {len(costs)} runs{missed}"
    )


if __name__ == "__main__":
    main()
