"""The operator log: forms, targets, and loguru's traps."""

import io
import json
import os
import re
import socket
import stat
import sys
from functools import partial
from pathlib import Path

import pytest
from loguru import logger

from smtpguard.record.lines import Level, Line
from smtpguard.record.log import LogSettings, OperatorLog, note, stack
from smtpguard.record.syslog import Syslog
from tests.record.samples import LINK, NOW, PREFIX

PID = os.getpid()
PASSWORD = b"s3cret"
LINE = Line(NOW, Level.INFO, "connect from {x} <red>%s</red> \\x1b", LINK, "SG104")


def written(settings: LogSettings, *lines: Line) -> None:
    """Write lines and close the log."""
    log = OperatorLog(settings, hostname="mx1")
    log.put(lines)
    log.close()


def test_file(tmp_path: Path) -> None:
    """A file gets rsyslog's high-precision prefix with the time of the event, mode 0640; braces and markup are text."""
    path = tmp_path / "log"
    written(LogSettings(target=str(path)), LINE, Line(NOW, Level.DEBUG, "milder"), Line(NOW, Level.WARNING, "louder"))
    assert path.read_text() == f"{PREFIX}[{PID}]: connect from {{x}} <red>%s</red> \\x1b\n{PREFIX}[{PID}]: louder\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_threshold(tmp_path: Path, level: str) -> None:
    """What is milder than the level is not written."""
    path = tmp_path / "log"
    settings = LogSettings(target=str(path), level=level)  # type: ignore[arg-type]
    written(settings, *(Line(NOW, one, one.name) for one in Level))
    names = [line.rsplit(" ", 1)[1] for line in path.read_text().splitlines()]
    assert names == [one.name for one in Level if one >= Level[level.upper()]]


@pytest.mark.parametrize("target", ["stdout", "stderr"])
def test_streams(capfd: pytest.CaptureFixture[str], target: str) -> None:
    """The standard streams have the prefix, too, and stay open."""
    written(LogSettings(target=target), LINE)
    assert getattr(capfd.readouterr(), target[3:]).endswith("\\x1b\n")
    os.fstat(1 if target == "stdout" else 2)


def test_journal(capfd: pytest.CaptureFixture[str]) -> None:
    """journald takes the severity from the front, and the time and the tag are its own."""
    written(LogSettings(target="journal", level="debug"), *(Line(NOW, level, level.name) for level in Level))
    assert capfd.readouterr().out == "<7>DEBUG\n<6>INFO\n<4>WARNING\n<3>ERROR\n"


def test_syslog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The syslog target gets each line with its severity and our tag."""
    address = str(tmp_path / "dev-log")
    monkeypatch.setattr("smtpguard.record.log.Syslog", partial(Syslog, address=address))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(address)
        daemon.settimeout(10)
        written(LogSettings(target="syslog"), Line(NOW, Level.WARNING, "warning: full"))
        assert daemon.recv(4096) == f"<20>smtpguard/smtpd[{PID}]: warning: full\0".encode()


def test_json(tmp_path: Path) -> None:
    """One object a line in ECS names, with no prefix."""
    path = tmp_path / "log"
    written(LogSettings(target=str(path), format="json"), LINE, Line(NOW, Level.ERROR, "bare"))
    first, second = path.read_text().splitlines()
    assert json.loads(first) == {
        "@timestamp": "2026-11-23T18:20:01.482Z",
        "log": {"level": "info"},
        "message": "connect from {x} <red>%s</red> \\x1b",
        "ecs": {"version": "9.0.0"},
        "host": {"name": "mx1"},
        "process": {"name": "smtpguard/smtpd", "pid": PID},
        "source": {"ip": "198.51.100.7", "port": 43122},
        "observer": {"name": "0.0.0.0:25"},
        "smtp": {"session": {"id": "01JDFZ8Q0V7M"}},
        "rule": {"id": "SG104"},
    }
    assert json.loads(second).keys() == {"@timestamp", "log", "message", "ecs", "host", "process"}


def test_target_that_cannot_be_opened(tmp_path: Path) -> None:
    """A bad path shows at start."""
    with pytest.raises(FileNotFoundError):
        OperatorLog(LogSettings(target=str(tmp_path / "no" / "log")), hostname="mx1")


def test_note() -> None:
    """Warnings and errors say so in Postfix's way, and line ends of a text make no second line."""
    assert note(NOW, Level.INFO, "start\nNOQUEUE: reject:").text == "start\\x0aNOQUEUE: reject:"
    assert note(NOW, Level.WARNING, "full").text == "warning: full"
    assert note(NOW, Level.ERROR, "bug").text == "error: bug"


def fail(password: bytes) -> None:
    """Raise an error that quotes what it was given, by way of another."""
    try:
        raise KeyError(password)
    except KeyError as error:
        raise ValueError(f"bad {password!r}") from error


def test_stack_holds_no_values() -> None:
    """A bug's stack names files, functions and lines, and the errors behind it, but no value."""
    texts = []
    try:
        fail(PASSWORD)
    except ValueError as error:
        texts += [line.text for line in stack(NOW, error)]
    assert PASSWORD.decode() not in "".join(texts)
    assert [text for text in texts if text.endswith(" at")] == ["error: ValueError at", "error: KeyError at"]
    assert any(re.fullmatch(r"error:   test_log\.py:\d+ in fail: raise KeyError\(password\)", text) for text in texts)


def test_calls_of_loguru_from_elsewhere(tmp_path: Path) -> None:
    """A loguru call of another room takes our form, with a stack without values, and braces in it are text."""
    path = tmp_path / "log"
    log = OperatorLog(LogSettings(target=str(path)), hostname="mx1")
    logger.warning("wire {}", "{0}\r\n")
    logger.debug("milder")
    try:
        fail(PASSWORD)
    except ValueError:
        logger.exception("session over")
    log.close()
    texts = [line.split("]: ", 1)[1] for line in path.read_text().splitlines()]
    assert texts[:3] == ["warning: wire {0}\\x0d\\x0a", "error: session over", "error: ValueError at"]
    assert PASSWORD.decode() not in path.read_text()
    prefix = re.compile(rf"[-0-9]+T[0-9:.]+\+00:00 mx1 smtpguard/smtpd\[{PID}]: ")
    assert all(prefix.match(line) for line in path.read_text().splitlines())


def test_one_call_of_loguru_for_a_batch(tmp_path: Path) -> None:
    """However many lines, loguru is called once: a call per session would cost a quarter of it."""
    log = OperatorLog(LogSettings(target=str(tmp_path / "log")), hostname="mx1")
    calls: list[str] = []
    logger.add(calls.append, format="{message}", level=0)
    log.put([LINE] * 1000)
    log.put([])
    log.put([Line(NOW, Level.DEBUG, "milder")])
    log.close()
    assert len(calls) == 1
    assert len((tmp_path / "log").read_text().splitlines()) == 1000


def test_the_only_handler(tmp_path: Path) -> None:
    """loguru's own handler to stderr is gone while ours is there, and ours when the log is closed."""
    stderr = io.StringIO()
    logger.remove()
    logger.add(stderr)
    log = OperatorLog(LogSettings(target=str(tmp_path / "log")), hostname="mx1")
    logger.info("ours")
    log.close()
    logger.info("nobody's")
    assert stderr.getvalue() == ""
    assert (tmp_path / "log").read_text().endswith("]: ours\n")


def test_a_stream_that_was_closed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run >&-`: an ordinary error, which the service tells with its cure."""
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OSError, match="it is closed"):
        OperatorLog(LogSettings(target="stdout"), hostname="mx1")
