"""`smtpguard dossier`: the letter to the postmaster of a host that breaks the order, as a file to read, edit and send.

Nothing is sent. What leaves this host unasked is one question to the DNS about the address, which `--no-dns` stops;
`--lookup` asks the registries as well.
"""

import os
import time
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
from smtpguard.cli.screen import Style, fail, say, styled

if TYPE_CHECKING:
    from email.headerregistry import Address

    from smtpguard.evidence.dossier.case import Case
    from smtpguard.evidence.dossier.letter import Letter, Sender
    from smtpguard.evidence.dossier.lookup import Whereabouts
    from smtpguard.evidence.period import Period

NO_INPUT: Final = 66
UNAVAILABLE: Final = 69
IO_ERROR: Final = 74
"""EX_NOINPUT, EX_UNAVAILABLE and EX_IOERR of sysexits.h."""

FORMATS: Final = ("eml", "text")

_EXTRA: Final = "smtpguard dossier needs the extra \"report\": pip install 'smtpguard[report]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the options said about looking things up."""

    dns: bool
    registries: bool
    resolver: tuple[str, int] | None


@click.command()
@click.argument("host")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="A whole message, or text to paste; without it what FILE ends in (.eml), else text.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to this new file.")
@click.option("--force", is_flag=True, help="Write over FILE.")
@click.option("--from", "author", metavar="ADDRESS", help="Who writes; postmaster@ the guard's host unless given.")
@click.option("--contact", metavar="ADDRESS", help="Whom to answer; the one of --from unless given.")
@click.option("--full", is_flag=True, help="Do not mask the local parts of mail addresses.")
@click.option("--no-dns", is_flag=True, help="Do not ask the DNS for the host's name.")
@click.option("--resolver", metavar="HOST:PORT", help="Ask this name server instead of the system's.")
@click.option("--lookup", is_flag=True, help="Ask the registries (RDAP) who takes abuse reports; tells them HOST.")
@period_options
@audit_options
def dossier(  # noqa: PLR0913 - click hands options over as arguments
    *,
    host: str,
    form: str | None,
    output: Path | None,
    force: bool,
    author: str | None,
    contact: str | None,
    full: bool,
    no_dns: bool,
    resolver: str | None,
    lookup: bool,
    period: PeriodWords,
    audit: AuditPlace,
) -> None:
    """Write to the postmaster of a host, with the evidence.

    HOST is the IP address of a client in the audit. The letter says what the host sent, in which state, what the RFC
    says, the likely cause and its cure, how often, and shows one session; addresses in it are masked. As a message it
    has the transcript and an XARF v4 report attached. It is written, not sent: read it first.

    It goes to postmaster@ and abuse@ the domain of the host's name, where its name leads back to its address.

    \b
    Exit codes: 0 written, 2 usage, 66 no such host, nothing found or no audit,
    69 the extra "report" is missing, 74 something cannot be read or written.
    """
    address = _address(host)
    asked = _Asked(dns=not no_dns, registries=lookup, resolver=_server(resolver))
    if output is not None and os.path.lexists(output) and not force:
        # Before anybody is asked anything.
        fail(f"{output}: is there already; name a new file, or say --force to write over it", IO_ERROR)
    during = read_period(period)
    case = _case(audit, address, during)
    from smtpguard.evidence.dossier.letter import Sender  # noqa: PLC0415 - `--help` needs none

    written_by = _mail("--from", author) if author else _default_author(case)
    answers_to = _mail("--contact", contact) if contact else written_by
    sender = Sender(author=written_by, contact=answers_to, zone=during.zone, zone_name=during.zone_name, full=full)
    where = _found_out(address, asked)
    _warn(address, case, where)
    octets = _made(case, where, sender, form or ("eml" if output and output.suffix == ".eml" else "text"))
    if output is None:
        # Nothing but ASCII is in it, line ends included: a message has those of the wire.
        say(octets.decode("ascii"), nl=False)
    else:
        _write(output, octets, force=force, known=bool(where.domain or where.abuse))


def _address(host: str) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(host.strip().strip("[]"))
    except ValueError:
        raise click.BadParameter(
            f"{host!r}: the IP address of one host, such as 192.0.2.7; `smtpguard report` ranks hosts and networks",
            param_hint="HOST",
        ) from None
    return getattr(address, "ipv4_mapped", None) or address


def _server(text: str | None) -> tuple[str, int] | None:
    from smtpguard.config import parse_address  # noqa: PLC0415 - pydantic is a quarter of a second

    if text is None:
        return None
    try:
        server = parse_address(text)
        return str(ip_address(server.host)), server.port
    except ValueError:
        raise click.BadParameter(
            f"{text!r}: an IP address and a port, such as 127.0.0.1:53", param_hint="--resolver"
        ) from None


