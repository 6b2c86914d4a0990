"""The Order table against Postfix and Exim: our 503 in its place, nothing upstream, a living session, evidence."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.against.audit import Event, rule_of
from tests.against.client import Closed, RawClient, deliver
from tests.against.conftest import MakeGuard, MakeTap
from tests.against.deadline import wait_until
from tests.against.disorder import DISORDER, NOTES_IN_STANDARD, SAFE, Disorder
from tests.against.exim import Exim
from tests.against.guard import Guard
from tests.against.postfix import Postfix
from tests.against.scripted import ScriptedStandIn
from tests.against.sessions import DATA, EHLO, MAIL, NOBODY, NOOP, QUIT, RCPT, RCPT2, RSET, TEXT
from tests.against.sink import Sink
from tests.against.tap import Tap

MODES = {
    "enforce": tuple(f"policy.rules.{rule}=refuse" for rule in NOTES_IN_STANDARD),
    "observe": ("policy.mode=observe",),
}
UPSTREAMS = ("postfix", "exim")
ROWS = [pytest.param(upstream, name, id=f"{upstream}-{name}") for upstream in UPSTREAMS for name in DISORDER]
FORWARDED = [row for row in ROWS if DISORDER[str(row.values[1])].rule not in SAFE]
REFERENCE = re.compile(rb" \[(SG\d{3}) ([0-9A-Z]{12})\]\r\n\Z")


@dataclass(frozen=True, slots=True)
class Way:
    """A guard in one mode, and the tap behind it."""

    guard: Guard
    tap: Tap


@dataclass(frozen=True, slots=True)
class Played:
    """How a row went."""

    way: Way
    box: bytes
    """Whom the message behind the violation was for."""
    replies: list[bytes]
    said: bytes
    upstream: bytes
    client_port: int


@pytest.fixture(scope="module")
def ways(request: pytest.FixtureRequest, make_guard: MakeGuard, make_tap: MakeTap) -> dict[tuple[str, str, str], Way]:
    """(mode, upstream, port's name) -> a guard and the tap behind it, made when first asked for."""

    class _Ways(dict[tuple[str, str, str], Way]):
        def __missing__(self, key: tuple[str, str, str]) -> Way:
            mode, upstream, port = key
            tap = make_tap(getattr(request.getfixturevalue(upstream), port))
            self[key] = Way(make_guard(tap.port, *MODES[mode]).wait_served(), tap)
            return self[key]

    return _Ways()


@pytest.fixture(scope="module")
def plays(ways: dict[tuple[str, str, str], Way]) -> dict[tuple[str, str], dict[str, Played]]:
    """(mode, upstream) -> all its rows, played one behind the other before the first of them is judged.

    So the audit, which is written once a second, is waited for once and not once a row.
    """

    class _Plays(dict[tuple[str, str], dict[str, Played]]):
        def __missing__(self, key: tuple[str, str]) -> dict[str, Played]:
            mode, upstream = key
            self[key] = {
                name: play(row, ways[mode, upstream, row.port], b"%s-%d@up.example" % (upstream.encode(), number), mode)
                for number, (name, row) in enumerate(DISORDER.items())
            }
            return self[key]

    return _Plays()


def play(row: Disorder, way: Way, box: bytes, mode: str) -> Played:
    """Say the row, in enforce go on with a message, and return all that was said and heard."""
    rest = [*row.after, b"MAIL FROM:<ann@client.example>\r\n", b"RCPT TO:<" + box + b">\r\n", DATA, TEXT, QUIT]
    mark, replies = len(way.tap.recordings), list[bytes]()
    with RawClient(way.guard.port) as client:
        try:
            replies.append(client.reply())
            for piece in row.before:
                client.send(piece)
                replies.append(client.reply())
            client.send(row.line + (row.behind if mode == "enforce" else b""))
            replies.append(client.reply())
            if mode == "enforce":
                replies += [client.reply()] if row.behind else []
                for piece in rest:
                    client.send(piece)
                    replies.append(client.reply())
                replies.append(client.rest())
        except Closed as closed:
            replies.append(closed.args[0])
    upstream = bytes(way.tap.only_since(mark).up)
    return Played(way, box, replies, bytes(client.said), upstream, client.port)


def is_told(event: Event, row: Disorder) -> None:
    """The event names state, command, the command and reply before it, and the cause."""
    told = event["smtp"]
    before = told["previous"]
    assert told["state"] == row.state
    assert told["command"].encode() == row.line.split()[0]
    assert told["cause"] == row.cause
    assert (before["command"], before["reply_code"]) == row.previous


def the_event(played: Played, rule: str) -> Event:
    """Return the one finding of a rule that the session's client is told of."""
    audit = played.way.guard.audit
    audit.wait_for_end(played.client_port)
    (event,) = [one for one in audit.findings(played.client_port) if rule_of(one) == rule]
    return event


@pytest.mark.parametrize(("upstream", "name"), ROWS)
def test_a_command_out_of_order_is_answered_and_not_forwarded(
    upstream: str, name: str, plays: dict[tuple[str, str], dict[str, Played]], sink: Sink
) -> None:
    """503 for that command alone, not one octet of it upstream, then a message in the same session arrives."""
    row, played = DISORDER[name], plays["enforce", upstream][name]
    at = 1 + len(row.before)
    refusal, behind = played.replies[at], played.replies[at + 1 :]
    assert refusal[:9] == b"503 5.5.1"
    told = [reply[:3] for reply in behind]
    assert told == [b"250"] * (len(told) - 5) + [b"250", b"354", b"250", b"221", b""]
    assert len(told) == bool(row.behind) + len(row.after) + 6

    before = b"".join(row.before)
    assert played.said.startswith(before + row.line)
    assert played.upstream == before + played.said[len(before + row.line) :]
    assert sink.wait_for(played.box).head == TEXT.removesuffix(b".\r\n")

    event = the_event(played, row.rule)
    is_told(event, row)
    reference = REFERENCE.search(refusal)
    assert reference
    assert reference.groups() == (row.rule.encode(), event["smtp"]["session"]["id"].encode())
    assert event["event"]["code"] == "503"
    assert event["smtp"]["forwarded"] is False
    assert event["smtp"]["consequence"] is False


@pytest.mark.parametrize(("upstream", "name"), FORWARDED)
def test_the_same_command_comes_when_the_guard_only_observes(
    upstream: str, name: str, plays: dict[tuple[str, str], dict[str, Played]]
) -> None:
    """With the refusal taken out the tap shows the command; the evidence says what enforce would have done."""
    row, played = DISORDER[name], plays["observe", upstream][name]
    assert played.upstream == b"".join((*row.before, row.line))
    assert REFERENCE.search(played.replies[-1]) is None

    event = the_event(played, row.rule)
    is_told(event, row)
    assert event["smtp"]["forwarded"] is True
    assert event["smtp"]["verdict"] == "note"
    assert event["smtp"]["enforced"] == ("note" if row.rule in NOTES_IN_STANDARD else "refuse")


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_refusal_stands_behind_the_replies_it_came_after(
    upstream: str, ways: dict[tuple[str, str, str], Way]
) -> None:
    """A whole group in one piece: our 503 comes between the upstream's replies, where its command stood."""
    way = ways["enforce", upstream, "port"]
    mark, group = len(way.tap.recordings), (RCPT, NOBODY, RCPT2, MAIL, RCPT, DATA)
    with RawClient(way.guard.port) as client:
        client.reply()
        client.say(b"EHLO c.example")
        client.send(MAIL + b"".join(group))
        codes = [client.reply()[:3] for _ in (MAIL, *group)]
        client.send(TEXT + QUIT)
        codes += [client.reply()[:3], client.reply()[:3]]
        client.rest()
    assert codes == [b"250", b"250", b"550", b"250", b"503", b"250", b"354", b"250", b"221"]
    assert bytes(way.tap.only_since(mark).up) == EHLO + MAIL + RCPT + NOBODY + RCPT2 + RCPT + DATA + TEXT + QUIT


@pytest.mark.parametrize(("upstream", "end"), [("postfix", b"521 5.5.1 "), ("exim", b"\r\n221 ")])
def test_a_chunk_that_was_not_offered_stays_out_in_observe_too(
    upstream: str, end: bytes, plays: dict[tuple[str, str], dict[str, Played]]
) -> None:
    """SG107 is safe: without the guard Postfix closes with 521, and Exim obeys the QUIT in the payload."""
    name = "SG107 not offered"
    row, refusal = DISORDER[name], b""
    guarded = plays["observe", upstream][name]
    assert guarded.replies[-1][:9] == b"503 5.5.1"
    assert guarded.upstream == b"".join(row.before)

    with RawClient(guarded.way.tap.port) as client:
        client.reply()
        for piece in (*row.before, row.line):
            client.send(piece)
            refusal = client.reply()
        assert end in refusal + client.rest()


@pytest.fixture
def stand_in() -> Iterator[ScriptedStandIn]:
    """An upstream that offers BINARYMIME, which neither Postfix nor Exim does: a stand-in."""
    stand_in = ScriptedStandIn()
    yield stand_in
    stand_in.close()


def test_data_for_binarymime_before_a_stand_in(
    stand_in: ScriptedStandIn, make_guard: MakeGuard, make_tap: MakeTap
) -> None:
    """SG108: DATA is refused, the message then goes by BDAT in the same session."""
    tap = make_tap(stand_in.port)
    guard = make_guard(tap.port).wait_served()
    mark = len(tap.recordings)
    with RawClient(guard.port) as client:
        client.reply()
        client.say(b"EHLO c.example")
        assert client.say(b"MAIL FROM:<ann@client.example> BODY=BINARYMIME")[:3] == b"250"
        assert client.say(b"RCPT TO:<bob@up.example>")[:3] == b"250"
        refusal = client.say(b"DATA")
        assert refusal[:9] == b"503 5.5.1"
        assert client.say(b"BDAT 5 LAST\r\n\0\r\n")[:3] == b"250"
        assert client.say(b"QUIT")[:3] == b"221"
        client.rest()
    assert b"DATA" not in bytes(tap.only_since(mark).up).replace(b"BDAT", b"")
    assert stand_in.messages[-1] == b"\0\r\n\r\n"
    guard.audit.wait_for_end(client.port)
    (event,) = [one for one in guard.audit.findings(client.port) if rule_of(one) == "SG108"]
    is_told(event, Disorder("SG108", (), b"DATA", "recipients", "unknown", ("RCPT", 250)))


def test_commands_behind_a_refused_greeting(postfix: Postfix, make_guard: MakeGuard, make_tap: MakeTap) -> None:
    """SG115: Postfix turns us away with 554 and stays; all but QUIT is answered by us."""
    tap = make_tap(postfix.turned_away)
    guard = make_guard(tap.port)
    wait_until(lambda: guard.log.exists() and guard.greeting()[:3] == b"554", "the upstream's own 554")
    mark = len(tap.recordings)
    with RawClient(guard.port) as client:
        assert client.reply()[:3] == b"554"
        refusals = [client.say(line.rstrip()) for line in (EHLO, MAIL, RCPT, RSET, NOOP)]
        assert client.say(b"QUIT")[:3] == b"221"
        client.rest()
    assert [refusal[:9] for refusal in refusals] == [b"503 5.5.1"] * 5
    assert bytes(tap.only_since(mark).up) == QUIT
    guard.audit.wait_for_end(client.port)
    found = guard.audit.findings(client.port)
    assert [rule_of(event) for event in found] == ["SG115"] * 5
    is_told(found[0], Disorder("SG115", (), EHLO, "refused-greeting", "ignored-refusal", ("GREETING", 554)))


def test_exim_is_one_that_delivers(exim: Exim, sink: Sink) -> None:
    """The rows above say "still delivers" of a server that does, without a guard, too."""
    with RawClient(exim.port) as client:
        client.reply()
        client.say(b"EHLO c.example")
        deliver(client, b"no-guard@up.example")
    assert sink.wait_for(b"no-guard@up.example").head.endswith(b"text\r\n")
