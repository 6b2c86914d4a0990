"""`python -m tests.bench`: measure, print the table. The manual is the package's docstring."""

import json
import shlex
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from tests.bench import peers, report
from tests.bench.campaign import Campaign, Plan, Result
from tests.bench.programs import LoadFailed
from tests.bench.rows import IDLE_SESSIONS, LOADS, QUICK, ROWS, quick
from tests.bench.setting import setting

NAMES = (peers.DIRECT, *peers.PEERS)


@click.command()
@click.option(
    "--rounds", default=7, show_default=True, type=click.IntRange(1, 100), help="Rounds; medians are of these."
)
@click.option("--quick", "short", is_flag=True, help="A quarter of the load, a tenth of the idle sessions, two rounds.")
@click.option("--only", multiple=True, type=click.Choice([row.name for row in ROWS]), help="Measure this row alone.")
@click.option("--extra", is_flag=True, help="Also the rows that have no mark: 1 and 200 at a time, 99th percentiles.")
@click.option("--peer", "wanted", multiple=True, type=click.Choice(NAMES), help="Measure this peer alone.")
@click.option("--python", default=sys.executable, help="The interpreter of the Python peers.")
@click.option(
    "--json", "file", type=click.Path(path_type=Path), metavar="FILE", help="Write every sample to this file."
)
def main(
    *,
    rounds: int,
    short: bool,
    only: tuple[str, ...],
    extra: bool,
    wanted: tuple[str, ...],
    python: str,
    file: Path | None,
) -> NoReturn:
    """Compare smtpguard with a direct session, HAProxy and a naive relay, before the same null sink on loopback.

    Exit codes: 0 measured, 1 a count differs or a session failed, 2 usage.
    """
    signal.signal(signal.SIGTERM, _leave)
    loads = {name: quick(load) for name, load in LOADS.items()} if short else LOADS
    plan = Plan(
        rows=[row for row in ROWS if (row.name in only if only else extra or not row.extra)],
        peers=_installed(wanted or NAMES, python),
        rounds=min(rounds, 2) if short else rounds,
        loads=loads,
        idle=peers.carried(IDLE_SESSIONS // 10 if short else IDLE_SESSIONS),
        python=python,
    )
    ran_on = setting(python, sys.argv[1:])
    for key, value in ran_on.items():
        click.echo(f"{key}: {value}")
    with tempfile.TemporaryDirectory(prefix="smtpguard-bench-") as folder:
        try:
            result = Campaign(plan, Path(folder), _say).run()
        except (LoadFailed, peers.StartFailed) as failure:
            click.echo(f"failed: {failure}", err=True)
            sys.exit(1)
        sys.exit(_report(plan, result, ran_on, file))


def _installed(wanted: tuple[str, ...], python: str) -> list[str]:
    """Name the peers that cannot be measured, and return the others."""
    reasons = {name: peers.missing(name, python) for name in wanted}
    for name, reason in reasons.items():
        if reason:
            click.echo(f"left out: {name}, {reason}")
    return [name for name, reason in reasons.items() if not reason]


def _report(plan: Plan, result: Result, ran_on: dict[str, str], file: Path | None) -> int:
    lines = [report.line(row, plan, result) for row in plan.rows]
    for peer, command in result.commands.items():
        if command:
            click.echo(f"{peer}: {shlex.join(command)}")
    click.echo(
        f"rounds: {plan.rounds}; idle sessions: {plan.idle}; sizes {'/ ' + str(QUICK) if _short(plan) else 'full'}"
    )
    click.echo(f"\n{report.table(lines, plan.peers)}\n")
    for sentence in result.counts:
        click.echo(sentence)
    for sentence in result.differences:
        click.echo(f"DIFFERS: {sentence}", err=True)
    if file:
        whole = {"setting": ran_on, "commands": result.commands, "lines": [report.plain_line(each) for each in lines]}
        file.write_text(json.dumps({**whole, **report.plain(result)}, indent=1) + "\n")
    return 1 if result.differences else 0


def _short(plan: Plan) -> bool:
    return plan.loads != LOADS


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """Leave by an exception, so that the children are stopped on the way out."""
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
