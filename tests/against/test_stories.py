"""The stories behind the causes, by a real client library before a real Postfix: what the administrator and the sending
side are told of each.

The client is Python's smtplib, made to say what the programs of the threads said; each names the thread. The same
stories stand in tests/smtp/test_causes_stories for the engine alone.
"""

import json
import re
import smtplib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest

from tests.against.audit import Event, rule_of
from tests.against.conftest import MakeGuard
from tests.against.deadline import wait_until
from tests.against.guard import ROOT, Guard
from tests.against.postfix import Postfix

ANN, NEXT, BOB, CARL, NOBODY, LATE = (
    "ann@client.example", "next@client.example", "bob@up.example", "carl@up.example", "nobody@up.example",
    "latefail@up.example",
)  # fmt: skip
TEXT: Final = b"Subject: story\r\n\r\ntext\r\n"
LOGIN: Final = "PLAIN AGFubgBzZWNyZXQ="

Tell = Callable[[smtplib.SMTP], list[int]]
"""Says the story; returns the codes that the client heard."""


def error_before_the_end_of_data(client: smtplib.SMTP) -> list[int]:
    """letsencrypt/boulder#3191: DATA failed, and the next message began without RSET."""
    client.ehlo()
    first = [client.mail(ANN)[0], client.rcpt(LATE)[0], client.docmd("DATA")[0]]
    return [*first, client.mail(NEXT)[0]]


def refused_group(client: smtplib.SMTP) -> list[int]:
    """swiftmailer#1265: MAIL, RCPT and DATA in one piece, none served, the transaction left open."""
    client.ehlo()
    client.send(f"MAIL FROM:<{ANN}>\r\nRCPT TO:<{NOBODY}>\r\nDATA\r\n")
    return [*(client.getreply()[0] for _ in range(3)), client.mail(NEXT)[0]]


def loop(client: smtplib.SMTP) -> list[int]:
    """PHPMailer#156: DATA behind the one bad recipient, then the rest of the loop."""
    client.ehlo()
    first = [client.mail(ANN)[0], client.rcpt(NOBODY)[0], client.docmd("DATA")[0]]
    return [*first, *(client.mail(ANN)[0] for _ in range(3))]


def pool(client: smtplib.SMTP) -> list[int]:
    """knadh/smtppool PR 8: the connection went back to the pool in the middle of its second message."""
    assert client.sendmail(ANN, [BOB], TEXT) == {}
    return [client.mail(ANN)[0], client.rcpt(CARL)[0], client.mail(NEXT)[0]]


def helo_then_auth(client: smtplib.SMTP) -> list[int]:
    """forkcms#666: HELO, and then a login."""
    return [client.helo()[0], client.docmd("AUTH", LOGIN)[0]]


def no_clue(client: smtplib.SMTP) -> list[int]:
    """mludvig/smtp-cli#24: the client's user sees the reply and nothing else."""
    return [client.ehlo()[0], client.rcpt(BOB)[0]]


def no_valid_recipient(client: smtplib.SMTP) -> list[int]:
    """mscdex/node-imap#916: the mail program's user is shown the reply to DATA; the fault lies before it."""
    client.ehlo()
    return [client.mail(ANN)[0], client.rcpt(NOBODY)[0], client.docmd("DATA")[0]]


@dataclass(frozen=True, slots=True)
class Story:
    """What is said, and what must be told of it."""

    tell: Tell
    codes: list[int]
    found: dict[tuple[str, str], int]
    """(rule, cause) -> findings; the last of them is the one that is looked at."""
    previous: tuple[str, int]
    """The command before, and its code: where it began."""
    meaning: str
    """The sentence for the administrator."""
    cure: str
    """The sentence for the sending side."""
    consequences: int = 0


