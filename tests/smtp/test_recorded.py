"""The engine playing a record: replies that are skipped, a guard's own answers, places, and what an answer tells."""

from dataclasses import dataclass, field, replace

import pytest

from smtpguard.smtp import (
    CATALOGUE,
    Close,
    Finding,
    Limits,
    Output,
    Policy,
    Profile,
    RecordedSession,
    ReplyReader,
    Side,
    TlsMode,
    Verdict,
    policy_for,
    spoken_by_guard,
    terms_of,
)

SID = "0123456789AB"
LAST_WORDS = b"250 and gone\r\n"
GREETED = "U 220 mx\nC EHLO client\nU 250-mx|250-PIPELINING|250 CHUNKING\n"
FROM, TO = "MAIL FROM:<a@client.example>", "RCPT TO:<b@mx.example>"


def ours(rule_id: str, *, named: bool = True) -> str:
    """Return a guard's own answer."""
    answer = CATALOGUE[rule_id].answer
    assert answer is not None
    return answer.spoken(rule_id if named else "", SID).decode().removesuffix("\r\n")


@dataclass
class Played:
    """A record that was played: a line is a piece, `|` a line end, `\\n` and the like as Python spells them."""

    text: str
    policy: Policy = field(default_factory=lambda: policy_for(Profile.STRICT))
    base: int = 0
    tls: bool = False

    def __post_init__(self) -> None:
        self.found: list[tuple[str, int]] = []
        self.findings: list[Finding] = []
        self.session = RecordedSession(terms_of(self.policy), session_id=SID, base=self.base, tls=self.tls)
        replies = ReplyReader()
        for line in self.text.strip().splitlines():
            octets = line[2:].encode().decode("unicode_escape").encode("latin-1").replace(b"|", b"\r\n")
            if line[0] == "T":
                self.session.inside_tls()
            elif line[0] == "F":
                self._take(self.session.receive_eof(Side.CLIENT))
            elif line[0] == "C":
                self._take(self.session.receive(Side.CLIENT, octets if line.endswith("\\n") else octets + b"\r\n"))
            else:
                replies.put(octets + b"\r\n")
                while replies.pending and (reply := replies.next()) is not None:
                    spoken = spoken_by_guard(reply.raw)
                    if self.session.over:
                        return
                    if spoken and self.session.was_closed_by(spoken):
                        self._take(self.session.close_by_guard(spoken))
                    elif self.session.skips_reply():
                        self._take(self.session.go_on())
                    else:
                        self._take(self.session.hear(reply, by_guard=bool(spoken), given_up=reply.raw == LAST_WORDS))

    def _take(self, out: Output) -> None:
        for finding, place in self.session.places(out.events):
            self.found.append((finding.rule.id, place))
            self.findings.append(finding)

    @property
    def rules(self) -> list[str]:
        """The ids of what was found."""
        return [rule for rule, _ in self.found]


# --- a guard's words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [rule for rule in CATALOGUE.values() if rule.answer is not None])
def test_every_answer_is_known(rule: object) -> None:
    """With the rule's id it is that rule; without it, every rule with these words; without any id it is nobody's."""
    assert rule in CATALOGUE.values()
    for each in CATALOGUE.values():
        if each is rule and each.answer is not None:
            assert spoken_by_guard(each.answer.spoken(each.id, SID)) == {each}
            assert spoken_by_guard(each.answer.spoken(each.id, "")) == {each}
            assert each in spoken_by_guard(each.answer.spoken("", SID))
            assert spoken_by_guard(each.answer.spoken("", "")) == frozenset()


@pytest.mark.parametrize(
    "raw",
    [b"250 ok [SG102 0123456789AB]\r\n", b"503 no\r\n", b"503 5.5.1 Other words [SG102 0123456789AB]\r\n",
     b"503 5.5.1 Bad sequence of commands: send MAIL first [SG103 0123456789AB]\r\n"],
)  # fmt: skip
def test_other_words(raw: bytes) -> None:
    """Other words, a success, or another rule's id: nobody of ours."""
    assert spoken_by_guard(raw) == frozenset()


def test_no_valid_recipients() -> None:
    """The other answer of SG104."""
    assert spoken_by_guard(b"554 5.5.1 No valid recipients [SG104 0123456789AB]\r\n") == {CATALOGUE["SG104"]}


# --- policy ----------------------------------------------------------------------------------------------------------