def _mail(option: str, text: str) -> "Address":
    from smtpguard.evidence.dossier.mail import mail_address  # noqa: PLC0415 - `--help` needs none

    try:
        return mail_address(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _default_author(case: "Case") -> "Address":
    from smtpguard.evidence.dossier.mail import mail_address  # noqa: PLC0415 - as above

    guard = next((name for name, _ in case.guards.most_common(1)), "localhost")
    try:
        guess = mail_address(f"postmaster@{guard}")
    except ValueError:
        guess = mail_address("postmaster@localhost")
    _caution(f"the letter is from {guess.addr_spec}, which is a guess; --from ADDRESS says who writes")
    return guess


# --- the evidence -----------------------------------------------------------------------------------------------------


def _case(audit: AuditPlace, address: IPv4Address | IPv6Address, during: "Period") -> "Case":
    """Read what is held against the host; exit 66 where that is nothing."""
    from smtpguard.evidence.dossier.case import case_of  # noqa: PLC0415 - `--help` needs none
    from smtpguard.evidence.store import StoreError  # noqa: PLC0415 - as above

    store = open_store(audit)
    try:
        case = case_of(str(address), store.host(str(address), during.since, during.until))
    except StoreError as error:
        fail(str(error), error.code)
    warn_unreadable(store.unreadable)
    if not case.tallies:
        fail(_nothing(case, during), NO_INPUT)
    return case


def _nothing(case: "Case", during: "Period") -> str:
    if case.sessions:
        kept = "1 session" if case.sessions == 1 else f"{case.sessions} sessions"
        return f"{case.ip}: nothing to complain of in its {kept} from {during}"
    if case.foreign:
        return (
            f"{case.ip}: spoke another protocol than SMTP in all it said from {during}: "
            "no matter for a postmaster; `smtpguard show --host` shows what it was"
        )
    return f"{case.ip}: no session in the audit from {during}; --since 30d looks further back"


def _found_out(address: IPv4Address | IPv6Address, asked: _Asked) -> "Whereabouts":
    from smtpguard.evidence.dossier import lookup  # noqa: PLC0415 - `--help` needs none

    where = lookup.Whereabouts(why_nameless="the DNS was not asked (--no-dns)")
    try:
        if asked.dns:
            where = lookup.whereabouts(address, asked.resolver)
        if asked.registries and lookup.inside(address):
            where = replace(where, warning="the registries were not asked: the address is a private one")
        elif asked.registries:
            found = lookup.abuse_contacts(address)
            where = replace(where, abuse=found.abuse, owner=found.owner, warning=found.warning)
    except ImportError:
        fail(_EXTRA, UNAVAILABLE)
    return where


def _warn(address: IPv4Address | IPv6Address, case: "Case", where: "Whereabouts") -> None:
    from smtpguard.evidence.dossier.lookup import inside  # noqa: PLC0415 - as above

    if inside(address):
        _caution(f"{address} is a private address: whoever is responsible for it is in your own house")
    if where.warning:
        _caution(f"--lookup: {where.warning}")
    if where.owner:
        say(f"the registries say that {address} belongs to {where.owner}", err=True)
    if not where.domain and not where.abuse:
        why = where.why_nameless or "its name has no registered domain"
        _caution(f"nobody to write to is known: {why}; --lookup asks the registries, or `whois {address}` does")
    for (via, peer), sessions in case.peers.most_common(3):
        _caution(f"in {sessions} of its sessions {peer} connected, and told the address ({via})")


def _caution(text: str) -> None:
    say(f"{styled('warning', Style.WARNING)}: {text}", err=True)


# --- the letter -------------------------------------------------------------------------------------------------------


def _made(case: "Case", where: "Whereabouts", sender: "Sender", form: str) -> bytes:
    from smtpguard.evidence.dossier.case import example  # noqa: PLC0415 - `--help` needs none
    from smtpguard.evidence.dossier.letter import letter  # noqa: PLC0415 - as above
    from smtpguard.evidence.dossier.mail import message, xarf_report  # noqa: PLC0415 - as above

    shown = example(case.by_count[0], full=sender.full)
    written = letter(case, where, shown, sender)
    if form == "text":
        return _text(written, where, sender).encode("ascii")
    try:
        report = xarf_report(case, written, sender, shown.told.client.port if shown else 0)
    except ImportError:
        fail(_EXTRA, UNAVAILABLE)
    return message(written, where, sender, time.time(), report).as_bytes()


def _text(written: "Letter", where: "Whereabouts", sender: "Sender") -> str:
    from smtpguard.evidence.dossier.mail import recipients  # noqa: PLC0415 - as above

    to, cc = recipients(where)
    lines = [f"From: {sender.author}", f"To: {', '.join(to) or '(not known)'}", f"Cc: {', '.join(cc)}" if cc else ""]
    head = "\n".join(filter(None, (*lines, f"Subject: {written.subject}")))
    rule = "-" * 72
    whole = f"\n{rule}\ntranscript.txt\n{rule}\n{written.transcript}" if written.transcript else ""
    return f"{head}\n\n{written.body}{whole}"


def _write(file: Path, octets: bytes, *, force: bool, known: bool) -> None:
    try:
        with file.open("wb" if force else "xb") as opened:
            opened.write(octets)
    except OSError as error:
        fail(f"{file}: cannot be written: {error.strerror or error}", IO_ERROR)
    to = "" if known else ", and say whom it is to"
    how = f"; then, for instance: sendmail -t < {file}" if octets.startswith(b"From:") and file.suffix == ".eml" else ""
    say(f"{file}: written, not sent. Read it{to}, edit it as you like{how}")
