"""The command line: what a person types, what is printed where, and the exit code."""

import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from smtpguard import __version__
from smtpguard.cli import main
from smtpguard.config import Address, Config, Mode

ADDRESSES = ("--listen", "127.0.0.1:2525", "--upstream", "127.0.0.1:25")
ROOT = Path(__file__).parents[2]


class StartupError(Exception):
    """As the service's: a refusal to start."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Service(ModuleType):
    """A service that keeps the Config it is given, and ends as it is told."""

    StartupError = StartupError

    def __init__(self) -> None:
        super().__init__("smtpguard.service")
        self.configs: list[Config] = []
        self.outcome: int | Exception = 0

    def serve(self, config: Config) -> int:
        """Return or raise the outcome."""
        self.configs.append(config)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """Stand in for the service."""
    fake = Service()
    monkeypatch.setitem(sys.modules, "smtpguard.service", fake)
    return fake


def smtpguard(*arguments: str) -> Result:
    """Run the command in this process; an exception that is no exit is raised here."""
    return CliRunner().invoke(main, arguments, catch_exceptions=False, prog_name="smtpguard")


def test_flags(service: Service) -> None:
    """Listen addresses and upstream come from flags, everything else is as it stands in the settings."""
    result = smtpguard("run", *ADDRESSES, "--listen", "[::1]:2525")
    assert (result.exit_code, result.output) == (0, "")
    (config,) = service.configs
    assert config.listen == (Address("127.0.0.1", 2525), Address("::1", 2525))
    assert config.upstream == Address("127.0.0.1", 25)
    assert config == Config(listen=config.listen, upstream=config.upstream)


def test_file_and_settings(service: Service, tmp_path: Path) -> None:
    """The file is read, and `--set` speaks over it."""
    file = tmp_path / "smtpguard.toml"
    file.write_text("listen = '127.0.0.1:1'\nupstream = '127.0.0.1:2'\n[limits]\nsessions = 3\nviolations = 4\n")
    result = smtpguard("run", "--config", str(file), "--set", "limits.sessions=5", "--set", "timeouts.connect=1m")
    assert (result.exit_code, result.output) == (0, "")
    (config,) = service.configs
    assert (config.limits.sessions, config.limits.violations, config.timeouts.connect) == (5, 4, 60)


def test_observe(service: Service) -> None:
    """`--observe` is policy.mode."""
    assert smtpguard("run", *ADDRESSES, "--observe").exit_code == 0
    assert service.configs[0].policy.mode is Mode.OBSERVE


@pytest.mark.parametrize("code", [0, 69, 75])
def test_exit_code_of_the_service(service: Service, code: int) -> None:
    """What the service returns is the exit code."""
    service.outcome = code
    result = smtpguard("run", *ADDRESSES)
    assert (result.exit_code, result.output) == (code, "")


def test_refusal_to_start(service: Service) -> None:
    """A service that cannot start says why on standard error, without a traceback."""
    service.outcome = StartupError("127.0.0.1:2525: address already in use; stop the other program", 69)
    result = smtpguard("run", *ADDRESSES)
    assert (result.exit_code, result.stdout) == (69, "")
    assert result.stderr == "127.0.0.1:2525: address already in use; stop the other program\n"


def test_bug_is_not_hidden(service: Service) -> None:
    """What is nobody's mistake but ours keeps its traceback."""
    service.outcome = ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError, match="ours"):
        smtpguard("run", *ADDRESSES)


BAD: dict[tuple[str, ...], tuple[str, ...]] = {
    (): ("command line: listen: required", "command line: upstream: required"),
    ("--listen", "a", "--upstream", "::1:25"): ("--listen: listen[0] = 'a': ", "--upstream: upstream = '::1:25'"),
    (*ADDRESSES, "--set", "policy.mod=observe"): ("--set: policy.mod = 'observe': unknown key; did you mean 'mode'?",),
    (*ADDRESSES, "--set", "observe"): ("--set: 'observe': write key=value",),
    ("--config", "/nowhere/smtpguard.toml"): ("/nowhere/smtpguard.toml: no such file",),
    ("--config", "/"): ("/: a directory; ",),
    ("--upstream", "", "--listen", ""): ("--listen: listen[0] = '': HOST:PORT", "--upstream: upstream = '': HOST:PORT"),
}  # fmt: skip


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_bad_configuration(service: Service, arguments: tuple[str, ...]) -> None:
    """A configuration with mistakes is 78, one line on standard error for each, and nothing is started."""
    result = smtpguard("run", *arguments)
    assert (result.exit_code, result.stdout, service.configs) == (78, "", [])
    lines = result.stderr.splitlines()
    assert len(lines) == len(BAD[arguments])
    for line, beginning in zip(lines, BAD[arguments], strict=True):
        assert line.startswith(beginning)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rum",), "No such command 'rum'"),
        (("run", "--lisen", "x:1"), "No such option '--lisen'"),
        (("run", "--listen"), "Option '--listen' requires an argument"),
        (("run", "127.0.0.1:25"), "unexpected extra argument"),
    ],
)
def test_usage(arguments: tuple[str, ...], said: str) -> None:
    """A command line that cannot be read is 2, with the word at fault."""
    result = smtpguard(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_version() -> None:
    """The version is that of the package."""
    result = smtpguard("--version")
    assert (result.exit_code, result.output) == (0, f"smtpguard {__version__}\n")


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("run", "-h")])
def test_help(arguments: tuple[str, ...]) -> None:
    """Help goes to standard output, fits 80 columns and is plain text."""
    result = smtpguard(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: smtpguard")
    assert result.stdout.isascii()
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_both_ways_in() -> None:
    """`python -m smtpguard` is the command that pyproject installs."""
    done = subprocess.run(
        [sys.executable, "-m", "smtpguard", "run"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("command line: listen: required")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"smtpguard": "smtpguard.cli:main"}
