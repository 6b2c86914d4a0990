"""The lines that deploy/README.md gives for Postfix, in a real Postfix that trusts loopback everywhere else."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import trustme

from tests.against import postfix
from tests.against.client import RawClient
from tests.against.deadline import free_port
from tests.against.guard import Guard
from tests.against.programs import program
from tests.deploy.artefacts import DEPLOY, run

RUNBOOK = (DEPLOY / "README.md").read_text(encoding="utf-8")
LINES = RUNBOOK.split("```master.cf\n", 1)[1].split("```", 1)[0]
MOVED = "127.0.0.1:10025"

LIMIT = 2
"""Sessions at once that Postfix grants one client."""


class Behind(postfix.Postfix):
    """Postfix with the runbook's service at `moved`."""

    moved: int


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[Behind]:
    """It relays for loopback, and grants a client few sessions, but for what the runbook's lines say."""
    monkeypatch.setattr(Behind, "moved", free_port(), raising=False)
    assert LINES.startswith(MOVED)
    # Chroot is off: the test's queue directory is no Debian's.
    lines = LINES.replace(f"{MOVED} inet n - y", f"127.0.0.1:{Behind.moved} inet n - n")
    monkeypatch.setattr(postfix, "MASTER", postfix.MASTER + lines)
    own = {"mynetworks": "127.0.0.0/8", "smtpd_client_connection_count_limit": str(LIMIT)}
    monkeypatch.setattr(postfix, "MAIN", postfix.MAIN | own)
    running = Behind(free_port(), trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.bytes())
    yield running
    running.close()


def test_behind_the_guard(behind: Behind, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The guard starts on a public address; own mail is accepted, mail for others refused, the limit does not count."""
    guard = Guard(tmp_path_factory.mktemp("guard"), behind.moved, host="0.0.0.0").wait_served()
    try:
        with ExitStack() as sessions:
            clients = [sessions.enter_context(RawClient(guard.port)) for _ in range(LIMIT + 2)]
            assert [client.reply()[:3] for client in clients] == [b"220"] * len(clients)
            client = clients[-1]
            client.say(b"EHLO client.example")
            assert client.say(b"MAIL FROM:<a@client.example>").startswith(b"250")
            assert client.say(b"RCPT TO:<b@elsewhere.example>").startswith(b"554 5.7.1")
            assert client.say(b"RCPT TO:<b@up.example>").startswith(b"250")
    finally:
        assert guard.stop() == 0


def test_without_the_lines(behind: Behind, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The proof that the lines matter: in front of the same Postfix without them the guard does not start."""
    guard = Guard(tmp_path_factory.mktemp("guard"), behind.port, host="0.0.0.0")
    assert guard.wait() == 78
    assert "relays mail of strangers" in guard.said()


def test_postfix_knows_the_parameters(behind: Behind) -> None:
    """No parameter of the lines is misspelt: Postfix warns of unused ones."""
    program("postconf")
    printed = run("postconf", "-c", behind.folder, "-M")
    assert printed.count(f"127.0.0.1:{behind.moved} inet") == 1
    assert "unused parameter" not in run("postconf", "-c", behind.folder, "-P")
