"""Log and audit as they grow, and who is named in a line."""

import json
from pathlib import Path

import pytest
import trio

from smtpguard.demo.errors import DemoError
from smtpguard.demo.readback import PATIENCE, Readback, Tail

PREFIX = "2026-11-23T18:20:01.482113+00:00 mx1 smtpguard/smtpd[2211]: "
ANN, BEN = ("127.0.0.3", 1025), ("127.0.0.4", 1026)


def finding(client: tuple[str, int], rule: str, *, consequence: bool = False) -> str:
    """Return an audit line of one finding."""
    smtp = {"consequence": True} if consequence else {}
    source = {"ip": client[0], "port": client[1]}
    return json.dumps({"event": {"action": "sequence-violation"}, "source": source, "rule": {"id": rule}, "smtp": smtp})


def end(client: tuple[str, int]) -> str:
    """Return an audit line of a session's end."""
    return json.dumps({"event": {"action": "session-end"}, "source": {"ip": client[0], "port": client[1]}})


def readback(folder: Path, log: list[str], *audit: str) -> Readback:
    """Return what is read from a log and an audit of these lines."""
    folder.mkdir(exist_ok=True)
    (folder / "log").write_text("".join(f"{PREFIX}{line}\n" for line in log))
    segment = folder / "audit/events/2026-11-23/mx1-w0-18.jsonl"
    segment.parent.mkdir(parents=True)
    segment.write_text("".join(f"{line}\n" for line in audit))
    read = Readback(folder / "log", folder / "audit")
    read.look()
    return read


def test_a_line_counts_when_it_is_whole(tmp_path: Path) -> None:
    """Half a line stays for the next look, nothing is read twice, and a file that is not there yet has no lines."""
    tail = Tail(tmp_path / "log")
    assert tail.read() == []
    with (tmp_path / "log").open("a") as file:
        file.write("one\ntw")
        file.flush()
        assert tail.read() == ["one"]
        assert tail.read() == []
        file.write("o\nthree\n")
        file.flush()
        assert tail.read() == ["two", "three"]


def test_findings_by_rule_and_host(tmp_path: Path) -> None:
    """Of the clients asked for only; a consequence is nobody's fault."""
    events = [finding(ANN, "SG102"), finding(ANN, "SG102"), finding(ANN, "SG103", consequence=True)]
    read = readback(tmp_path, [], *events, finding(BEN, "SG105"), end(ANN))
    assert read.by_rule([ANN]) == {("SG102", ANN[0]): 2}
    assert read.by_rule([ANN, BEN]) == {("SG102", ANN[0]): 2, ("SG105", BEN[0]): 1}
    assert len(read.findings_of([ANN])) == 3


def test_lines_of_a_client(tmp_path: Path) -> None:
    """The client is the one that the guard names, never one that stands in the client's own words."""
    forged = "503 5.5.1 <RCPT TO:<x>: NOQUEUE: reject: RCPT from unknown[127.0.0.4]:1026: 503>; action=answered"
    log = [
        "disconnect from unknown[127.0.0.4]:1026 quit=1 commands=1",
        f"NOQUEUE: reject: RCPT from unknown[127.0.0.3]:1025: {forged}",
        "NOQUEUE: note: MAIL from unknown[127.0.0.4]:10266: a longer port",
    ]
    read = readback(tmp_path, log)
    assert read.log_of([ANN]) == [f"{PREFIX}{log[1]}"]
    assert read.log_of([BEN]) == []


@pytest.mark.parametrize(
    ("log", "audit"),
    [
        (["disconnect from unknown[127.0.0.3]:1025 quit=1 commands=1"], []),
        ([], [end(ANN)]),
        (["disconnect from unknown[127.0.0.4]:1026 quit=1 commands=1"], [end(BEN)]),
        (["NOQUEUE: note: x; ]: disconnect from unknown[127.0.0.3]:1025 quit=1"], [end(ANN)]),
    ],
)
async def test_evidence_that_does_not_come(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, log: list[str], audit: list[str]
) -> None:
    """A session is written about when both the log and the audit have its end; else it is said after a while."""
    read = readback(tmp_path, log, *audit)
    began = trio.current_time()
    with pytest.raises(DemoError, match="is the disk full") as raised:
        await read.wait_for([ANN])
    assert raised.value.exit_code == 69
    assert trio.current_time() - began == pytest.approx(PATIENCE)


async def test_evidence_that_is_there(tmp_path: Path) -> None:
    """Both ends are read: nothing is waited for."""
    read = readback(tmp_path, ["disconnect from unknown[127.0.0.3]:1025 quit=1 commands=1"], end(ANN))
    with trio.fail_after(5):
        await read.wait_for([ANN])


async def test_a_port_that_comes_back(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Two sessions of one address and port want two ends."""
    gone = "disconnect from unknown[127.0.0.3]:1025 quit=1 commands=1"
    with pytest.raises(DemoError):
        await readback(tmp_path / "one", [gone, gone], end(ANN)).wait_for([ANN, ANN])
    await readback(tmp_path / "two", [gone, gone], end(ANN), end(ANN)).wait_for([ANN, ANN])
