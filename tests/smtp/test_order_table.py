"""The order tables by hand: every State x Verb, and every verb x reply class, reached by climbing a real session."""

from typing import Final

import pytest

from smtpguard.smtp import Finding, Session, Side, State, Verb

from .playbook import play
from .stages import CHUNKING, EHLO, GREETED, HELO, MAIL, RCPT, REFUSED

OCTETS: Final = {
    Verb.EHLO: b"EHLO a\r\n",
    Verb.HELO: b"HELO a\r\n",
    Verb.MAIL: b"MAIL FROM:<m@m.example>\r\n",
    Verb.RCPT: b"RCPT TO:<r@r.example>\r\n",
    Verb.DATA: b"DATA\r\n",
    Verb.BDAT: b"BDAT 1\r\nx",
    Verb.BURL: b"BURL imap://x\r\n",
    Verb.RSET: b"RSET\r\n",
    Verb.NOOP: b"NOOP\r\n",
    Verb.QUIT: b"QUIT\r\n",
    Verb.VRFY: b"VRFY a\r\n",
    Verb.EXPN: b"EXPN a\r\n",
    Verb.HELP: b"HELP\r\n",
    Verb.ETRN: b"ETRN a\r\n",
    Verb.AUTH: b"AUTH PLAIN x\r\n",
    Verb.STARTTLS: b"STARTTLS\r\n",
    Verb.FORBIDDEN: b"XCLIENT x\r\n",
    Verb.UNKNOWN: b"XYZZY\r\n",
}
VERBS: Final = tuple(OCTETS)
NOT_OF_THE_WIRE: Final = {Verb.GREETING, Verb.CONTENT, Verb.SASL}

STAGES: Final = {
    State.AWAITING_GREETING: "",
    State.REFUSED_GREETING: REFUSED,
    State.CONNECTED: GREETED,
    State.IDENTIFIED: EHLO,
    State.ENVELOPE: MAIL,
    State.RECIPIENTS: RCPT,
    State.CHUNKING: CHUNKING,
}

# State x verb -> the rules recorded in standard, by hand from rules.md; an absent cell is in order.
EXPECTED: Final[dict[State, dict[Verb, set[str]]]] = {
    State.AWAITING_GREETING: {},  # held: nothing is judged before the greeting
    State.REFUSED_GREETING: {
        Verb.EHLO: {"SG115"},
        Verb.HELO: {"SG115"},
        Verb.MAIL: {"SG115"},
        Verb.RCPT: {"SG115"},
        Verb.DATA: {"SG115"},
        Verb.BDAT: {"SG115", "SG107"},
        Verb.BURL: {"SG115"},
        Verb.RSET: {"SG115"},
        Verb.NOOP: {"SG115"},
        Verb.VRFY: {"SG115"},
        Verb.EXPN: {"SG115"},
        Verb.HELP: {"SG115"},
        Verb.ETRN: {"SG115"},
        Verb.AUTH: {"SG115", "SG113"},
        Verb.STARTTLS: {"SG115", "SG114"},
        Verb.FORBIDDEN: {"SG405", "SG115"},
        Verb.UNKNOWN: {"SG115"},
    },
    State.CONNECTED: {
        Verb.MAIL: {"SG101"},
        Verb.RCPT: {"SG102"},
        Verb.DATA: {"SG103"},
        Verb.BDAT: {"SG103", "SG107"},
        Verb.BURL: {"SG103"},
        Verb.AUTH: {"SG113"},
        Verb.STARTTLS: {"SG114"},
        Verb.FORBIDDEN: {"SG405"},
    },
    State.IDENTIFIED: {
        Verb.RCPT: {"SG102"},
        Verb.DATA: {"SG103"},
        Verb.BDAT: {"SG103"},
        Verb.BURL: {"SG103"},
        Verb.FORBIDDEN: {"SG405"},
    },
    State.ENVELOPE: {
        Verb.MAIL: {"SG105"},
        Verb.DATA: {"SG104"},
        Verb.BDAT: {"SG104"},
        Verb.BURL: {"SG104"},
        Verb.ETRN: {"SG116"},
        Verb.AUTH: {"SG111"},
        Verb.STARTTLS: {"SG110"},
        Verb.FORBIDDEN: {"SG405"},
    },
    State.RECIPIENTS: {
        Verb.MAIL: {"SG105"},
        Verb.ETRN: {"SG116"},
        Verb.AUTH: {"SG111"},
        Verb.STARTTLS: {"SG110"},
        Verb.FORBIDDEN: {"SG405"},
    },
    State.CHUNKING: {
        Verb.MAIL: {"SG106"},
        Verb.RCPT: {"SG106"},
        Verb.DATA: {"SG106"},
        Verb.ETRN: {"SG116"},
        Verb.AUTH: {"SG111"},
        Verb.STARTTLS: {"SG110"},
        Verb.FORBIDDEN: {"SG405"},
    },
}
NOTED: Final = {"SG110", "SG113", "SG114", "SG116"}


