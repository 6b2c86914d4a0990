"""A letter -> the message as a file, for the administrator to read, to edit and to send; it is never sent from here.

`text/plain` for the person, `transcript.txt` for his engineer, `xarf.json` for the robot at `abuse@`: XARF v4 is what
abuse desks read by machine. All of it is ASCII in lines that need no trust in anybody's 8-bit transport.

Nothing that a client or a name server said reaches a header but the forward-confirmed name and the domain, which are
letters, digits, hyphens and dots. The subject holds the name of one of our own rules, never a client's words.
"""

import json
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from typing import Any, Final

from smtpguard.evidence.dossier.case import Case
from smtpguard.evidence.dossier.letter import Letter, Sender
from smtpguard.evidence.dossier.lookup import Whereabouts

LONGEST: Final = 998
"""Octets of a line (RFC 5322 §2.1.1)."""

ORG: Final = 200
"""Characters of an organisation's name in XARF."""


def mail_address(text: str) -> Address:
    """Read a mail address, with a name or without.

    Raises:
        ValueError: it is none, or more than one; the sentence says what one looks like.
    """
    wrong = ValueError(f"{text!r}: one address, such as postmaster@example.org")
    sample = EmailMessage(policy=SMTP)
    try:
        sample["From"] = text
        (address,) = sample["From"].addresses
    except (ValueError, IndexError):
        # The library's reader falls over some that are none: `a@` is an IndexError.
        raise wrong from None
    if not (address.username and address.domain) or sample["From"].defects or not text.isascii():
        raise wrong
    return Address(address.display_name, address.username, address.domain)


def recipients(where: Whereabouts) -> tuple[list[str], list[str]]:
    """Return To and Cc: postmaster@ and abuse@ of the organisation (RFC 2142), and whom the registries name."""
    to = [f"postmaster@{where.domain}"] if where.domain else []
    cc = [f"abuse@{where.domain}"] if where.domain else []
    cc += [each for each in where.abuse if each not in cc]
    return (to, cc) if to else (cc[:1], cc[1:])


def message(letter: Letter, where: Whereabouts, sender: Sender, now: float, report: dict[str, Any]) -> EmailMessage:
    """Return the message.

    Args:
        letter: what is said.
        where: to whom.
        sender: by whom.
        now: its date, in seconds since the epoch.
        report: the XARF report.
    """
    mail = EmailMessage(policy=SMTP)
    mail["From"] = str(sender.author)
    for name, addresses in zip(("To", "Cc"), recipients(where), strict=True):
        if addresses:
            mail[name] = ", ".join(addresses)
    if sender.contact != sender.author:
        mail["Reply-To"] = str(sender.contact)
    mail["Subject"] = letter.subject
    mail["Date"] = format_datetime(datetime.fromtimestamp(int(now), UTC))
    mail["Message-ID"] = make_msgid(domain=sender.author.domain)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.body, charset="us-ascii", cte=_encoding(letter.body))
    if letter.transcript:
        cte = _encoding(letter.transcript)
        mail.add_attachment(letter.transcript, charset="us-ascii", cte=cte, filename="transcript.txt")
    octets = json.dumps(report, indent=1).encode("ascii") + b"\n"
    mail.add_attachment(octets, "application", "json", cte="base64", filename="xarf.json")
    return mail


def _encoding(text: str) -> str:
    """Return 7bit where that can be; left to itself, the library would choose base64 for what is easily read."""
    return "7bit" if max(map(len, text.splitlines()), default=0) <= LONGEST else "quoted-printable"


# --- XARF -------------------------------------------------------------------------------------------------------------


def xarf_report(case: Case, letter: Letter, sender: Sender, port: int) -> dict[str, Any]:
    """Return the report in XARF v4: a misconfiguration of the host's mail software, seen in its traffic.

    Args:
        case: what is held against the host.
        letter: what the person is told.
        sender: who reports.
        port: the client's in the session that is shown; 0: not known.

    Raises:
        ImportError: xarf is not installed.
        ValueError: the package finds fault with the report, which is a bug of ours.
    """
    import xarf  # noqa: PLC0415 - an extra

    parts = sender.author
    party = {"org": (parts.display_name or parts.domain)[:ORG], "contact": parts.addr_spec, "domain": parts.domain}
    evidence = [xarf.create_evidence("text/plain", letter.transcript, description="Transcript of one SMTP session")]
    made = xarf.create_report(
        category="vulnerability",
        type="misconfiguration",
        source_identifier=case.ip,
        reporter=party,
        sender=party,
        service="smtp",
        evidence_source="traffic_analysis",
        evidence=evidence if letter.transcript else [],
        confidence=1,
        description=letter.subject,
        tags=["protocol:smtp", *(f"rule:{tally.rule_id.lower()}" for tally in case.by_count[:10])],
    )
    report = {} if made.report is None else made.report.model_dump(mode="json", by_alias=True, exclude_none=True)
    # The schema wants the time of the incident; the package gives that of the report.
    if port:
        report["source_port"] = port
    report["timestamp"] = datetime.fromtimestamp(case.last, UTC).isoformat(timespec="seconds")
    read = xarf.parse(report)
    faults = [f"{error.field}: {error.message}" for error in (*made.errors, *read.errors)]
    faults += [f"{warning.field}: {warning.message}" for warning in read.warnings]
    if made.report is None or faults:
        raise ValueError("the XARF report is not valid: " + ("; ".join(faults) or "no report"))
    return report
