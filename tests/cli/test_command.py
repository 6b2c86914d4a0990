"""The command line: what a person types, what is printed where, and the exit code."""

import re
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner, Result

from smtpguard import __version__
from smtpguard.cli import main
from smtpguard.cli.command import VERBS
from smtpguard.config import Address, Config, Loaded, Mode, load
from smtpguard.config.lines import KeyPath
from smtpguard.config.renamed import Renamed, modernised

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

    def serve(self, loaded: Loaded) -> int:
        """Return or raise the outcome."""
        self.configs.append(loaded.config)
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
    assert config.upstream == (Address("127.0.0.1", 25),)
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


def test_several_upstreams(service: Service) -> None:
    """`--upstream` may be given again, in the order in which they are tried."""
    assert smtpguard("run", *ADDRESSES, "--upstream", "[::1]:26").exit_code == 0
    assert service.configs[0].upstream == (Address("127.0.0.1", 25), Address("::1", 26))


def test_file_of_this_machine(service: Service, tmp_path: Path) -> None:
    """Without `--config` the file in /etc is read where there is one, and with it that one is not."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "smtpguard.toml").write_text("listen = '127.0.0.1:1'\nupstream = '127.0.0.1:2'\n")
    (tmp_path / "other.toml").write_text("listen = '127.0.0.1:3'\nupstream = '127.0.0.1:2'\n")
    assert smtpguard("run").exit_code == 0
    assert smtpguard("run", "-c", str(tmp_path / "other.toml")).exit_code == 0
    assert [config.listen[0].port for config in service.configs] == [1, 3]


def test_environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable speaks over the file and under the options."""
    monkeypatch.setenv("SMTPGUARD_POLICY__MODE", "observe")
    monkeypatch.setenv("SMTPGUARD_LIMITS__VIOLATIONS", "7")
    assert smtpguard("run", *ADDRESSES, "--set", "limits.violations=8").exit_code == 0
    (config,) = service.configs
    assert (config.policy.mode, config.limits.violations) == (Mode.OBSERVE, 8)


def test_warnings(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with an old name is understood; standard error says its new one."""
    old: dict[KeyPath, Renamed] = {("policy", "modus"): Renamed(to=("policy", "mode"), gone_in="0.3")}
    monkeypatch.setattr(sys.modules[load.__module__], "modernised", partial(modernised, table=old))
    result = smtpguard("run", *ADDRESSES, "--set", "policy.modus=observe")
    assert (result.exit_code, result.stdout) == (0, "")
    assert service.configs[0].policy.mode is Mode.OBSERVE
    assert result.stderr.startswith("warning: --set: policy.modus = 'observe': this key is called policy.mode now")


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
    ("--listen", "a", "--upstream", "::1:25"): ("--listen: listen[0] = 'a': ", "--upstream: upstream[0] = '::1:25'"),
    (*ADDRESSES, "--set", "policy.mod=observe"): ("--set: policy.mod = 'observe': unknown key; did you mean 'mode'?",),
    (*ADDRESSES, "--set", "observe"): ("--set: 'observe': write key=value",),
    ("--config", "/nowhere/smtpguard.toml"): ("/nowhere/smtpguard.toml: no such file",),
    ("--config", "/"): ("/: a directory; ",),
    ("--upstream", "", "--listen", ""): ("--listen: listen[0] = '': HOST:", "--upstream: upstream[0] = '': HOST:"),
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
        (("rum",), "No such command 'rum'; did you mean 'run'?"),
        (("xyzzy",), "No such command 'xyzzy'; there are demo, check, run, "),
        (("config", "shwo"), "No such command 'shwo'; did you mean 'show'?"),
        (("config", "show", "--origen"), "No such option '--origen'"),
        (("check", "--life"), "No such option '--life'"),
        (("completion", "tcsh"), "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
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


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(option: str) -> None:
    """The version is that of the package."""
    result = smtpguard(option)
    assert (result.exit_code, result.output) == (0, f"smtpguard {__version__}\n")


HELPFUL = [(), *((name,) for name in VERBS), *(("config", name) for name in ("show", "example", "schema"))]


@pytest.mark.parametrize("verb", HELPFUL, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(verb: tuple[str, ...], option: str) -> None:
    """Help goes to standard output, fits 80 columns and is plain text."""
    result = smtpguard(*verb, option)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(" ".join(("Usage: smtpguard", *verb)))
    assert result.stdout.isascii()
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_help_names_the_verbs_in_their_order() -> None:
    """The verbs stand in the order in which a person meets them, each with a sentence that is not cut."""
    listed = smtpguard("--help").stdout.partition("Commands:\n")[2]
    assert re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE) == list(VERBS)
    assert "..." not in listed


@pytest.mark.parametrize("name", VERBS)
def test_help_says_what_the_verbs_say(name: str) -> None:
    """The sentence of a verb in the list is the first of its own help."""
    verb = main.get_command(click.Context(main), name)
    assert verb is not None
    assert verb.get_short_help_str(limit=200).removesuffix(".") == VERBS[name].sentence


def test_no_verb_is_help() -> None:
    """The command alone shows the help, as a usage error."""
    result = smtpguard()
    assert result.exit_code == 2
    assert "Commands:\n  demo" in result.output


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["config", "--help"], ["rum"]])
def test_help_is_light(arguments: list[str]) -> None:
    """Help and usage errors import no package but click, and no verb but the one that is asked for."""
    source = (
        "import sys\nfrom smtpguard.cli import main\n"
        f"try: main({arguments!r}, prog_name='smtpguard')\n"
        "except SystemExit: print('imported', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = set(done.stdout.rpartition("imported ")[2].split())
    assert not modules & {"pydantic", "trio", "loguru", "msgspec", "asyncio", "ssl"}
    verbs = {verb.place.partition(":")[0] for name, verb in VERBS.items() if name not in arguments}
    assert not modules & verbs


def test_both_ways_in() -> None:
    """`python -m smtpguard` is the command that pyproject installs."""
    done = subprocess.run(
        [sys.executable, "-m", "smtpguard", "run"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("command line: listen: required")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"smtpguard": "smtpguard.cli:main"}