def say(session: Session, verb: Verb) -> tuple[set[str], bytes, bytes]:
    """Let CLIENT say a verb; return the rules recorded, UPSTREAM's octets and CLIENT's."""
    out = session.receive(Side.CLIENT, OCTETS[verb])
    found = {event.rule.id for event in out.events if isinstance(event, Finding)}
    return found, b"".join(out.up), b"".join(out.down)


def test_the_hand_written_table_is_whole() -> None:
    """Every state stands in it, and every verb that a line can have has its octets."""
    assert set(EXPECTED) == set(STAGES) == set(State)
    assert set(OCTETS) == set(Verb) - NOT_OF_THE_WIRE


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", State)
def test_every_verb_in_every_state(state: State, verb: Verb) -> None:
    """What is in order passes as it is; what is not is recorded, answered and never forwarded."""
    session = play(STAGES[state])
    assert session.ended().state is state
    found, up, down = say(session, verb)
    expected = EXPECTED[state].get(verb, set())
    assert found == expected
    if state is State.AWAITING_GREETING:
        assert (up, down) == (b"", b"")
    elif expected <= NOTED:
        assert (up, down) == (OCTETS[verb], b"")
    else:
        assert up == b""
        assert down[:10] == (b"502 5.5.1 " if verb is Verb.FORBIDDEN else b"503 5.5.1 ")
        assert down.count(b"\r\n") == 1
    assert not session.over


REPLIES: Final = {
    "2": {Verb.AUTH: b"235 x\r\n", Verb.STARTTLS: b"220 x\r\n"},
    "3": {Verb.DATA: b"354 x\r\n", Verb.AUTH: b"334 x\r\n"},
    "4": {},
    "5": {},
}
DEFAULTS: Final = {"2": b"250 x\r\n", "3": b"354 x\r\n", "4": b"450 x\r\n", "5": b"550 x\r\n"}
OUT_OF_STEP: Final = {
    *((verb, "3") for verb in VERBS if verb not in (Verb.DATA, Verb.AUTH)),
    (Verb.DATA, "2"),
}

# Verb x reply class 2 -> next state from each state, by hand from design rules 1 to 3; other classes leave the state,
# but for LAST. A verb that stands nowhere here changes no state. The transaction's axis only.
AFTER_2YZ: Final[dict[Verb, dict[State, State]]] = {
    Verb.EHLO: dict.fromkeys(State, State.IDENTIFIED),
    Verb.HELO: dict.fromkeys(State, State.IDENTIFIED),
    Verb.MAIL: dict.fromkeys(State, State.ENVELOPE),
    Verb.RCPT: {**dict.fromkeys(State, State.RECIPIENTS), State.CHUNKING: State.CHUNKING},
    Verb.RSET: {
        State.REFUSED_GREETING: State.CONNECTED,
        State.CONNECTED: State.CONNECTED,
        State.IDENTIFIED: State.IDENTIFIED,
        State.ENVELOPE: State.IDENTIFIED,
        State.RECIPIENTS: State.IDENTIFIED,
        State.CHUNKING: State.IDENTIFIED,
    },
}
CLIMBED: Final = tuple(state for state in State if state is not State.AWAITING_GREETING)


