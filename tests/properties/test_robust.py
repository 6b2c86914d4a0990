"""Whatever comes, from either side, at any time: no exception, no octet too many in memory, no word after the end."""

from hypothesis import given
from hypothesis import strategies as st

from smtpguard.smtp import SHUTTING_DOWN, Close, Output, Policy, Session, SessionEnded, Side, TlsMode
from tests.model import FakeUpstream, Manner
from tests.properties.driver import HELD, SESSION_ID, Play, retained
from tests.properties.scripts import Unit, cuts, manners, scripts
from tests.properties.test_sessions import POLICIES, policies

SLACK = 4 * 1024
"""Octets kept beyond what is held: the EHLO name, the reply before, the last line, texts of the policy."""

_said = st.sampled_from(
    [
        # Replies, whole and in parts, and what is none.
        b"220 x\r\n", b"250 ok\r\n", b"250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", b"354 go\r\n", b"550 no\r\n",
        b"421 bye\r\n", b"334 \r\n", b"235 ok\r\n", b"503 no\r\n", b"221 bye\r\n", b"250-", b"25", b"250 a\n",
        b"100 x\r\n", b"250\0\r\n", b"\xff", b"250-x\r\n" * 600,
        # Commands, and what is none.
        b"EHLO x\r\n", b"MAIL FROM:<a>\r\n", b"RCPT TO:<b>\r\n", b"DATA\r\n", b"AUTH LOGIN\r\n", b"STARTTLS\r\n",
        b"BDAT 10\r\n", b"BDAT 2147483647 LAST\r\n", b"QUIT\r\n", b"BURL imap://x LAST\r\n",
        b"XCLIENT ADDR=1.2.3.4\r\n",
        b"\x16\x03\x01", b"GET / HTTP/1.1\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n", b"\r\n\r\n\0\r\nQUIT\n",
        b"SSH-2.0-x\r\n", b"x" * 5000, b"AUTH " + b"x" * 13000, b"NOOP\r\n" * 30, b"\x80\x81\r\n",
        # Ends of content and their parts.
        b"\r\n.\r\n", b"\n.\n", b".", b"\r", b"\n", b"\0",
    ]
)  # fmt: skip
octets = st.one_of(_said, st.lists(_said, max_size=5).map(b"".join), st.binary(max_size=40))
acts = st.one_of(
    st.tuples(st.just("client"), octets),
    st.tuples(st.just("client"), octets),
    st.tuples(st.just("upstream"), octets),
    st.tuples(st.just("upstream"), octets),
    st.tuples(st.sampled_from(["eof", "lost", "untold"]), st.sampled_from([b"client", b"upstream"])),
    st.tuples(st.sampled_from(["expire", "outlived", "dismiss", "unread"]), octets),
)


def act(session: Session, name: str, data: bytes) -> Output:
    """Do one thing to a session, within its window."""
    side = Side.CLIENT if data == b"client" else Side.UPSTREAM
    if name in ("client", "unread"):
        data = data[: session.window]
        return session.receive(Side.CLIENT, data, unread=name == "unread") if data else Output()
    if name == "upstream":
        return session.receive(Side.UPSTREAM, data) if data else Output()
    if name == "eof":
        return session.receive_eof(side)
    if name in ("lost", "untold"):
        return session.lost(side, untold=name == "untold")
    if name == "expire":
        return session.expire()
    if name == "outlived":
        return session.outlived()
    return session.dismiss(SHUTTING_DOWN, Close.SHUTDOWN)


def sound(session: Session, out: Output) -> None:
    """Check what holds after every act."""
    assert all(type(each) in (bytes, memoryview) for each in (*out.up, *out.down))
    assert session.window >= 0
    assert session.over == (session.ending is not None)
    assert isinstance(session.progress, int)
    assert session.waiting is not None


@given(st.lists(acts, max_size=25), policies, st.sampled_from(list(TlsMode)), st.booleans(), st.booleans())
def test_no_exception_leaves_the_engine(
    todo: list[tuple[str, bytes]], policy: str, tls_mode: TlsMode, tls: bool, pipeconnect: bool
) -> None:
    """Random octets, ends, deadlines and dismissals, in any order and after the end too."""
    whole = POLICIES[policy].policy
    decided = Policy(
        before_auth=whole.before_auth, after_auth=whole.after_auth, observing=whole.observing, tls_mode=tls_mode
    )
    session = Session(decided, session_id=SESSION_ID, tls=tls, pipeconnect=pipeconnect)
    for name, data in todo:
        was_over = session.over
        out = act(session, name, data)
        sound(session, out)
        assert not (was_over and (out.up or out.down))
    assert isinstance(session.ended(), SessionEnded)


