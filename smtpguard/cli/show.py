"""`smtpguard show`: the transcript of one session, or of a host's latest, with the offending line marked.

A line is as wide as it was on the wire; what is said about it is wrapped at the terminal's width.
"""

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from smtpguard.cli.evidence_options import (
    AuditPlace,
    PeriodWords,
    audit_options,
    open_store,
    period_options,
    read_period,
    warn_unreadable,
)
from smtpguard.cli.screen import Style, as_json, fail, say, styled

if TYPE_CHECKING:
    from smtpguard.evidence.period import Period
    from smtpguard.evidence.show.tale import Charge, Tale
    from smtpguard.evidence.store import Store

NO_INPUT: Final = 66
"""EX_NOINPUT of sysexits.h."""

STYLES: Final = ("plain", "swaks", "gateway")
"""The keys of `show_styles.STYLES`; written out, so that `--help` imports no room."""

HELO: Final = 60
"""Characters of a HELO name in a list."""

_NARROWEST: Final = 60
_WIDEST: Final = 120

# The names of `show_styles.Look`.
_LOOKS: Final = {
    "HEADING": Style.HEADING,
    "GUARD": Style.CODE,
    "AT_FAULT": Style.BAD,
    "NOTE": Style.WARNING,
    "FAINT": Style.FAINT,
}


@click.command()
@click.argument("words", nargs=-1, metavar="[SESSION]")
@click.option("--host", metavar="IP", help="Sessions of this address, or of a network such as 192.0.2.0/24.")
@click.option("--all", "all_wanted", is_flag=True, help="With --host: every transcript, not only the latest.")
@click.option(
    "--style", type=click.Choice(STYLES), default="plain", show_default=True, help="The hand that it is written in."
)
@click.option("--json", "json_wanted", is_flag=True, help="Print one JSON document.")
@period_options
@audit_options
def show(  # noqa: PLR0913 - click hands options over as arguments
    *,
    words: tuple[str, ...],
    host: str | None,
    all_wanted: bool,
    style: str,
    json_wanted: bool,
    period: PeriodWords,
    audit: AuditPlace,
) -> None:
    """Show a session's transcript with the offending line marked.

    SESSION is the id of twelve characters that stands in replies, in the log and in events. What you copied may be
    pasted whole: 1M856DF92690, '[SG102 1M856DF92690]', or a line of the log.

    With --host the host's sessions in which a rule fired are listed, the latest first; then follows the transcript of
    the latest. The period is one of --host: a session is found by its id whenever it was.

    Exit codes: 0 shown, 2 usage, 66 no such session, host or audit, 74 the audit cannot be read.
    """
    if bool(words) == bool(host):
        raise click.UsageError("name a session, as in `smtpguard show 1M856DF92690`, or a host: --host 192.0.2.7")
    if all_wanted and not host:
        raise click.UsageError("--all goes with --host")
    during = read_period(period)
    store = open_store(audit)
    from smtpguard.evidence.store import StoreError  # noqa: PLC0415 - `--help` needs none

    try:
        if host:
            _show_host(store, host, during, style=style, all_wanted=all_wanted, json_wanted=json_wanted)
        else:
            _show_session(store, " ".join(words), during, style=style, json_wanted=json_wanted)
    except StoreError as error:
        fail(str(error), error.code)
    warn_unreadable(store.unreadable)


def _show_session(store: "Store", words: str, during: "Period", *, style: str, json_wanted: bool) -> None:
    from smtpguard.evidence.show.search import ID_LENGTH, near, session_id_in  # noqa: PLC0415 - as above
    from smtpguard.evidence.show.tale import tale  # noqa: PLC0415 - as above

    try:
        wanted = session_id_in(words)
    except ValueError as error:
        fail(str(error), NO_INPUT)
    session = store.session(wanted) if len(wanted) == ID_LENGTH else None
    if session is None:
        meant = near(store, wanted)
        warn_unreadable(store.unreadable)
        fail(_no_session(wanted, meant, whole=len(wanted) == ID_LENGTH), NO_INPUT)
    told = tale(session)
    if json_wanted:
        as_json(as_object(told))
    else:
        _print(told, during, style)


def _no_session(wanted: str, meant: list[str], *, whole: bool) -> str:
    said = f"no session {wanted} in this audit" if whole else f"{wanted} has {len(wanted)} characters, an id has twelve"
    if meant:
        return f"{said}; did you mean {', '.join(meant)}?"
    return (
        f"{said}; of a session without a command nothing is kept, audit.retention takes the old ones away, "
        "and `smtpguard show --host IP` finds sessions by address"
    )


