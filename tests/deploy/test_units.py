"""The units of systemd: understood without a word of complaint, closed up tightly, and of one mind with the rest."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from smtpguard.config import listeners_of, load
from smtpguard.record.log import TAG
from tests.deploy.artefacts import DEPLOY, SAMPLE, run

UNITS = DEPLOY / "systemd"
INSTALLED = "/opt/smtpguard/bin/smtpguard"

EXPOSURE = 1.5
"""The most that `systemd-analyze security` may find, on its scale from 0 to 10."""


def options(name: str, section: str) -> dict[str, list[str]]:
    """Return the options of one section of a unit, each with all its values; systemd lets one be written twice."""
    text = (UNITS / name).read_text().split(f"\n[{section}]\n", 1)[1].split("\n[", 1)[0]
    found = dict[str, list[str]]()
    for key, value in re.findall(r"^([A-Za-z]\w*)=(.*)$", text, re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


SERVICE = options("smtpguard.service", "Service")
SOCKET = options("smtpguard.socket", "Socket")


@pytest.fixture(params=["with socket", "without socket"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The service where systemd can verify it: beside its socket or its drop-in, with a program that exists here."""
    path = tmp_path / "smtpguard.service"
    text = (UNITS / "smtpguard.service").read_text()
    assert text.count(f"ExecStart={INSTALLED} ") == 1
    path.write_text(text.replace(INSTALLED, sys.executable))
    if request.param == "with socket":
        shutil.copy(UNITS / "smtpguard.socket", tmp_path)
    else:
        (tmp_path / "smtpguard.service.d").mkdir()
        shutil.copy(UNITS / "without-socket.conf", tmp_path / "smtpguard.service.d")
    return path


def test_verify(service: Path) -> None:
    """Systemd knows every option and every value; plain `verify` takes an unknown one for a mere warning."""
    for unit in service.parent.glob("smtpguard.*"):
        if unit.is_file():
            # --man=no: the manual pages are not installed where tests run.
            printed = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit)
            assert "smtpguard" not in printed, printed


def test_verify_can_fail(service: Path) -> None:
    """The proof that the test above would notice a misspelt option."""
    service.write_text(service.read_text().replace("WatchdogSec", "WatchDogSec"))
    printed = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", service, code=1)
    assert "Unknown key 'WatchDogSec'" in printed


def test_exposure(service: Path) -> None:
    """What is left open is the network and little else."""
    threshold = round(EXPOSURE * 10)
    printed = run("systemd-analyze", "security", "--offline=true", f"--threshold={threshold}", service)
    found = re.search(r"Overall exposure level for smtpguard\.service: ([0-9.]+)", printed)
    assert found, printed
    assert float(found[1]) <= EXPOSURE


def test_the_socket_is_the_sample_configuration() -> None:
    """What the socket unit opens is what the sample configuration listens on, in mode observe."""
    config = load(SAMPLE).config
    assert config.policy.mode.value == "observe"
    listening = [str(address) for listener in listeners_of(config) for address in listener.addresses]
    assert SOCKET["ListenStream"] == listening
    assert SOCKET["BindIPv6Only"] == ["ipv6-only"]


def test_the_service_fits_the_sample_configuration() -> None:
    """The directories that the service may write are those of the sample, and the log has our tag."""
    config = load(SAMPLE).config
    assert config.log.target == "journal"
    assert SERVICE["SyslogIdentifier"] == [TAG]
    assert SERVICE["SyslogLevelPrefix"] == ["yes"]
    assert [str(config.audit.directory)] == [f"/var/lib/{name}" for name in SERVICE["StateDirectory"]]


def test_the_command_of_the_service() -> None:
    """ExecStart is a command that smtpguard understands; only a configuration is missing here: exit code 78, not 2."""
    (command,) = SERVICE["ExecStart"]
    path, *arguments = command.split()
    assert path == INSTALLED
    assert arguments[-1] == "/etc/smtpguard/smtpguard.toml"
    run("smtpguard", *arguments[:-1], DEPLOY / "no-such-file.toml", code=78)
    assert "78" in SERVICE["RestartPreventExitStatus"][0].split()
