"""What is installed, and what `run` imports of it."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def canonical(name: str) -> str:
    """Return a distribution's name in its one spelling (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required(requirements: list[str]) -> set[str]:
    """Return the distributions that these requirements ask for without any extra."""
    names = (NAME.match(each) for each in requirements if "extra ==" not in each)
    return {canonical(name[0]) for name in names if name}


def closure(names: set[str]) -> set[str]:
    """Return the distributions and all that they require, as far as installed here."""
    found: set[str] = set()
    while names - found:
        name = (names - found).pop()
        found.add(name)
        try:
            names = names | required(importlib.metadata.requires(name) or [])
        except importlib.metadata.PackageNotFoundError:
            continue  # a backport that this Python does not need
    return found


def imported_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after a statement, less those that it began with."""
    source = f"import sys\nbegan = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - began)"
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_runtime_dependencies() -> None:
    """The data path stands on trio, loguru and msgspec, the edges on click and pydantic, and that is all."""
    assert required(PROJECT["dependencies"]) == {"trio", "loguru", "msgspec", "click", "pydantic"}


def test_no_h11() -> None:
    """No package of the tree brings h11."""
    installed = {canonical(each.name) for each in importlib.metadata.distributions()}
    assert "trio" in installed
    assert not installed & {"h11", "httpx", "httpcore", "hypercorn", "uvicorn", "trio-websocket", "wsproto"}


def test_run_imports_no_extras() -> None:
    """Everything that `run` imports belongs to the run-time dependencies."""
    allowed = closure(required(PROJECT["dependencies"])) | {"smtpguard"}
    modules = imported_by("import smtpguard.cli, smtpguard.config, smtpguard.service, smtpguard.net, smtpguard.record")
    owners = importlib.metadata.packages_distributions()
    packages = {module.partition(".")[0] for module in modules} & set(owners)
    assert {"trio", "loguru", "msgspec", "click", "pydantic"} <= packages
    assert not {package for package in packages if not allowed & set(map(canonical, owners[package]))}


def test_help_is_light() -> None:
    """`--help` imports click and nothing heavier, and no room but its own."""
    modules = imported_by("import smtpguard.cli")
    assert {"click", "smtpguard.cli"} <= modules
    assert not modules & {"pydantic", "trio", "loguru", "msgspec", "asyncio", "ssl"}
    assert not modules & {f"smtpguard.{room}" for room in ("smtp", "config", "record", "net", "service")}