@given(scripts(), manners(rude=True, permissive=True), policies, cuts, st.lists(acts, max_size=3), st.data())
def test_a_sensible_session_disturbed(
    script: list[Unit],
    manner: Manner,
    policy: str,
    schedule: list[int],
    todo: list[tuple[str, bytes]],
    data: st.DataObject,
) -> None:
    """A whole session is broken off, or gets octets nobody sent, at some point: the engine stays sound, and ends."""
    play = Play(POLICIES[policy].policy, FakeUpstream(manner))
    said = b"".join(one.octets for one in script)
    at = data.draw(st.integers(0, len(said)))
    play.stream(said[:at], schedule, client_first=False)
    for name, octet in todo:
        sound(play.session, act(play.session, name, octet))
    play.take(Output())
    if not play.session.over:
        play.stream(said[at:], schedule, client_first=True)
    sound(play.session, play.session.lost(Side.UPSTREAM))
    sound(play.session, play.session.lost(Side.CLIENT))
    assert play.session.over


@given(
    st.sampled_from([b"NOOP\r\n", b"x", b"\r\n", b"RCPT TO:<b@mx.example>\r\n", b"\n", b"\0", b"BDAT 9\r\n012345678"]),
    st.sampled_from([b"", b"220 x\r\n", b"220 x\r\n250-x\r\n250 PIPELINING\r\n"]),
    st.integers(1000, 1 << 18),
    policies,
)
def test_a_flood_is_held_at_64_kib(line: bytes, before: bytes, size: int, policy: str) -> None:
    """While UPSTREAM is silent CLIENT writes for ever: at most 64 KiB are held, then the window is shut."""
    session = Session(POLICIES[policy].policy, session_id=SESSION_ID)
    for reply in before.splitlines(keepends=True)[:1]:
        session.receive(Side.UPSTREAM, reply)
    if len(before) > 10:
        session.receive(Side.CLIENT, b"EHLO x\r\n")
        session.receive(Side.UPSTREAM, before[7:])
        session.receive(Side.CLIENT, b"MAIL FROM:<a@client.example>\r\n")
    empty = retained(session)
    flood = line * (size // len(line) + 1)
    for _ in range(4 * HELD // size + 2):
        if session.over or not session.window:
            break
        session.receive(Side.CLIENT, flood[: min(size, session.window)])
        assert session.window >= 0
        assert retained(session) <= empty + HELD + SLACK
    assert retained(session) <= empty + HELD + SLACK


@given(
    st.sampled_from([b"250-x\r\n", b"x", b"2", b"250 ", b"250-" + b"y" * 3000 + b"\r\n", b"220-x\r\n"]),
    st.integers(1, 70000),
)
def test_an_endless_reply_is_out_of_step(line: bytes, size: int) -> None:
    """A reply without an end is cut off: CLIENT hears 421, and memory stays bounded."""
    session = Session(POLICIES["standard"].policy, session_id=SESSION_ID)
    flood = line * (200000 // len(line))
    down = b""
    for at in range(0, len(flood), size):
        out = session.receive(Side.UPSTREAM, flood[at : at + size])
        down += b"".join(bytes(each) for each in out.down)
        assert retained(session) <= HELD + size + SLACK
        if session.over:
            break
    assert session.over
    assert down.startswith(b"421 4.3.0 ")


@given(
    st.integers(1, 1 << 18),
    st.integers(1, 60),
    st.sampled_from([b"line of text\r\n", b"\n", b"a", b".\0", b"\r\n.\0\0"]),
)
def test_content_is_not_kept(size: int, count: int, text: bytes) -> None:
    """However large a content and whatever it holds, at most a possible dot of it waits."""
    session = Session(POLICIES["standard"].policy, session_id=SESSION_ID)
    session.receive(Side.UPSTREAM, b"220 x\r\n")
    for line, reply in (
        (b"EHLO x", b"250 x"),
        (b"MAIL FROM:<a>", b"250 x"),
        (b"RCPT TO:<b>", b"250 x"),
        (b"DATA", b"354 x"),
    ):
        session.receive(Side.CLIENT, line + b"\r\n")
        session.receive(Side.UPSTREAM, reply + b"\r\n")
    empty = retained(session)
    block = (text * (min(size, 1 << 16) // len(text) + 1))[:size]
    for _ in range(min(count, (1 << 20) // len(block) + 1)):
        if session.over:
            break
        out = session.receive(Side.CLIENT, block)
        assert retained(session) <= empty + 1024
        if not session.over:
            assert sum(map(len, out.up)) >= len(block) - 70
