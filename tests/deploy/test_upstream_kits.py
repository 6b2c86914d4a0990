"""The files of deploy/upstream: each is named in its README, and taken by the program that it is for."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.against.exim_heavy import heavy
from tests.against.opensmtpd import opensmtpd
from tests.against.programs import exim, program
from tests.deploy.artefacts import DEPLOY, run

UPSTREAM = DEPLOY / "upstream"
KITS = ("postfix", "exim", "opensmtpd", "haraka")
FRAGMENTS = sorted(UPSTREAM.glob("*/smtpguard-*.toml"))
PAGES = (*(UPSTREAM / kit / "README.md" for kit in KITS), UPSTREAM / "README.md", UPSTREAM / "others.md")
SERVICES = sorted((UPSTREAM / "postfix").glob("master.cf.*"))


def named(path: Path) -> str:
    """Return a file's path inside deploy/upstream, for the test's id."""
    return str(path.relative_to(UPSTREAM))


@pytest.mark.parametrize("kit", KITS)
def test_readme_names_every_file(kit: str) -> None:
    """No file lies in a kit that its README does not say where to put."""
    readme = (UPSTREAM / kit / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in (UPSTREAM / kit).iterdir()} - {"README.md"}
    assert files
    assert {name for name in files if f"`{name}`" not in readme} == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_paths_exist(page: Path) -> None:
    """What a page installs from the checkout, or links to, is there."""
    text = page.read_text(encoding="utf-8")
    paths = set(re.findall(r"\bdeploy/[a-z0-9./_-]+[a-z0-9_]", text))
    assert {path for path in paths if not (DEPLOY.parent / path).exists()} == set()
    links = set(re.findall(r"\]\(([^)]+)\)", text))
    assert {link for link in links if not (page.parent / link).exists()} == set()


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=named)
def test_smtpguard_takes_the_fragment(fragment: Path, tmp_path: Path) -> None:
    """Put into conf.d, it speaks over the file, and names the identity that the file's name says."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/50-upstream.toml").write_text(fragment.read_text())
    configuration = tmp_path / "smtpguard.toml"
    configuration.write_text('listen = ["127.0.0.1:2525"]\nupstream = "192.0.2.1:25"\n')
    shown = tomllib.loads(run("smtpguard", "config", "show", "-c", configuration))
    assert shown["identity"]["send"] == fragment.stem.removeprefix("smtpguard-")
    assert shown["upstream"] in ("127.0.0.1:10025", ["127.0.0.1:10025"])


@pytest.mark.parametrize("service", SERVICES, ids=named)
def test_postfix_knows_the_service(service: Path, tmp_path: Path) -> None:
    """Postfix reads each service as one, and knows its parameter: it warns of unused ones."""
    program("postconf")
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    (tmp_path / "master.cf").write_text(service.read_text())
    assert len(run("postconf", "-c", tmp_path, "-M").splitlines()) == 1
    assert "unused parameter" not in run("postconf", "-c", tmp_path, "-P")


def exim_says(binary: Path, configuration: Path) -> str:
    """Return what `-bP hosts_proxy` prints, refusals too."""
    done = subprocess.run(
        [str(binary), "-C", str(configuration), "-bP", "hosts_proxy"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_exim_heavy_takes_the_line_and_light_does_not(tmp_path: Path) -> None:
    """As the README says: the option is unknown to exim4-daemon-light, and known to exim4-daemon-heavy."""
    line = (UPSTREAM / "exim/hosts_proxy").read_text()
    configuration = tmp_path / "exim.conf"
    configuration.write_text(f"primary_hostname = mx.up.example\nkeep_environment =\n{line}")
    assert "hosts_proxy = ${if eq{$received_port}{10025}{127.0.0.1}}" in exim_says(heavy(), configuration)
    assert 'main option "hosts_proxy" unknown' in exim_says(Path(exim()), configuration)


def test_opensmtpd_takes_the_line(tmp_path: Path) -> None:
    """The listener is read without a word, and with `proxy-v1` in its place it is not."""
    line = (UPSTREAM / "opensmtpd/smtpd.conf.proxy-v2").read_text()
    binary = opensmtpd()
    for text, code in ((line, 0), (line.replace("proxy-v2\n", "proxy-v1\n"), 1)):
        configuration = tmp_path / "smtpd.conf"
        configuration.write_text(text + 'action "a" relay\nmatch from any for any action "a"\n')
        done = subprocess.run(
            [str(binary), "-n", "-f", str(configuration)], capture_output=True, timeout=60, check=False
        )
        assert done.returncode == code, done.stderr.decode()
