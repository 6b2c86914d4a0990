"""The catalogue against rules.md, row by row: id, name, verdicts in strict, standard and lenient, answer, safe."""

from typing import Final

import pytest

from smtpguard.smtp import CATALOGUE, Profile, Section, Verdict
from smtpguard.smtp.rules import SG101

# By hand from rules.md. The answer is code and enhanced code; "-" where smtpguard has none.
ROWS: Final = """
SG101 mail-before-hello              refuse refuse note   503 5.5.1
SG102 rcpt-without-mail              refuse refuse refuse 503 5.5.1
SG103 data-without-mail              refuse refuse refuse 503 5.5.1
SG104 data-without-recipient         refuse refuse refuse 503 5.5.1
SG105 nested-mail                    refuse refuse note   503 5.5.1
SG106 command-in-chunking            refuse refuse refuse 503 5.5.1
SG107 chunking-not-offered           refuse refuse refuse 503 5.5.1 safe
SG108 data-for-binarymime            refuse refuse refuse 503 5.5.1
SG109 starttls-in-tls                refuse refuse refuse 503 5.5.1
SG110 starttls-in-transaction        note   note   off    503 5.5.1
SG111 auth-in-transaction            refuse refuse note   503 5.5.1
SG112 auth-twice                     refuse refuse note   503 5.5.1
SG113 auth-before-ehlo               refuse note   off    503 5.5.1
SG114 starttls-before-ehlo           refuse note   off    503 5.5.1
SG115 command-after-refused-greeting refuse refuse refuse 503 5.5.1
SG116 etrn-in-transaction            note   note   off    503 5.5.1
SG201 early-talker                   close  note   off    554 5.5.0
SG202 pipelining-not-offered         close  note   off    554 5.5.0
SG203 input-behind-group-end         note   note   off    554 5.5.0
SG204 content-without-354            close  note   note   554 5.5.0
SG205 octets-behind-starttls         close  close  close  554 5.5.0 safe
SG206 input-behind-quit              note   note   note   -   -
SG301 bare-lf-in-command             refuse note   off    500 5.5.2
SG302 control-octet-in-command       refuse refuse refuse 500 5.5.2 safe
SG303 command-too-long               close  close  close  500 5.5.2 safe
SG304 hidden-end-of-content          close  close  close  550 5.5.2 safe
SG305 bare-newline-in-content        close  note   off    550 5.5.2
SG306 malformed-bdat                 close  close  close  501 5.5.4 safe
SG401 http-request                   close  close  close  554 5.5.1
SG402 tls-on-plain                   close  close  close  554 5.5.1
SG403 other-protocol                 close  close  close  554 5.5.1
SG404 unexpected-proxy-header        close  close  close  554 5.5.1
SG405 forbidden-verb                 refuse refuse refuse 502 5.5.1 safe
SG501 upstream-unreachable           note   note   note   421 4.3.2
SG502 upstream-out-of-step           note   note   note   421 4.3.0
SG503 upstream-closed                note   note   note   421 4.3.0
SG504 delivery-uncertain             note   note   note   -   -
SG505 upstream-surprise              note   note   note   -   -
SG601 too-many-violations            close  close  close  421 4.7.0
SG602 too-many-empty-commands        close  close  close  421 4.7.0
SG603 command-deadline               close  close  close  421 4.4.2
SG604 content-stalled                close  close  close  421 4.4.2
SG605 session-too-long               close  close  close  421 4.4.2
SG606 too-many-sessions              close  close  close  421 4.7.0
SG607 penalised                      close  close  close  421 4.7.0
"""


@pytest.mark.parametrize("row", ROWS.strip().splitlines(), ids=lambda row: str(row)[:5])
def test_a_row(row: str) -> None:
    """Name, verdicts, answer and safe mark are those of rules.md."""
    rule_id, name, strict, standard, lenient, code, enhanced, *safe = row.split()
    rule = CATALOGUE[rule_id]
    assert (rule.id, rule.name, rule.safe) == (rule_id, name, safe == ["safe"])
    assert [rule.verdicts[profile].value for profile in Profile] == [strict, standard, lenient]
    answer = rule.answer
    assert (str(answer.code), answer.enhanced) == (code, enhanced) if answer else code == "-"


def test_the_catalogue_has_these_rows_and_no_other() -> None:
    """A rule is added here and there, or nowhere."""
    assert list(CATALOGUE) == [row.split()[0] for row in ROWS.strip().splitlines()]


def test_what_every_row_holds() -> None:
    """Situation, reference and cure are there; ids fit their section; names are unique."""
    sections = {
        "1": Section.ORDER,
        "2": Section.TIMING,
        "3": Section.FRAMING,
        "4": Section.FOREIGN,
        "5": Section.UPSTREAM,
    }
    for rule in CATALOGUE.values():
        assert rule.situation
        assert rule.reference
        assert rule.cure.endswith(".")
        assert rule.section is sections.get(rule.id[2], Section.LIMITS)
        assert rule.answer is None or 400 <= rule.answer.code < 600
    assert len({rule.name for rule in CATALOGUE.values()}) == len(CATALOGUE)


def test_severity_and_rank() -> None:
    """Close, refuse, note; among equals Foreign, Framing, Timing, Order."""
    assert sorted(Verdict, key=lambda verdict: verdict.severity) == list(Verdict)
    assert [verdict.value for verdict in Verdict] == ["off", "note", "refuse", "close"]
    ranked = sorted(Section, key=lambda section: section.rank)
    assert ranked[:4] == [Section.FOREIGN, Section.FRAMING, Section.TIMING, Section.ORDER]


def test_a_rule_shows_itself_by_its_id() -> None:
    """Rules are compared by identity and shown by id."""
    assert repr(SG101) == "SG101"
    assert SG101 in {CATALOGUE["SG101"]}
