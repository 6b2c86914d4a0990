"""What is in flight, and how a session ends: at most 64 RCPTs, half-close, PIPECONNECT, replies in command order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpguard.smtp import Event, Finding, Session, Side, Waiting
from tests.model import FakeUpstream, Manner
from tests.model.upstream import OBEY, REFUSE
from tests.properties.driver import SESSION_ID, Play, pieces
from tests.properties.scripts import HELLO, Unit, cuts, manners, scripts, unit
from tests.properties.test_sessions import POLICIES, policies

IN_FLIGHT = 64
"""RCPTs that may await their replies together (design rule 5)."""


@given(st.integers(1, 200), st.integers(1, 900), st.lists(st.sampled_from([OBEY, OBEY, REFUSE]), max_size=200))
def test_no_more_than_64_recipients_in_flight(count: int, size: int, whims: list[int]) -> None:
    """A long group: never more than 64 RCPTs without a reply, none lost, each reply in its place."""
    play = Play(
        POLICIES["standard"].policy, FakeUpstream(Manner(keywords=("PIPELINING",), whims=(OBEY, OBEY, OBEY, *whims)))
    )
    recipients = [b"RCPT TO:<%d@mx.example>\r\n" % number for number in range(count)]
    play.upstream_says(99)
    play.client_says(b"EHLO client.example\r\n")
    play.upstream_says(99)
    play.client_says(b"MAIL FROM:<a@client.example>\r\n" + b"".join(recipients))
    while play.upstream_says(size):
        said = play.up.count(b"RCPT TO:")
        answered = play.down.count(b"\r\n") - 4
        assert said - max(0, answered) <= IN_FLIGHT
    assert play.up.endswith(b"".join(recipients))
    wanted = [b"550 5.7.1 no" if whim == REFUSE else b"250 ok" for whim in [*whims, *[OBEY] * count][:count]]
    assert play.down.split(b"\r\n")[4:-1] == wanted
    assert play.findings == []


@given(scripts(), manners(permissive=True), policies, cuts)
def test_half_close_loses_nothing(script: list[Unit], manner: Manner, policy: str, schedule: list[int]) -> None:
    """CLIENT sends all and shuts its side: what is complete is judged, forwarded and answered as if it had not."""
    said = b"".join(one.octets for one in script)
    whole, closed = (Play(POLICIES[policy].policy, FakeUpstream(manner)) for _ in range(2))
    whole.stream(said, schedule, client_first=True)
    # The same steps once more, with the end behind the last octet, before what was not heard by then.
    last = max((number for number, step in enumerate(whole.steps) if step.side == "client"), default=-1)
    for number, step in enumerate(whole.steps):
        if step.side == "client":
            closed.client_says(step.octets)
        else:
            closed.upstream_says(max(1, len(step.octets)))
        if number == last and not closed.session.over:
            closed.take(closed.session.receive_eof(Side.CLIENT))
    while closed.upstream_says(1 << 16):
        pass
    if whole.session.over or whole.session.waiting is Waiting.COMMAND:
        assert closed.up == whole.up
        assert whole.down.startswith(closed.down)
    else:
        assert whole.up.startswith(closed.up)
    assert closed.session.over or last < 0


@given(st.integers(0, 3), st.booleans(), st.integers(1, 200))
def test_pipeconnect_is_silent(recipients: int, known: bool, size: int) -> None:
    """EHLO and its group before the greeting: no finding where UPSTREAM is known to offer PIPECONNECT."""
    session = Session(POLICIES["standard"].policy, session_id=SESSION_ID, pipeconnect=known)
    group = b"EHLO x\r\nMAIL FROM:<a@b>\r\n" + b"RCPT TO:<c@d>\r\n" * recipients
    events: list[Event] = []
    for at in range(0, len(group), size):
        events += session.receive(Side.CLIENT, group[at : at + size]).events
    replies = [b"220 x\r\n", b"250-x\r\n250-PIPECONNECT\r\n250 PIPELINING\r\n", *([b"250 ok\r\n"] * (1 + recipients))]
    up = b""
    for reply in replies:
        out = session.receive(Side.UPSTREAM, reply)
        up += b"".join(bytes(each) for each in out.up)
        events += out.events
    assert up == group
    found = {each.rule.id for each in events if isinstance(each, Finding)}
    assert found == (set() if known else {"SG201", "SG203"})


@pytest.mark.parametrize(
    ("word", "limit"), [(b"NOOP ", 4096), (b"rcpt ", 4096), (b"", 4096), (b"AUTH PLAIN ", 12288), (b"x-exps ", 12288)]
)
@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
@pytest.mark.parametrize("size", [1, 1000, 1 << 16])
def test_the_longest_line(word: bytes, limit: int, ending: bytes, size: int) -> None:
    """A line of the limit's length is judged, one octet more closes with 500 5.5.2; its line end counts."""
    for length in (limit, limit + 1):
        play = Play(POLICIES["lenient"].policy, FakeUpstream(Manner()))
        play.upstream_says(99)
        line = word + b"x" * (length - len(word) - len(ending)) + ending
        for at in range(0, length, size):
            play.client_says(line[at : at + size])
        assert play.session.over == (length > limit)
        assert (b"500 5.5.2 " in play.down) == (length > limit)
        assert ("SG303" in [each.rule.id for each in play.findings]) == (length > limit)


@pytest.mark.parametrize("wait", ["command", "login", "swallow"])
@pytest.mark.parametrize("cut", [1, 3, 99])
def test_an_unsolicited_421_is_handed_on(wait: str, cut: int) -> None:
    """Nothing is owed and UPSTREAM says goodbye while a line, a response or a refused chunk is awaited."""
    play = Play(POLICIES["standard"].policy, FakeUpstream(Manner()))
    begun = {
        "command": [HELLO],
        "login": [HELLO, unit("AUTH LOGIN\r\n")],
        "swallow": [HELLO, unit("BDAT 100\r\nand no more")],
    }
    play.lock_step(begun[wait], pieces([]))
    before, up = play.down, play.up
    play.unheard = b"421 4.3.2 bye\r\n"
    while play.upstream_says(cut):
        pass
    assert play.down == before + b"421 4.3.2 bye\r\n"
    assert play.up == up
    assert play.session.over