def test_terms() -> None:
    """Both modes of a policy, from either: safe rules hold, STARTTLS passes."""
    for observing in (False, True):
        hiding = replace(policy_for(observing=observing), tls_mode=TlsMode.HIDE)
        terms = terms_of(hiding)
        ruled = {
            name: (terms.observing.before_auth[CATALOGUE[name]], terms.enforcing.after_auth[CATALOGUE[name]])
            for name in ("SG102", "SG302", "SG301")
        }
        assert terms.observing.tls_mode is TlsMode.PASS_THROUGH
        assert [(one.verdict, other.verdict) for one, other in ruled.values()] == [
            (Verdict.NOTE, Verdict.REFUSE), (Verdict.REFUSE, Verdict.REFUSE), (Verdict.NOTE, Verdict.NOTE),
        ]  # fmt: skip


# --- replies that are skipped ----------------------------------------------------------------------------------------


def test_a_line_that_the_engine_answers() -> None:
    """Its reply is skipped, and the line behind is judged only then."""
    played = Played(f"{GREETED}C XCLIENT a=b|{TO}\nU 550 no\nU 503 no", base=1000)
    assert played.found == [("SG405", 1013), ("SG102", 1026)]


def test_a_chunk_that_is_swallowed() -> None:
    """Its reply may come before it is whole; one more is out of step."""
    text = "U 220 mx\nC EHLO a\nU 250 mx\nC BDAT 4|ab\\n\nU 503 no\n"
    assert Played(f"{text}C \\n\nC NOOP\nU 250 ok").rules == ["SG103", "SG107"]
    assert Played(f"{text}U 503 no").session.out_of_step


def test_a_client_that_closes_behind_such_a_line() -> None:
    """Lines that were held are still judged; where none were, it is over at once."""
    assert Played(f"{GREETED}C XCLIENT a=b|{TO}\nF\nU 550 no\nU 503 no").rules == ["SG405", "SG102"]
    assert Played(f"{GREETED}C XCLIENT a=b\nF").session.over


def test_another_protocol_waits() -> None:
    """Its lines are judged when a reply shows that they were read as lines; by a guard they were not."""
    text = "U 220 mx\nC GET / HTTP/1.1|Host: x|"
    assert Played(text).rules == ["SG401"]
    assert Played(f"{text}\nU {ours('SG401')}").session.over
    assert Played(f"{text}\nU 500 what\nU 500 what").rules == ["SG401", "SG202", "SG202"]


def test_another_protocol_whose_line_is_refused() -> None:
    """A guard in mode observe noted the header and refused it as a line: the record's reply is that refusal."""
    text = f"U 220 mx\nC PROXY TCP4 192.0.2.1 192.0.2.2 1 25\nU {ours('SG405')}\nC NOOP\nU 250 ok"
    assert Played(text).rules == ["SG404", "SG405"]


def test_half_a_header_waits() -> None:
    """Octets that may become a PROXY header are no stranger yet."""
    assert Played("U 220 mx\nC \\r\\n\\r\\n\\0\\r\\n").rules == []


# --- a guard's own answers -------------------------------------------------------------------------------------------


def test_a_chunk_refused_by_a_guard() -> None:
    """It opened no chunking; a last one ended no transaction."""
    assert Played(f"{GREETED}C BDAT 0\nU {ours('SG103')}\nC {FROM}\nU 250 ok").rules == ["SG103"]
    last = Played(f"{GREETED}C {FROM}\nU 250 ok\nC BDAT 0 LAST\nU {ours('SG104')}\nC {FROM}\nU 503 no")
    assert last.rules == ["SG104", "SG105"]
    assert last.findings[1].cause.value == "no-rset-after-refused-data"


def test_a_refusal_by_a_guard_is_no_surprise() -> None:
    """500 to a lawful line: the guard's for its line end, or a server's."""
    assert Played(f"{GREETED}C {FROM}\\n\nU {ours('SG301')}").rules == ["SG301"]
    assert Played(f"{GREETED}C {FROM}\\n\nU 500 no").found == [("SG301", 13), ("SG505", 13)]


@pytest.mark.parametrize(
    ("text", "rules", "close"),
    [
        (f"{GREETED}U {ours('SG603')}", ["SG603"], Close.DEADLINE),
        (f"{GREETED}C {FROM}\nU {ours('SG503')}", ["SG503"], Close.UPSTREAM_GONE),
        (f"{GREETED}C {FROM}\nU {ours('SG502', named=False)}", [], Close.UPSTREAM_GONE),
        (f"{GREETED}C NOOP\nU {ours('SG602')}", [], Close.LIMIT),
        (f"{GREETED}C {TO}\nU {ours('SG601')}", ["SG102", "SG601"], Close.LIMIT),
        (f"{GREETED}C XCLIENT a=b\nU {ours('SG601')}", ["SG405", "SG601"], Close.LIMIT),
        (f"C EHLO a\nU {ours('SG201')}", ["SG201"], Close.VIOLATION),
        (f"C GET / HTTP/1.1\nU {ours('SG401')}", ["SG401", "SG201"], Close.VIOLATION),
        (f"C EHLO a\nU {ours('SG605')}", ["SG605"], Close.DEADLINE),
        (f"{GREETED}C {FROM}|{TO}|DATA|x\nU 250 x|250 x\nU {ours('SG204')}", ["SG204"], Close.VIOLATION),
        ("U 220 mx\nC EHLO a\nU 250 mx\nC DATA|x\nU " + ours("SG202"), ["SG103"], Close.VIOLATION),
        (f"{GREETED}C AUTH LOGIN\nU 334 x\nC a\\n\nU {ours('SG301')}\nC {TO}", ["SG301"], Close.VIOLATION),
    ],
)
def test_an_answer_that_closed(text: str, rules: list[str], close: Close) -> None:
    """It ends the play, with what only it tells."""
    played = Played(text)
    assert played.rules == rules
    assert played.session.ending is not None
    assert played.session.ending.close is close


