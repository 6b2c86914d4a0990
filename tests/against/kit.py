"""A kit of deploy/upstream as a test uses it: its own files, and the commands of its README, at places of the test.

The files are copied to a folder of the test, and nothing in them is changed but the places of a real machine
(`/etc/postfix`, port 10025 and the like). Commands are those between a fence that says `sh LABEL` and the next one;
`bash -e` runs them. What `systemctl` should do is left to the test, which has servers of its own.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
UPSTREAM = ROOT / "deploy/upstream"

PORT = "10025"
"""Where all kits put the server."""

STANDS = 'listen = ["127.0.0.1:{port}"]\n'
"""The configuration that a kit's fragment comes on top of; `port` is the one that `smtpguard check` tries."""


class Kit:
    """One kit with `port` in the place of 10025.

    `guard` is the folder that stands for /etc/smtpguard, with `configuration` in it.
    """

    def __init__(self, server: str, folder: Path, port: int, listen: int, places: Mapping[str, str]) -> None:
        self.port = port
        self.guard = folder / "smtpguard"
        self.configuration = self.guard / "smtpguard.toml"
        self._files = folder / "kit"
        self._places = {
            f"deploy/upstream/{server}": str(self._files),
            PORT: str(port),
            "/etc/smtpguard": str(self.guard),
            "smtpguard check": f"{sys.executable} -m smtpguard check -c {self.configuration}",
            **places,
        }
        self.guard.mkdir()
        self.configuration.write_text(STANDS.format(port=listen))
        self._files.mkdir()
        for file in (UPSTREAM / server).iterdir():
            (self._files / file.name).write_text(self.moved(file.read_text(encoding="utf-8")), encoding="utf-8")

    def moved(self, text: str) -> str:
        """Return a text with the test's places in it."""
        longest_first = sorted(self._places, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, longest_first)), lambda found: self._places[found[0]], text)

    def steps(self, label: str) -> list[str]:
        """Return the command lines of a block of the README, places moved."""
        readme = (self._files / "README.md").read_text(encoding="utf-8")
        blocks = re.findall(rf"^```sh {label}\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
        assert len(blocks) == 1, f"README.md has {len(blocks)} blocks named {label}"
        return str(blocks[0]).splitlines()

    def run(self, label: str) -> tuple[str, list[str]]:
        """Run a block; return what it printed, and its `systemctl` lines, which were left out."""
        lines = self.steps(label)
        script = "\n".join(line for line in lines if not line.startswith("systemctl"))
        done = subprocess.run(
            ["bash", "-e", "-u", "-c", script],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{label} ended with {done.returncode}\n{script}\n{done.stdout}"
        return done.stdout, [line for line in lines if line.startswith("systemctl")]
