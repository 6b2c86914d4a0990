"""How a report says its figures, whatever it is read on: headings, names, numbers."""

from collections.abc import Mapping
from typing import Final

from smtpguard.evidence.report.figures import By
from smtpguard.smtp import CATALOGUE, Cause

HEADINGS: Final[Mapping[By, str]] = {
    By.HOST: "Hosts, most sessions affected first",
    By.NETWORK: "Networks (/24, /48), most sessions affected first",
    By.RULE: "Rules",
    By.CAUSE: "Likely causes",
    By.COMMAND: "Commands at fault",
    By.HELO: "Names in EHLO or HELO",
    By.LISTENER: "Listeners",
}

NO_NAME: Final = "(none)"

_CAUSES: Final = {cause.value: cause for cause in Cause}


def named(rule_id: str) -> str:
    """Return `SG104 data-without-recipient`; the id alone of a rule that is not in this version's catalogue."""
    rule = CATALOGUE.get(rule_id)
    return f"{rule_id} {rule.name}" if rule else rule_id


def title(by: By, name: str) -> str:
    """Return what a row is called."""
    if by is By.RULE:
        return named(name)
    return name or NO_NAME


def situation(rule_id: str) -> str:
    """Return what a rule is about, with its RFC section; empty where this version's catalogue has it not."""
    rule = CATALOGUE.get(rule_id)
    return f"{rule.situation[0].upper()}{rule.situation[1:]} ({rule.reference})." if rule else ""


def rule_cure(rule_id: str) -> str:
    """Return what the sending side should do; empty where this version's catalogue has the rule not."""
    rule = CATALOGUE.get(rule_id)
    return rule.cure if rule else ""


def remedy(cause: str) -> str:
    """Return what a cause means and its cure; empty where this version has the cause not."""
    known = _CAUSES.get(cause)
    return f"{known.meaning} {known.cure}" if known else ""


def thousands(count: int) -> str:
    """Return `984,334`."""
    return f"{count:,}"


def several(count: int, one: str) -> str:
    """Return `1 session` or `7,476 sessions`."""
    return f"{thousands(count)} {one}{'s' * (count != 1)}"


def percent(share: float) -> str:
    """Return `2.0 %`; neither nothing nor all is said of what is only near to it."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"
