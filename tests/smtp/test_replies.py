"""The replies that smtpguard itself speaks."""

import pytest

from smtpguard.smtp import INTERNAL_ERROR, SHUTTING_DOWN, Answer
from smtpguard.smtp.replies import NO_VALID_RECIPIENTS, STARTTLS_HIDDEN, STARTTLS_REFUSED


@pytest.mark.parametrize(
    ("rule_id", "session_id", "octets"),
    [
        ("SG102", "0123456789AB", b"503 5.5.1 No [SG102 0123456789AB]\r\n"),
        ("", "0123456789AB", b"503 5.5.1 No [0123456789AB]\r\n"),
        ("SG102", "", b"503 5.5.1 No [SG102]\r\n"),
        ("", "", b"503 5.5.1 No\r\n"),
    ],
)
def test_spoken(rule_id: str, session_id: str, octets: bytes) -> None:
    """Rule id and session id stand at the end, where they are given."""
    assert Answer(503, "5.5.1", "No").spoken(rule_id, session_id) == octets


@pytest.mark.parametrize(
    ("answer", "code", "enhanced"),
    [
        (NO_VALID_RECIPIENTS, 554, "5.5.1"),
        (STARTTLS_HIDDEN, 502, "5.5.1"),
        (STARTTLS_REFUSED, 454, "4.7.0"),
        (SHUTTING_DOWN, 421, "4.3.2"),
        (INTERNAL_ERROR, 421, "4.3.0"),
    ],
)
def test_answers_outside_the_catalogue(answer: Answer, code: int, enhanced: str) -> None:
    """Codes of design rules 4 and 15 and rules.md; never 2xx or 3xx."""
    assert (answer.code, answer.enhanced) == (code, enhanced)
