"""Lawful sessions, directly and through the guard: CLIENT hears the same, UPSTREAM gets the same, octet for octet."""

import ssl
from dataclasses import dataclass

import pytest

from tests.against.audit import rule_of
from tests.against.conftest import MakeGuard, MakeTap
from tests.against.guard import Guard
from tests.against.play import Played, differences, play
from tests.against.sessions import AT_CLOSE, CHUNKED, DSN, PIPELINED, SESSIONS, Table
from tests.against.tap import Tap

# Exim answers a FIN, and a QUIT between chunks, with a last "421 lost connection". The guard closes both sides when
# nothing is in flight and lets no word follow the 221 (design rules 16 and 18), so the others play those sessions.
LAST_WORDS_OF_EXIM = {"quit between chunks"}
OFFERED: dict[str, dict[str, Table]] = {
    "postfix": {"plain": SESSIONS, "close": AT_CLOSE, "pipelining": PIPELINED, "chunking": CHUNKED, "dsn": DSN},
    "exim": {"plain": SESSIONS, "pipelining": PIPELINED, "dsn": DSN}
    | {"chunking": {name: CHUNKED[name] for name in CHUNKED if name not in LAST_WORDS_OF_EXIM}},
    "aiosmtpd": {"plain": SESSIONS, "close": AT_CLOSE},
}

CASES = [
    pytest.param(upstream, table[name], id=f"{upstream}-{kind}-{name}")
    for upstream, tables in OFFERED.items()
    for kind, table in tables.items()
    for name in table
]


@dataclass(frozen=True, slots=True)
class Way:
    """Two ways to one upstream: `direct` past the guard, and through it; each with a tap before the upstream."""

    direct: Tap
    behind: Tap
    guard: Guard


@pytest.fixture(scope="module")
def ways(
    request: pytest.FixtureRequest, make_guard: MakeGuard, make_tap: MakeTap, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Way]:
    """A guard and two taps for each upstream, made when it is first asked for."""

    class _Ways(dict[str, Way]):
        def __missing__(self, name: str) -> Way:
            port: int = request.getfixturevalue(name).port
            behind = make_tap(port)
            guard = make_guard(behind.port).wait_served()
            self[name] = Way(make_tap(port), behind, guard)
            return self[name]

    return _Ways()


@pytest.mark.parametrize(("upstream", "steps"), CASES)
def test_a_lawful_session_is_the_same_through_the_guard(
    upstream: str, steps: tuple[bytes, ...], ways: dict[str, Way], client_tls: ssl.SSLContext
) -> None:
    """Replies and upstream octets are equal, and nobody is blamed."""
    way = ways[upstream]
    direct = play(steps, way.direct.port, way.direct, client_tls)
    guarded = play(steps, way.guard.port, way.behind, client_tls)

    assert direct.heard
    assert differences(direct, guarded) == []


@pytest.mark.parametrize("upstream", OFFERED)
def test_sixty_lawful_sessions_at_least(upstream: str) -> None:
    """The table is as long as was promised."""
    assert sum(len(table) for table in OFFERED[upstream].values()) >= 60


@pytest.mark.parametrize("upstream", OFFERED)
def test_no_finding_came_of_them(upstream: str, ways: dict[str, Way]) -> None:
    """The audit of the same guards blames no client; what it says of the upstream (SG5xx) is about the upstream."""
    guard = ways[upstream].guard
    assert guard.stop() == 0
    assert guard.audit.ends()
    blamed = [event for event in guard.audit.findings() if not rule_of(event).startswith("SG5")]
    assert blamed == []


@pytest.fixture(scope="module")
def one_message(ways: dict[str, Way], client_tls: ssl.SSLContext) -> Played:
    """A played session with all there is: greeting, keywords, queue id."""
    way = ways["postfix"]
    return play(SESSIONS["one message"], way.direct.port, way.direct, client_tls)


def test_one_changed_octet_is_found(one_message: Played) -> None:
    """Each octet of a session counts, but those of the queue id."""
    heard, sent = one_message.heard, one_message.upstream
    queue_id = range(heard.index(b"queued as ") + 10, heard.index(b"\r\n221"))
    unseen = [at for at in range(len(heard)) if not differences(one_message, Played(changed(heard, at), sent))]

    assert unseen
    assert set(unseen) <= set(queue_id)
    assert all(differences(one_message, Played(heard, changed(sent, at))) for at in range(len(sent)))


def test_a_relay_that_changes_one_octet_is_found(
    one_message: Played, ways: dict[str, Way], make_tap: MakeTap, client_tls: ssl.SSLContext
) -> None:
    """The same comparison, fed by a relay that is not transparent, fails."""
    spoilt = make_tap(ways["postfix"].direct.upstream, lambda octets: octets.replace(b"250 2.1.5", b"250 2.1.4"))
    played = play(SESSIONS["one message"], spoilt.port, spoilt, client_tls)

    (difference,) = differences(one_message, played)
    assert "2.1.4" in difference


def changed(octets: bytes, at: int) -> bytes:
    """Return octets with the lowest bit of one of them turned."""
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
