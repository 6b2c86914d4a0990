"""How a report says its figures."""

from smtpguard.cli.report import WAYS
from smtpguard.evidence.report.figures import By
from smtpguard.evidence.report.words import HEADINGS, named, percent, remedy, rule_cure, several, situation, title
from smtpguard.smtp import CATALOGUE, Cause


def test_shares() -> None:
    """Neither nothing nor all is said of what is only near to it."""
    shares = (0, 0.0001, 0.0005, 0.5, 0.9994, 0.99999, 1)
    told = ["0.0 %", "<0.1 %", "0.1 %", "50.0 %", "99.9 %", ">99.9 %", "100.0 %"]
    assert [percent(each) for each in shares] == told


def test_counts() -> None:
    """One is one, and thousands are parted."""
    assert [several(count, "host") for count in (0, 1, 2, 12345)] == ["0 hosts", "1 host", "2 hosts", "12,345 hosts"]


def test_names() -> None:
    """A rule has its name, what is empty says so, all else is its own name."""
    assert title(By.RULE, "SG104") == named("SG104") == "SG104 data-without-recipient"
    assert (title(By.HELO, ""), title(By.HOST, "192.0.2.1")) == ("(none)", "192.0.2.1")
    assert HEADINGS.keys() == set(By)


def test_every_rule_and_cause_has_its_sentences() -> None:
    """What the page says of a rule and of a cause is a sentence that begins like one."""
    for rule in CATALOGUE:
        assert situation(rule)[0].isupper()
        assert situation(rule).endswith(").")
        assert rule_cure(rule)
    for cause in Cause:
        assert remedy(cause.value) == f"{cause.meaning} {cause.cure}"


def test_what_a_later_version_wrote() -> None:
    """A rule and a cause that this version does not know go by their ids, and nothing is made up about them."""
    assert (named("SG999"), situation("SG999"), rule_cure("SG999"), remedy("moon")) == ("SG999", "", "", "")


def test_the_words_of_by() -> None:
    """The words of `--by` are written out for `--help`, and none is missing."""
    assert list(WAYS) == [by.value for by in By]
