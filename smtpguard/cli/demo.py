"""`smtpguard demo`: good and bad sessions through a real guard, and the evidence it leaves.

Exit codes: 0 shown, or ended by Ctrl-C; 1 the guard found something else than the table of sessions says; 2 usage;
69 --upstream does not answer, or the guard has gone; 78 the guard refused to start.
"""

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from smtpguard.cli import demo_screen as screen
from smtpguard.cli.screen import as_json, fail

if TYPE_CHECKING:
    from smtpguard.config import Address
    from smtpguard.demo import Options, Session, Shown, Stage

FINDINGS: Final = 1
"""Exit code where the demo does not show what it promises."""
SESSIONS: Final = 200
"""Clients of --chaos, unless told otherwise."""


@click.command()
@click.option("--once", is_flag=True, help="Leave when all is shown, instead of staying up for your own telnet.")
@click.option("--chaos", is_flag=True, help="Play a stream of misbehaving clients instead.")
@click.option(
    "--sessions",
    "count",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help=f"How many clients --chaos plays; {SESSIONS} unless given.",
)
@click.option("--seed", type=int, metavar="S", help="The same seed draws the same clients for --chaos; 1 unless given.")
@click.option("--upstream", metavar="HOST:PORT", help="Play before this mail server of yours; it is sent no message.")
@click.option("--listen", metavar="HOST:PORT", help="Where the guard listens: 127.0.0.1:2525, or a free port.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Leave configuration, log and audit in this new folder.",
)
@click.option(
    "--json", "json_wanted", is_flag=True, help="Print one JSON document with all that was read back, and leave."
)
def demo(  # noqa: PLR0913 - click hands options over as arguments
    once: bool,
    chaos: bool,
    count: int | None,
    seed: int | None,
    upstream: str | None,
    listen: str | None,
    keep: Path | None,
    json_wanted: bool,
) -> None:
    """Play good and bad sessions, and show what becomes of them.

    Needs nothing: it brings a mail server of its own, starts a guard before it, both on loopback, and plays a good
    session and six bad ones. The replies, the log lines and the audit events that it prints are read back from the
    running guard. Then it stays up, so that you can telnet to it; Ctrl-C ends it, and no file is left.

    \b
    Exit codes: 0 shown, 1 the guard did not do what the demo says, 2 usage,
    69 --upstream does not answer, 78 the guard refused to start.
    """
    if not chaos and (count or seed is not None):
        raise click.UsageError("--sessions and --seed say how --chaos is played; add --chaos")
    if chaos and upstream:
        raise click.UsageError("--chaos is not played at a server of yours; leave --upstream or --chaos out")
    from smtpguard.demo import DemoError, Options, run  # noqa: PLC0415 - trio and pydantic are half a second

    options = Options(listen=_address("--listen", listen), upstream=_address("--upstream", upstream), keep=keep)
    course = _Course(
        options, once=once, json_wanted=json_wanted, crowd=(count or SESSIONS, 1 if seed is None else seed)
    )
    try:
        run(course.chaos if chaos else course.table)
    except DemoError as error:
        fail(f"smtpguard demo: {error}", error.exit_code)
    if course.surprised:
        raise SystemExit(FINDINGS)


def _address(option: str, text: str | None) -> "Address | None":
    from smtpguard.config import parse_address  # noqa: PLC0415 - as above

    if text is None:
        return None
    try:
        return parse_address(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}", param_hint=f"'{option}'") from None


class _Course:
    """One demo, from its heading to its end."""

    def __init__(self, options: "Options", *, once: bool, json_wanted: bool, crowd: tuple[int, int]) -> None:
        self._options = options
        self._json = json_wanted
        self._once = once
        self._count, self._seed = crowd
        self.surprised = False
        """The guard found something else than the demo promises."""

    async def table(self) -> None:
        """Show the good session and the bad ones."""
        from smtpguard.demo import staged  # noqa: PLC0415 - as above

        async with staged(self._options) as stage:
            if not self._json:
                screen.heading(stage)
            table = stage.table()
            shown = await stage.play(table)
            left_out = [each for each in table if each not in {one.played.session for one in shown}]
            # A real server may refuse what ours takes; then the guard may have had nothing to find.
            self.surprised = stage.own is not None and not all(each.as_told for each in shown)
            counts = stage.by_rule(each.played for each in shown)
            if self._json:
                as_json(_document(stage) | _told(shown, left_out) | {"findings": screen.counted(counts)})
                return
            screen.sessions(shown, left_out)
            screen.table(counts)
            await self._stay(stage)

    async def chaos(self) -> None:
        """Show what a crowd of misbehaving clients leaves behind."""
        from smtpguard.demo import staged, stream  # noqa: PLC0415 - as above

        async with staged(self._options) as stage:
            if not self._json:
                screen.heading(stage)
                screen.crowd_comes(self._count, self._seed)
            began = time.monotonic()
            played = await stage.play_chaos(stream(self._seed, self._count))
            seconds = time.monotonic() - began
            counts = stage.by_rule(played)
            kinds = Counter(each.session.title for each in played)
            trouble = [each for each in played if each.trouble]
            self.surprised = bool(trouble)
            if self._json:
                crowd = {"sessions": self._count, "seed": self._seed, "kinds": dict(sorted(kinds.items()))}
                log = {"log": stage.readback.lines, "events": stage.readback.events}
                as_json(_document(stage) | {"chaos": crowd, "findings": screen.counted(counts)} | log)
                return
            screen.crowd_went(stage, played, counts, seconds)
            await self._stay(stage)

    async def _stay(self, stage: "Stage") -> None:
        """Say what one may do next; unless --once, stay up and print the log as it grows."""
        if self._options.keep:
            screen.kept(self._options.keep)
        screen.farewell(stage, stays=not self._once)
        if not self._once:
            async for line in stage.live():
                screen.live(line)


def _document(stage: "Stage") -> dict[str, Any]:
    guard = stage.guard
    return {
        "guard": {
            "listen": str(guard.listen),
            "upstream": str(guard.upstream),
            "own_upstream": stage.own is not None,
            "pid": guard.pid,
        }
    }


def _told(shown: tuple["Shown", ...], left_out: list["Session"]) -> dict[str, Any]:
    return {
        "sessions": [_session(each) for each in shown],
        "left_out": [{"title": each.title, "rule": each.rule, "why": each.left_out} for each in left_out],
    }


def _session(shown: "Shown") -> dict[str, Any]:
    played = shown.played
    return {
        "title": played.session.title,
        "rule": played.session.rule or None,
        "as_told": shown.as_told,
        "trouble": played.trouble or None,
        "client": {"ip": played.host, "port": played.port},
        "transcript": [{"mark": each.mark.value.strip(), "text": each.text} for each in played.transcript],
        "upstream_saw": None if shown.upstream_saw is None else list(shown.upstream_saw),
        "messages": shown.messages,
        "log": list(shown.log),
        "events": list(shown.findings),
    }