def forwarded_in_observe(state: State, verb: Verb) -> bool:
    """Tell whether observe lets the verb through in this state: what is safe is answered still."""
    chunking_offered = state not in (State.REFUSED_GREETING, State.CONNECTED)
    return verb is not Verb.FORBIDDEN and (verb is not Verb.BDAT or chunking_offered)


@pytest.mark.parametrize("answer", DEFAULTS)
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", CLIMBED)
def test_every_verb_and_reply_class(state: State, verb: Verb, answer: str) -> None:
    """State moves on UPSTREAM's reply alone, legal or not (observe), and only as that verb moves it."""
    session = play(STAGES[state], observing=True)
    _, up, _ = say(session, verb)
    if not forwarded_in_observe(state, verb):
        assert up == b""
        assert session.ended().state is state
        return
    assert up == OCTETS[verb]
    opened = State.CHUNKING if verb in (Verb.BDAT, Verb.BURL) else state
    assert session.ended().state is opened
    out = session.receive(Side.UPSTREAM, REPLIES[answer].get(verb, DEFAULTS[answer]))
    if (verb, answer) in OUT_OF_STEP:
        assert b"".join(out.down).startswith(b"421 4.3.0 ")
        assert session.over
        return
    after = AFTER_2YZ.get(verb, {}).get(state, opened) if answer == "2" else opened
    assert session.ended().state is after
    assert session.over == (verb is Verb.QUIT and answer == "2")


@pytest.mark.parametrize("line", [b"BDAT 0 LAST\r\n", b"BURL imap://x LAST\r\n", b"burl imap://x last\r\n"])
@pytest.mark.parametrize("state", [State.IDENTIFIED, State.ENVELOPE, State.RECIPIENTS, State.CHUNKING])
@pytest.mark.parametrize("answer", ["2", "4", "5"])
def test_last_ends_the_transaction_in_any_class(state: State, line: bytes, answer: str) -> None:
    """Rule 2: any final answer to LAST ends the transaction."""
    session = play(STAGES[state], observing=True)
    session.receive(Side.CLIENT, line)
    assert session.ended().state is state
    session.receive(Side.UPSTREAM, DEFAULTS[answer])
    assert session.ended().state is State.IDENTIFIED


def test_the_end_of_a_transaction_without_a_hello() -> None:
    """Behind MAIL without a hello (observe) the session is back at its beginning, not identified."""
    session = play(
        GREETED + "C>U MAIL FROM:<a@a>\n! SG101 note\nu>c 250 Ok\n! SG505 note\nC>U RSET\nu>c 250 Ok", observing=True
    )
    assert session.ended().state is State.CONNECTED


def test_facts_beside_the_state() -> None:
    """EHLO and HELO set esmtp, AUTH 235 the login."""
    assert play(EHLO).ended().esmtp
    assert not play(HELO).ended().esmtp
    assert not play(EHLO + "C>U HELO a\nu>c 250 up").ended().esmtp
    assert play(EHLO + "C>U HELO a\nu>c 550 no").ended().esmtp
    assert play(EHLO + "C>U AUTH PLAIN x\nu>c 235 Ok").ended().authenticated


def test_tls_up_forgets_everything() -> None:
    """Rule 2: TLS up forgets hello, keywords and authentication, and what was read in the clear."""
    session = play(EHLO + "C>U AUTH PLAIN x\nu>c 235 Ok\nC> NOO\\\n")
    session.tls_up()
    ended = session.ended()
    assert (ended.state, ended.esmtp, ended.tls, ended.authenticated) == (State.CONNECTED, False, True, False)
    out = session.receive(Side.CLIENT, b"MAIL FROM:<a@a>\r\n")
    (finding,) = out.events
    assert isinstance(finding, Finding)
    assert (finding.rule.id, finding.cause.value) == ("SG101", "no-ehlo-after-starttls")
    assert b"".join(out.down).startswith(b"503 5.5.1 ")
