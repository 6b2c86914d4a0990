"""What is in flight, and what is a consequence: the group by itself."""

import pytest

from smtpguard.smtp import Command
from smtpguard.smtp.flight import Flight
from smtpguard.smtp.rules import SG101, SG102, SG103, SG104, SG105
from smtpguard.smtp.syntax import parse_command

MAIL, RCPT, DATA = (parse_command(line) for line in (b"MAIL FROM:<a>\r\n", b"RCPT TO:<b>\r\n", b"DATA\r\n"))
LAST = parse_command(b"BDAT 0 LAST\r\n")
RSET = parse_command(b"RSET\r\n")


def refused_mail(*, ahead: bool, pipelining: bool) -> Flight:
    """Return a flight in which MAIL was refused and a RCPT is at hand."""
    flight = Flight()
    flight.read(MAIL, ahead=False, pipelining=pipelining)
    flight.answered(MAIL, refused=True)
    flight.read(RCPT, ahead=ahead, pipelining=pipelining)
    return flight


@pytest.mark.parametrize(
    ("ahead", "pipelining", "consequence"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_only_what_may_be_sent_ahead_is_excused(ahead: bool, pipelining: bool, consequence: bool) -> None:
    """Rule 8: sent ahead, and PIPELINING offered."""
    flight = refused_mail(ahead=ahead, pipelining=pipelining)
    assert [flight.is_consequence(rule) for rule in (SG102, SG103, SG104)] == [consequence] * 3
    assert not flight.is_consequence(SG101)
    assert not flight.is_consequence(SG105)


@pytest.mark.parametrize("end", [DATA, LAST])
def test_data_and_the_last_chunk_end_a_group(end: Command) -> None:
    """What comes behind them is a group of its own."""
    flight = refused_mail(ahead=True, pipelining=True)
    flight.answered(end, refused=True)
    assert not flight.is_consequence(SG102)


@pytest.mark.parametrize("line", [b"MAIL FROM:<c>\r\n", b"RSET\r\n", b"EHLO a\r\n", b"HELO a\r\n", b"QUIT\r\n"])
def test_these_begin_a_group(line: bytes) -> None:
    """Whoever sends one of these begins anew."""
    flight = refused_mail(ahead=True, pipelining=True)
    flight.read(parse_command(line), ahead=False, pipelining=True)
    assert not flight.is_consequence(SG102)


def test_nothing_refused_nothing_excused() -> None:
    """A pipelined group in which all was accepted."""
    flight = Flight()
    flight.read(MAIL, ahead=False, pipelining=True)
    flight.answered(MAIL, refused=False)
    flight.read(DATA, ahead=True, pipelining=True)
    assert not flight.is_consequence(SG104)
    flight.answered(RSET, refused=True)
    assert not flight.is_consequence(SG104)


def test_rcpts_in_flight() -> None:
    """RCPTs join RCPTs, 64 at most; nothing else joins anything."""
    flight = Flight()
    assert not flight.may_join(RCPT)
    flight.owed[:] = [MAIL]
    assert not flight.may_join(RCPT)
    flight.owed[:] = [RCPT] * 63
    assert flight.may_join(RCPT)
    assert not flight.may_join(DATA)
    flight.owed.append(RCPT)
    assert not flight.may_join(RCPT)
