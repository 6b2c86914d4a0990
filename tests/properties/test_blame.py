"""RFC 2920 §3.1: "a pipelining client cannot know". No blame for what stood behind a refusal in its group."""

from hypothesis import given
from hypothesis import strategies as st

from smtpguard.smtp import Section, Side
from tests.model import FakeUpstream, Manner
from tests.model.upstream import OBEY, REFUSE, TRY_LATER
from tests.properties.driver import Play, quarrel
from tests.properties.scripts import chunk, schedules
from tests.properties.test_sessions import POLICIES

PIPELINING = ("PIPELINING", "CHUNKING")
verdicts = st.sampled_from([OBEY, REFUSE, TRY_LATER])


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[bytes], list[int]]:
    """Draw a group (MAIL, some RCPT, and DATA, or chunks, or neither) and what UPSTREAM makes of MAIL and RCPT."""
    recipients = draw(st.integers(1, 4))
    group = [b"MAIL FROM:<a@client.example>\r\n", *([b"RCPT TO:<b@mx.example>\r\n"] * recipients)]
    end = draw(st.sampled_from(["DATA", "BDAT", "chunks", ""]))
    if end == "DATA":
        group.append(b"DATA\r\n")
    if end == "chunks":
        group.append(chunk(b"one", last=False).octets)
    if end in ("BDAT", "chunks"):
        group.append(chunk(b"hi\r\n", last=True).octets)
    if draw(st.integers(0, 2)) == 0:
        group.insert(0, b"RSET\r\n")
    whims = [draw(verdicts) for _ in range(recipients + 1)]
    return group, whims


def say_hello(play: Play) -> None:
    """Bring a session to the reply of its EHLO."""
    while play.upstream_says(99):
        pass
    play.client_says(b"EHLO client.example\r\n")
    while play.upstream_says(999):
        pass


def write_ahead(play: Play, group: list[bytes], cut: list[int]) -> None:
    """Read the group so that the first octet of each command is here before the reply to the command before it is."""
    written = b"".join(group)
    read = 0
    while read < len(written) and not play.session.over:
        size = cut.pop() if cut else len(written)
        read += play.client_says(written[read : read + size])
        if not cut:
            continue
        starts = [sum(map(len, group[:index])) for index in range(1, len(group))]
        # A reply may come once the command behind its own has begun: count what was answered and what has begun.
        begun = sum(1 for start in starts if start < read)
        if play.down.count(b"\r\n") - 2 - len(PIPELINING) < begun and play.unheard:
            line = play.unheard.index(b"\n") + 1
            play.upstream_says(line)
    while play.upstream_says(1 << 16):
        pass


@given(
    groups(), st.lists(st.integers(1, 40), max_size=20), st.sampled_from(["standard", "strict", "lenient", "observe"])
)
def test_a_pipelining_client_is_never_blamed(drawn: tuple[list[bytes], list[int]], cut: list[int], policy: str) -> None:
    """MAIL or RCPT is refused; what was sent with it is answered, and no violation is counted."""
    group, whims = drawn
    behind = [OBEY] if group[0].startswith(b"RSET") else []
    play = Play(POLICIES[policy].policy, FakeUpstream(Manner(keywords=PIPELINING, whims=(OBEY, OBEY, *behind, *whims))))
    say_hello(play)
    write_ahead(play, group, list(cut))
    blamed = [each for each in play.findings if not each.consequence and each.rule.section is not Section.UPSTREAM]
    assert blamed == []
    assert [each.violations for each in play.findings if each.violations] == []
    assert not play.session.over
    words = quarrel(play, play.model(POLICIES[policy].terms))
    assert not words, f"{words}\n{play.steps}"


def all_recipients_refused(whims: list[int]) -> bool:
    """Tell whether no RCPT can be accepted."""
    return whims[0] != OBEY or OBEY not in whims[1:]