def test_an_answer_that_closed_for_the_line_itself() -> None:
    """DATA with input behind it, closed for SG202: not for what came ahead of 354."""
    played = Played(f"U 220 mx\nC EHLO a\nU 250 mx\nC {FROM}|DATA|x\nU 250 ok\nU {ours('SG202')}")
    assert played.rules == ["SG202", "SG104"]


def test_too_many_is_found_once() -> None:
    """The engine counts what it refuses itself; the guard's answer to the same line adds nothing."""
    policy = replace(policy_for(), limits=Limits(violations=1))
    played = Played(f"{GREETED}C XCLIENT a=b\nU 502 no\nC TURN\nU {ours('SG601')}", policy)
    assert played.rules == ["SG405", "SG405", "SG601"]


def test_policy_changed_since() -> None:
    """An answer that closes by default closed, whatever is thought of its rule today; one that may refuse did not."""
    lenient = policy_for(Profile.LENIENT)
    assert Played(f"C EHLO a\nU {ours('SG201')}", lenient).session.over
    assert not Played(f"{GREETED}C {FROM}\nU {ours('SG105')}", lenient).session.over


def test_given_up_in_one_breath() -> None:
    """What was held when a guard gave up in the same breath was not judged."""
    assert Played(f"U 220 mx\nC EHLO a|{TO}\nU 250 and gone").rules == []


def test_refusals_are_found_each_time() -> None:
    """Of what enforce refuses as many as it would have answered; of notes 20."""
    refused = Played(GREETED + f"C {TO}\nU 503 no\n" * 50)
    assert refused.rules == ["SG102"] * 21
    unlimited = replace(policy_for(), limits=Limits(violations=0))
    assert len(Played(GREETED + f"C {TO}\nU 503 no\n" * 50, unlimited).rules) == 21
    noted = Played(GREETED + "C NOOP\\n\nU 250 ok\n" * 50, policy_for())
    assert noted.rules == ["SG301"] * 20


def test_the_hold_of_an_exchange() -> None:
    """A line of an exchange cannot be refused alone: enforce closes; what is only noted stays a note."""
    text = f"{GREETED}C AUTH LOGIN\nU 334 x\nC a\\n\nU 535 no"
    assert [one.enforced for one in Played(text).findings] == [Verdict.CLOSE]
    assert [one.enforced for one in Played(text, policy_for()).findings] == [Verdict.NOTE]


# --- TLS and places --------------------------------------------------------------------------------------------------


def test_inside_tls() -> None:
    """What follows was said inside; while a reply is owed, and when all is over, that cannot be."""
    assert Played(f"{GREETED}C STARTTLS\nU 220 go\nT\nC {FROM}\nU 503 no").rules == ["SG101"]
    assert Played(f"{GREETED}C NOOP\nT\nU 250 ok\nC {FROM}").rules == []
    assert Played(f"{GREETED}C QUIT\nU 221 bye\nT").session.over


def test_places() -> None:
    """Where a line began that was refused, held, too long, answered with surprise; and where content was read."""
    at = 13 + len(FROM) + 2 + len(TO) + 2 + 6
    content = f"{GREETED}C {FROM}|{TO}|DATA\nU 250 ok|250 ok|354 go\n"
    assert Played(f"{content}C one\nC two\\nthree\nC .").found == [("SG305", at + 5)]
    assert Played(f"{content}C one\\n\nC two\\n.\\n\n").found == [("SG305", at), ("SG304", at + 4)]
    assert Played(f"{GREETED}C NOOP\nU 250 ok\nC NOOP {'x' * 5000}").found == [("SG303", 19)]
    assert Played(f"{GREETED}C {TO}\nU 250 why").found == [("SG102", 13), ("SG505", 13)]
    assert Played(f"{GREETED}C QUIT|NOOP\nU 221 bye").found == [("SG206", 19)]