STORIES: Final = {
    "C1": Story(
        error_before_the_end_of_data, [250, 250, 550, 503], {("SG105", "no-rset-after-refused-data"): 1}, ("DATA", 550),
        "DATA was refused, so the transaction stayed open, and the client began the next one without RSET.",
        "After a refused DATA send RSET before the next MAIL."),
    "C2": Story(
        refused_group, [250, 550, 554, 503], {("SG105", "no-rset-after-refused-data"): 1}, ("DATA", 554),
        "DATA was refused, so the transaction stayed open, and the client began the next one without RSET.",
        "After a refused DATA send RSET before the next MAIL.", consequences=1),
    "C3": Story(
        loop, [250, 550, 503, 503, 503, 503],
        {("SG104", "all-recipients-refused"): 1, ("SG105", "no-rset-after-refused-data"): 3}, ("MAIL", 503),
        "DATA was refused, so the transaction stayed open, and the client began the next one without RSET.",
        "After a refused DATA send RSET before the next MAIL."),
    "C4": Story(
        pool, [250, 250, 503], {("SG105", "pooled-connection"): 1}, ("RCPT", 250),
        "A connection was taken from a pool with a transaction still open from its last use.",
        "Send RSET before a connection goes back to the pool."),
    "C5": Story(
        helo_then_auth, [250, 503], {("SG113", "helo-then-esmtp"): 1}, ("HELO", 250),
        "The client said HELO and then used an extension that only EHLO opens.", "Say EHLO instead of HELO."),
    "C6": Story(
        no_clue, [250, 503], {("SG102", "unknown"): 1}, ("EHLO", 250),
        "No known pattern; the transcript of the session tells more.", "Compare the session with RFC 5321 §4.1.4."),
    "C7": Story(
        no_valid_recipient, [250, 550, 503], {("SG104", "all-recipients-refused"): 1}, ("RCPT", 550),
        "Every RCPT was refused and the client went on with the transaction.",
        "When no RCPT was accepted send RSET or QUIT."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """A story as it went, and what is left of it."""

    guard: Guard
    codes: list[int]
    port: int
    source: str
    reply: str
    """The last refusal, as the client's user sees it."""

    def end(self) -> Event:
        """Return its session-end."""
        return self.guard.audit.wait_for_end(self.port)

    def findings(self) -> list[Event]:
        """Return its findings, consequences among them."""
        self.end()
        return self.guard.audit.findings(self.port)


@pytest.fixture(scope="module")
def guard(postfix: Postfix, make_guard: MakeGuard) -> Guard:
    """The guard before Postfix; AUTH before EHLO is refused, as the servers of its story did."""
    return make_guard(postfix.port, "policy.rules.SG113=refuse").wait_served()


@pytest.fixture(scope="module")
def told(guard: Guard) -> dict[str, Told]:
    """All stories, each told once, from an address of its own."""

    class _Told(dict[str, Told]):
        def __missing__(self, name: str) -> Told:
            self[name] = tell(guard, STORIES[name], f"127.0.2.{name[1:]}")
            return self[name]

    return _Told()


def tell(guard: Guard, story: Story, source: str) -> Told:
    """Tell one story; the client says QUIT in the end."""
    with smtplib.SMTP("127.0.0.1", guard.port, local_hostname="c.example", source_address=(source, 0)) as client:
        assert client.sock is not None
        port = client.sock.getsockname()[1]
        replies = list[tuple[int, bytes]]()
        listen = client.getreply

        def getreply() -> tuple[int, bytes]:
            replies.append(listen())
            return replies[-1]

        client.getreply = getreply  # type: ignore[method-assign]
        codes = story.tell(client)
    code, text = [reply for reply in replies if reply[0] == 503][-1]
    return Told(guard, codes, port, source, f"{code} {text.decode()}")


def smtpguard(*words: str) -> str:
    """Run a verb that must go well; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "smtpguard", *words], check=False, capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", STORIES)
def test_the_client_hears_what_the_story_says(name: str, told: dict[str, Told]) -> None:
    """The codes, and a refusal that names the rule and the session."""
    story, heard = STORIES[name], told[name]
    assert heard.codes == story.codes
    rule = [rule for rule, _ in story.found][-1]
    session = heard.end()["smtp"]["session"]["id"]
    assert re.fullmatch(rf"503 5\.5\.1 Bad sequence of commands: .+ \[{rule} {session}\]", heard.reply)


@pytest.mark.parametrize("name", STORIES)
def test_the_audit_names_the_cause_and_where_it_began(name: str, told: dict[str, Told]) -> None:
    """Each finding with its cause, the reply before it, and one number a rule at the session's end."""
    story, events = STORIES[name], told[name].findings()
    blamed = [event for event in events if not event["smtp"]["consequence"]]
    assert Counter((rule_of(event), event["smtp"]["cause"]) for event in blamed) == story.found
    previous = blamed[-1]["smtp"]["previous"]
    assert (previous["command"], previous["reply_code"]) == story.previous
    end = told[name].end()["smtp"]
    assert Counter(end["rules"]) == Counter(rule for rule, _ in Counter(story.found).elements())
    assert (len(events) - len(blamed), end["counts"][5]) == (story.consequences, story.consequences)
    marked = [rule for line in end["transcript"] for rule in line.get("rules", ())]
    assert sorted(marked) == sorted(rule_of(event) for event in events)


@pytest.mark.parametrize("name", STORIES)
def test_the_log_has_a_line_of_it(name: str, told: dict[str, Told]) -> None:
    """One line a finding, with rule and cause; a consequence has none."""
    story, heard = STORIES[name], told[name]
    session = heard.end()["smtp"]["session"]["id"]

    def lines() -> list[str]:
        log = heard.guard.log.read_text().splitlines()
        return [line for line in log if f"session={session} " in line and "NOQUEUE: reject: " in line]

    wait_until(lines, "a line of the log")
    named = Counter(re.findall(r" rule=(SG\d+) cause=(\S+) ", line)[0] for line in lines())
    assert named == story.found
    assert all(line.endswith(" action=answered") for line in lines())


@pytest.mark.parametrize("name", STORIES)
def test_a_person_is_told_the_cause_and_the_cure(name: str, told: dict[str, Told]) -> None:
    """`show`, given the very reply that the client's user saw, says both sentences."""
    story, heard = STORIES[name], told[name]
    heard.end()
    shown = json.loads(smtpguard("show", heard.reply, "--json", "--audit", str(heard.guard.audit.directory)))
    charge = shown["findings"][-1]
    cause = [cause for _, cause in story.found][-1]
    if cause == "unknown":
        # There the rule's own cure says more than a pattern that nobody knows.
        assert charge["cause"] is None
        assert (
            charge["cure"]
            == "Send RCPT only after MAIL was answered 250; after a refused MAIL send MAIL again, RSET or QUIT."
        )
    else:
        assert (charge["cause"], charge["cure"]) == ({"id": cause, "text": story.meaning}, story.cure)


def test_a_user_who_sees_the_reply_alone_can_help_himself(told: dict[str, Told]) -> None:
    """C6: the reply says what is missing, and its rule id is all that `explain` needs."""
    reply = told["C6"].reply
    assert reply.startswith("503 5.5.1 Bad sequence of commands: send MAIL first [SG102 ")
    rule = reply.rpartition("[")[2].split()[0]
    assert "Send RCPT only after MAIL was answered 250" in " ".join(smtpguard("explain", rule).split())


def test_the_rule_id_stays_at_home_if_the_administrator_wants(postfix: Postfix, make_guard: MakeGuard) -> None:
    """C6 the other way: without `policy.reply-rule-id` the reply says what is missing, and the session only."""
    guard = make_guard(postfix.port, "policy.reply-rule-id=false").wait_served()
    heard = tell(guard, STORIES["C6"], "127.0.2.6")
    session = heard.end()["smtp"]["session"]["id"]
    assert heard.reply == f"503 5.5.1 Bad sequence of commands: send MAIL first [{session}]"


def test_a_text_that_can_be_forwarded(told: dict[str, Told]) -> None:
    """C7: the letter about the host says in plain words what happened, why, and what to change; no address is whole."""
    heard = told["C7"]
    heard.end()
    letter = smtpguard(
        "dossier", heard.source, "--no-dns", "--from", "postmaster@up.example", "--audit",
        str(heard.guard.audit.directory),
    )  # fmt: skip
    words = " ".join(letter.split())
    assert f"Likely cause: {STORIES['C7'].meaning}" in words
    assert f"Cure: {STORIES['C7'].cure}" in words
    assert "1 of 1 affected" in words
    assert NOBODY not in letter
    assert ANN not in letter