@given(groups())
def test_a_client_in_lock_step_is_blamed(drawn: tuple[list[bytes], list[int]]) -> None:
    """The same group, sent one by one with every reply heard: going on after the refusal is a violation."""
    group, whims = drawn
    group = [each for each in group if not each.startswith(b"RSET")]
    play = Play(POLICIES["standard"].policy, FakeUpstream(Manner(keywords=PIPELINING, whims=(OBEY, OBEY, *whims))))
    say_hello(play)
    for each in group:
        play.client_says(each)
        while play.upstream_says(999):
            pass
    wrong = [each for each in play.findings if not each.consequence]
    reasons_for_blame = whims[0] != OBEY or (len(group) > len(whims) and all_recipients_refused(whims))
    assert bool(wrong) == reasons_for_blame
    assert not [each for each in play.findings if each.consequence]


def test_replies_not_yet_written_count_as_unheard() -> None:
    """`unread`: what was given out before is not written to CLIENT, so a command read now was sent without it."""
    play = Play(POLICIES["standard"].policy, FakeUpstream(Manner(keywords=PIPELINING, whims=(OBEY, OBEY, REFUSE))))
    say_hello(play)
    play.client_says(b"MAIL FROM:<a@client.example>\r\n")
    play.upstream_says(999)
    out = play.session.receive(Side.CLIENT, b"RCPT TO:<b@mx.example>\r\n", unread=True)
    play.take(out)
    assert [(each.rule.id, each.consequence) for each in play.findings] == [("SG102", True)]


@st.composite
def trains(draw: st.DrawFn) -> list[bytes]:
    """Draw pipelined messages by BDAT, one behind the other, with a line among them that nobody expects."""
    script: list[bytes] = []
    for message in range(draw(st.integers(1, 3))):
        script.append(b"MAIL FROM:<%d@client.example>\r\n" % message)
        script += [b"RCPT TO:<%d@mx.example>\r\n" % message] * draw(st.integers(1, 2))
        script.append(chunk(b"of %d\r\n" % message, last=True).octets)
    at = draw(st.integers(0, len(script)))
    script[at:at] = draw(st.sampled_from([[], [], *([one] for one in UNEXPECTED)]))
    return script


UNEXPECTED = [
    b"NOOP\r\n", b"RSET\r\n", b"RCPT TO:<odd@mx.example>\n", b"RCPT TO:<o\0d@mx.example>\r\n",
    b"NOOP " + b"x" * 5000, b"\r\n",
    b"BDAT 1\n", b"DATA\r\n", b"XCLIENT a\r\n", b"AUTH PLAIN AGEAYg==\r\n", b"STARTTLS\r\n", b"BURL imap://x LAST\r\n",
]  # fmt: skip


@given(trains(), st.lists(verdicts, max_size=8), schedules, st.sampled_from(sorted(POLICIES)))
def test_no_message_gets_anothers_envelope(
    train: list[bytes], whims: list[int], schedule: list[int], policy: str
) -> None:
    """Messages pipelined one behind the other: what UPSTREAM accepts has the envelope that CLIENT gave it."""
    keywords = (*PIPELINING, "AUTH PLAIN")
    play = Play(POLICIES[policy].policy, FakeUpstream(Manner(keywords=keywords, whims=(OBEY, OBEY, *whims))))
    say_hello(play)
    play.stream(b"".join(train), schedule, client_first=True)
    words = quarrel(play, play.model(POLICIES[policy].terms))
    assert not words, f"{words}\n{play.steps}"
    enforced = not POLICIES[policy].terms.observing and policy not in ("guard taken out", "lenient")
    # RSET and BURL LAST end the group: a chunk behind them is CLIENT's own violation, and what follows its own mixture.
    if enforced and b"RSET\r\n" not in train and b"BURL imap://x LAST\r\n" not in train:
        for message in play.upstream.accepted:
            number = message.content[3:4]
            wanted = (b"FROM:<%s@" % number, b"TO:<%s@" % number, b"TO:<odd@")
            assert all(each.startswith(wanted) for each in message.envelope)
