"""Pipelining clients whose reverse or forward paths are refused did nothing wrong: answered, never blamed."""

import subprocess

import pytest

from tests.against.audit import Event
from tests.against.client import RawClient
from tests.against.conftest import MakeGuard
from tests.against.deadline import wait_until
from tests.against.guard import Guard
from tests.against.programs import program
from tests.against.sessions import DATA, MAIL, NOBODY, RCPT, REFUSED, bdat

GROUPS = {
    "refused mail": (REFUSED, RCPT, DATA),
    "refused mail, two rcpts": (REFUSED, RCPT, NOBODY, DATA),
    "all rcpts refused": (MAIL, NOBODY, NOBODY, DATA),
    "refused mail, chunks": (REFUSED, RCPT, bdat(b"MAIL\r\nRCPT\r\n"), bdat(b"x\r\n", True)),
    "all rcpts refused, chunk": (MAIL, NOBODY, bdat(b"Subject: x\r\n\r\ny\r\n", True)),
}
VIOLATIONS = 4
"""Place of the violations in `smtp.counts`."""


@pytest.fixture(scope="module")
def guards(request: pytest.FixtureRequest, make_guard: MakeGuard) -> dict[str, Guard]:
    """A guard before Postfix, one before Exim, made when first asked for."""

    class _Guards(dict[str, Guard]):
        def __missing__(self, name: str) -> Guard:
            self[name] = make_guard(request.getfixturevalue(name).port).wait_served()
            return self[name]

    return _Guards()


def say_group(guard: Guard, lines: tuple[bytes, ...], cut: int | None) -> tuple[int, list[bytes]]:
    """Send one group in one piece, cut in two, or octet by octet (-1); return our port and the first reply codes."""
    group = b"".join(lines)
    match cut:
        case None:
            pieces: tuple[bytes, ...] = (group,)
        case -1:
            pieces = tuple(group[at : at + 1] for at in range(len(group)))
        case _:
            pieces = (group[:cut], group[cut:])
    with RawClient(guard.port) as client:
        client.reply()
        client.say(b"EHLO c.example")
        client.send(*pieces)
        codes = [client.reply()[:3] for _ in lines]
        assert client.say(b"RSET")[:3] == b"250"
        assert client.say(b"QUIT")[:3] == b"221"
        client.rest()
        return client.port, codes


def blamed(guard: Guard, ports: list[int]) -> list[Event]:
    """Return all that blames one of the sessions, when the audit holds the end of each."""

    def ended() -> list[Event]:
        ends = [event for event in guard.audit.ends() if event["source"]["port"] in ports]
        return ends if len(ends) >= len(ports) else []

    ends = wait_until(ended, f"{len(ports)} session-ends")
    found = [event for event in guard.audit.findings() if event["source"]["port"] in ports]
    assert found, "the refused commands are recorded as consequences"
    return [event for event in found if not event["smtp"]["consequence"]] + [
        event for event in ends if event["smtp"]["counts"][VIOLATIONS]
    ]


@pytest.mark.parametrize("upstream", ["postfix", "exim"])
@pytest.mark.parametrize("name", GROUPS)
def test_a_group_behind_a_refusal_is_answered_and_not_blamed(
    upstream: str, name: str, guards: dict[str, Guard]
) -> None:
    """Whole, cut at every octet and octet by octet: each command gets its refusal in order, nobody is blamed."""
    lines = GROUPS[name]
    # Between the cut and the rest the client waits for nothing, as a client that pipelines.
    cuts = [None, -1, *range(1, len(b"".join(lines)), 3)]
    played = [say_group(guards[upstream], lines, cut) for cut in cuts]

    first = b"550" if lines[0] is REFUSED else b"250"
    assert {codes[0] for _, codes in played} == {first}
    assert {code[:1] for _, codes in played for code in codes[1:]} == {b"5"}
    assert blamed(guards[upstream], [port for port, _ in played]) == []


@pytest.mark.parametrize("path", ["refused@client.example", "ann@client.example"])
def test_swaks_that_pipelines_behind_a_refusal(path: str, guards: dict[str, Guard]) -> None:
    """swaks with PIPELINING, its MAIL or its only RCPT refused: it reports the refusal, the audit blames nobody."""
    guard = guards["postfix"]
    before = len(guard.audit.ends())
    done = subprocess.run(
        [
            program("swaks"), "--server", "127.0.0.1", "--port", str(guard.port), "--helo", "c.example", "--pipeline",
            "--from", path, "--to", "nobody@up.example",
        ],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    ends = wait_until(lambda: guard.audit.ends()[before:], "swaks' session-end")
    assert blamed(guard, [end["source"]["port"] for end in ends]) == []
