"""The table: each bad session finds its rule through a real guard, and without a guard it gets through."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest
import trio

from smtpguard.config import Address
from smtpguard.demo.play import Mark, play
from smtpguard.demo.sessions import OURS, YOURS, Session, sessions
from smtpguard.demo.stage import Options, Shown, staged
from smtpguard.demo.upstream import Upstream
from smtpguard.smtp import CATALOGUE

BAD = sessions(OURS)[1:]


async def shown_by_guard() -> tuple[Shown, ...]:
    """Play the table through a real guard."""
    async with staged(Options()) as stage:
        return await stage.play(stage.table())


@pytest.fixture
async def bare() -> AsyncIterator[tuple[Upstream, Address]]:
    """The demo's UPSTREAM with no guard before it."""
    upstream = Upstream()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, upstream.handle, listeners)
        yield upstream, Address(*listeners[0].socket.getsockname())
        nursery.cancel_scope.cancel()


async def without_guard(session: Session, upstream: Upstream, address: Address) -> tuple[list[str], int, set[Mark]]:
    """Play one session at the UPSTREAM itself; return its lines, its messages and the marks of the transcript."""
    mark = upstream.count
    # Some of these clients never say QUIT: they are given up.
    played = await play(session, address, patience=0.5)
    (connection,) = upstream.since(mark)
    await connection.over.wait()
    return connection.lines, connection.messages, {each.mark for each in played.transcript}


async def test_each_session_finds_its_rule(bare: tuple[Upstream, Address]) -> None:
    """Through the guard: just that rule, one 503 or closing answer of its own, the offending command never at UPSTREAM.

    The same session without a guard: UPSTREAM sees the command. So "never reached the upstream" is no empty word.
    """
    shown = await shown_by_guard()
    assert [each.played.session.title for each in shown] == [each.title for each in sessions(OURS)]
    for each in shown:
        session = each.played.session
        assert each.as_told, session.title
        assert each.upstream_saw is not None
        own = [line for line in each.played.transcript if line.mark is Mark.GUARD]
        assert len(own) == bool(session.rule)
        lines, messages, marks = await without_guard(session, *bare)
        assert Mark.GUARD not in marks
        saw, would_see = Counter(each.upstream_saw), Counter(lines)
        if session.rule:
            assert would_see - saw, session.title
            assert f"rule={session.rule} " in "".join(each.log)
        else:
            assert (saw, each.messages, each.findings) == (would_see, messages, ())


async def test_the_smuggled_message_arrives_without_a_guard(bare: tuple[Upstream, Address]) -> None:
    """Two messages instead of one, the second with a forged reverse path; through the guard there is none at all."""
    (smuggler,) = [each for each in BAD if each.rule == "SG304"]
    lines, messages, _ = await without_guard(smuggler, *bare)
    assert messages == 2
    assert "MAIL FROM:<ceo@demo.example>" in lines
    (shown,) = [each for each in await shown_by_guard() if each.played.session == smuggler]
    assert shown.messages == 0


def test_the_table() -> None:
    """Six bad sessions, each with another rule of the catalogue and a host of its own."""
    assert len(BAD) == 6
    assert len({each.rule for each in BAD}) == 6
    assert {each.rule for each in BAD} <= CATALOGUE.keys()
    assert len({each.host for each in sessions(OURS)}) == 7


def test_nothing_is_delivered_to_a_real_server() -> None:
    """No content; DATA only behind a recipient that is refused; what must send content is left out by name."""
    table = sessions(YOURS)
    assert [each.rule for each in table if each.left_out] == ["SG304"]
    for session in table:
        if session.left_out:
            continue
        assert not any(step.content for step in session.steps)
        data = [step for step in session.steps if step.octets.startswith((b"DATA", b"BDAT"))]
        assert bool(data) is (session.rule == "SG104")


async def test_a_careful_client_says_rset(bare: tuple[Upstream, Address]) -> None:
    """Where the server accepts the recipient that it should have refused, RSET goes out instead of DATA."""
    upstream, address = bare
    careless = next(each for each in sessions(OURS) if not each.rule)
    await play(careless, address, careful=True)
    lines = upstream.since(0)[0].lines
    assert "DATA" not in lines
    assert lines[3] == "RSET"
    assert upstream.since(0)[0].messages == 0


async def test_a_careful_client_leaves_at_354(bare: tuple[Upstream, Address]) -> None:
    """Where a 354 comes all the same, the connection is cut before any content."""
    upstream, address = bare
    (refused,) = [each for each in BAD if each.rule == "SG104"]
    played = await play(refused, address, careful=True)
    (connection,) = upstream.since(0)
    await connection.over.wait()
    assert connection.lines[-1] == "DATA"
    assert connection.messages == 0
    assert played.transcript[-1].text.startswith("354")