def _show_host(  # noqa: PLR0913 - the options of the verb
    store: "Store", host: str, during: "Period", *, style: str, all_wanted: bool, json_wanted: bool
) -> None:
    from smtpguard.evidence.show.search import latest_first, network_of, sessions_of  # noqa: PLC0415 - as above

    try:
        network = network_of(host)
    except ValueError:
        raise click.BadParameter(
            f"{host!r}: an address such as 192.0.2.7, or a network such as 192.0.2.0/24", param_hint="--host"
        ) from None
    sessions = sessions_of(store, network, during.since, during.until)
    name = str(network.network_address) if network.num_addresses == 1 else str(network)
    told = list(latest_first(sessions))
    if not told:
        warn_unreadable(store.unreadable)
        fail(_nothing(name, len(sessions), during), NO_INPUT)
    if json_wanted:
        chosen = told if all_wanted else told[:1]
        listed = [as_object(each, lines=each in chosen) for each in told]
        as_json({"host": name, "period": _period(during), "sessions": len(sessions), "with_findings": listed})
        return
    say(styled(f"{name}: {len(told)} of {len(sessions)} sessions with findings, {during}", Style.HEADING))
    for each in told:
        say(_row(each, during))
    for each in told if all_wanted else told[:1]:
        say()
        _print(each, during, style)


def _nothing(name: str, sessions: int, during: "Period") -> str:
    if sessions:
        kept = "1 session" if sessions == 1 else f"{sessions} sessions"
        return f"{name}: nothing was found in its {kept} from {during}"
    return f"{name}: no session in the audit from {during}; --since 30d looks further back"


def _row(told: "Tale", during: "Period") -> str:
    from smtpguard.evidence.show.styles import findings  # noqa: PLC0415 - as above
    from smtpguard.evidence.wording import shortened  # noqa: PLC0415 - as above

    ended = datetime.fromtimestamp(told.ended or told.began, during.zone).strftime("%Y-%m-%d %H:%M:%S")
    helo = f"helo {shortened(told.helo, HELO)}" if told.helo else "no helo"
    return f"  {ended}  {styled(told.id, Style.CODE)}  {told.client.ip}  {findings(told)}  {helo}"


def _print(told: "Tale", during: "Period", style: str) -> None:
    from smtpguard.evidence.show.styles import STYLES as LAYOUTS  # noqa: PLC0415 - as above

    width = max(_NARROWEST, min(shutil.get_terminal_size((100, 24)).columns, _WIDEST))
    for row in LAYOUTS[style](told, during.zone, width):
        looks = _LOOKS.get(row.look.name)
        say(styled(row.text, looks) if looks else row.text)


# --- JSON -------------------------------------------------------------------------------------------------------------


def as_object(told: "Tale", *, lines: bool = True) -> dict[str, Any]:
    """Return a session as JSON tells it: times in UTC, absent what is not known."""
    peer = {"ip": told.peer.ip, "port": told.peer.port} if told.peer else None
    return {
        "session": told.id,
        "client": {"ip": told.client.ip, "port": told.client.port, "via": told.via, "peer": peer},
        "listener": told.listener,
        "upstream": told.upstream or None,
        "guard": told.guard or None,
        "began": _time(told.began),
        "ended": _time(told.ended),
        "helo": told.helo or None,
        "protocol": told.protocol or None,
        "visible": told.visible or None,
        "close": told.close or None,
        "counts": dict(told.counts) or None,
        "findings": [_charge(each) for each in told.findings],
        **({"transcript": _transcript(told)} if lines else {}),
    }


def _transcript(told: "Tale") -> dict[str, Any]:
    from smtpguard.evidence.show.styles import mark_of  # noqa: PLC0415 - as above

    lines = [
        {
            "after": each.after,
            "speaker": each.speaker.value,
            "line": each.text,
            "piece": each.piece or None,
            "mark": mark_of(each).strip() or None,
            "rules": [charge.rule_id for charge in each.charges],
        }
        for each in told.lines
    ]
    return {"omitted": told.omitted, "missing": told.why_no_transcript or None, "lines": lines}


def _charge(charge: "Charge") -> dict[str, Any]:
    return {
        "rule": charge.rule_id,
        "name": charge.name,
        "at": _time(charge.at),
        "blames_client": charge.blames_client,
        "situation": charge.situation,
        "reference": charge.reference,
        "done": charge.done,
        "detail": charge.detail or None,
        "cause": {"id": charge.cause, "text": charge.meaning} if charge.cause else None,
        "cure": charge.cure,
    }


def _time(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _period(during: "Period") -> dict[str, str | None]:
    return {"since": _time(during.since), "until": _time(during.until), "timezone": during.zone_name}
