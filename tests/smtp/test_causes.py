"""Causes: the list of rules.md, each reached by its pattern, the sentences there."""

from typing import Any, Final

import pytest

from smtpguard.smtp import CATALOGUE, Cause
from smtpguard.smtp.causes import History, find

NAMES: Final = (
    "no-rset-after-refused-data pooled-connection ignored-refusal all-recipients-refused hello-refused-and-ignored "
    "no-ehlo-after-starttls helo-then-esmtp did-not-wait-for-greeting did-not-wait-for-354 bare-lf-client "
    "no-hello-at-all second-login health-check scanner unknown"
).split()

PATTERNS: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("SG101", {"tls_came_up": True, "hello_tried": True}, "no-ehlo-after-starttls"),
    ("SG101", {"hello_tried": True, "hello_refused": True}, "hello-refused-and-ignored"),
    ("SG101", {}, "no-hello-at-all"),
    ("SG113", {"hello_tried": True, "last_hello_was_helo": True}, "helo-then-esmtp"),
    ("SG114", {"hello_tried": True, "last_hello_was_helo": True}, "helo-then-esmtp"),
    ("SG107", {"hello_tried": True, "last_hello_was_helo": True}, "helo-then-esmtp"),
    ("SG113", {}, "no-hello-at-all"),
    ("SG102", {"mail_refused": True}, "ignored-refusal"),
    ("SG103", {"mail_refused": True}, "ignored-refusal"),
    ("SG102", {}, "no-hello-at-all"),
    ("SG102", {"hello_tried": True}, "unknown"),
    ("SG103", {}, "no-hello-at-all"),
    ("SG104", {"rcpt_refused": True}, "all-recipients-refused"),
    ("SG104", {"rcpt_refused": True, "mail_refused": True}, "all-recipients-refused"),
    ("SG104", {"mail_refused": True}, "ignored-refusal"),
    ("SG104", {}, "unknown"),
    ("SG105", {"data_refused": True, "rcpt_accepted": True, "accepted_messages": 1}, "no-rset-after-refused-data"),
    ("SG105", {"rcpt_refused": True}, "all-recipients-refused"),
    ("SG105", {"accepted_messages": 1, "rcpt_accepted": True}, "pooled-connection"),
    ("SG105", {"rcpt_refused": True, "rcpt_accepted": True}, "pooled-connection"),
    ("SG105", {"rcpt_accepted": True}, "unknown"),
    ("SG105", {}, "unknown"),
    ("SG105", {"chunk_refused": True}, "no-rset-after-refused-data"),
    ("SG106", {"chunk_refused": True}, "ignored-refusal"),
    ("SG106", {}, "unknown"),
    ("SG112", {}, "second-login"),
    ("SG115", {}, "ignored-refusal"),
    ("SG201", {}, "did-not-wait-for-greeting"),
    ("SG204", {"sent_ahead": True}, "did-not-wait-for-354"),
    ("SG204", {}, "ignored-refusal"),
    ("SG301", {}, "bare-lf-client"),
    ("SG304", {"bare_lf": True}, "bare-lf-client"),
    ("SG305", {"bare_lf": True}, "bare-lf-client"),
    ("SG305", {}, "unknown"),
    ("SG401", {"health_check": True}, "health-check"),
    ("SG401", {}, "scanner"),
    ("SG402", {}, "scanner"),
    ("SG403", {}, "scanner"),
    ("SG502", {}, "unknown"),
]


def test_the_list_is_the_catalogue_s() -> None:
    """The fifteen causes of rules.md, in its order or not, no more and no less."""
    assert {cause.value for cause in Cause} == set(NAMES)
    assert len(NAMES) == 15


@pytest.mark.parametrize(("rule_id", "past", "cause"), PATTERNS)
def test_a_pattern(rule_id: str, past: dict[str, Any], cause: str) -> None:
    """The history of a session names the cause of a finding."""
    assert find(CATALOGUE[rule_id], History(**past)).value == cause


def test_every_cause_has_its_two_sentences() -> None:
    """One for an administrator, one of cure for the sending side."""
    for cause in Cause:
        assert cause.meaning.endswith(".")
        assert cause.cure.endswith(".")


def test_what_belongs_to_a_transaction_is_forgotten_with_it() -> None:
    """A new transaction starts without the old one's refusals; the session's own past stays."""
    history = History(mail_refused=True, rcpt_refused=True, rcpt_accepted=True, data_refused=True, chunk_refused=True)
    history.accepted_messages = 3
    history.begin_transaction()
    assert history == History(accepted_messages=3)
