"""Whatever a record holds, the judge answers, and guesses nothing."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smtpguard.evidence.judge.judge import Ended, Item, Lost, Piece, TlsUp, judge
from smtpguard.smtp import Profile, Side, policy_for

C, U = Side.CLIENT, Side.UPSTREAM

_octets = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"220 mx\r\n", b"EHLO client\r\n", b"250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", b"250 ok\r\n",
            b"MAIL FROM:<a@client.example>\r\n", b"RCPT TO:<b@mx.example>\r\n", b"DATA\r\n", b"354 go\r\n", b".\r\n",
            b"421 x\r\n", b"BDAT 3\r\n", b"\x16\x03\x01", b"STARTTLS\r\n", b"220 go\r\n", b"GET / HTTP/1.1\r\n",
            b"AUTH LOGIN\r\n", b"334 \r\n",
            b"503 5.5.1 Bad sequence of commands: send MAIL first [SG102 0123456789AB]\r\n",
            b"554 5.5.0 SMTP protocol synchronisation error [SG201 0123456789AB]\r\n",
            b"554 5.5.0 SMTP protocol synchronisation error [0123456789AB]\r\n",
            b"421 4.3.0 Service not available, try again later [SG502 0123456789AB]\r\n",
            b"421 4.4.2 Timeout waiting for a command [SG603 0123456789AB]\r\n",
            b"421 4.7.0 Too many errors [SG601 0123456789AB]\r\n",
        ]
    ),
)  # fmt: skip
_items: st.SearchStrategy[Item] = st.one_of(
    st.builds(Piece, st.just(0.0), st.sampled_from([C, U]), _octets),
    st.builds(Piece, st.just(0.0), st.sampled_from([C, U]), _octets),
    st.builds(Piece, st.just(0.0), st.sampled_from([C, U]), _octets),
    st.builds(Ended, st.just(0.0), st.sampled_from([C, U]), st.booleans()),
    st.builds(Lost, st.just(0.0), st.sampled_from([C, U])),
    st.builds(TlsUp, st.just(0.0)),
)


@settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))
@given(st.lists(_items, max_size=25), st.sampled_from([None, True, False]), st.sampled_from(list(Profile)))
def test_nothing_raises(items: list[Item], start: bool | None, profile: Profile) -> None:
    """Any octets of either side, ends and gaps anywhere: an answer, and every place lies inside the record."""
    judged = judge(items, policy_for(profile), start=start)
    sent = sum(len(one.octets) for one in items if isinstance(one, Piece) and one.side is C)
    assert all(0 <= each.octet <= sent and 0 <= each.piece < len(items) for each in judged.findings)
    assert 0 <= judged.judged_from <= len(items)


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.lists(_items.filter(lambda one: not isinstance(one, Piece) or b"EHLO" not in one.octets), max_size=12))
def test_nothing_is_said_of_a_state_that_is_guessed(items: list[Item]) -> None:
    """Without a hello a record that begins in the middle has nothing to be judged by."""
    assert judge(items, policy_for(), start=False).findings == ()
