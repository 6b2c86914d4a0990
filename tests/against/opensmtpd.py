"""Debian's OpenSMTPD and the kit of deploy/upstream/opensmtpd.

Mail for `up.example` goes to the sink; whoever connects from an address of this machine (`from local`) may send
anywhere. It cannot be installed beside Postfix, so it is unpacked: `TEST_OPENSMTPD_ROOT`, or
/opt/smtpguard-test/opensmtpd. Its queue and its socket have places that are compiled in; it gets them in a mount
namespace of its own, so that nothing of this machine is touched.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.against.deadline import answers, ended, free_port, wait_until
from tests.against.kit import Kit
from tests.against.programs import need_root

OPENSMTPD_ROOT = Path(os.environ.get("TEST_OPENSMTPD_ROOT", "/opt/smtpguard-test/opensmtpd"))
LINES = (
    "apt-get install libevent-2.1-7 && mkdir -p /opt/smtpguard-test && cd /opt/smtpguard-test && "
    "apt-get download opensmtpd && dpkg -x opensmtpd_*.deb opensmtpd && for user in opensmtpd opensmtpq; do "
    "adduser --system --group --no-create-home --home /var/lib/opensmtpd/empty $user; done"
)

CONFIGURATION = """\
listen on 127.0.0.1 port {public}
action "sink" relay host smtp://127.0.0.1:{sink}
match from any for domain "up.example" action "sink"
match from local for any action "sink"
"""

PLACES = """\
mount -t tmpfs tmpfs /var/spool
mkdir -m 0711 /var/spool/smtpd
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/lib/opensmtpd/empty
mount -t tmpfs tmpfs /run
exec "$@"
"""


def opensmtpd() -> Path:
    """Return the path of an smtpd that can run here, or skip the test."""
    binary = OPENSMTPD_ROOT / "usr/sbin/smtpd"
    if not binary.exists():
        pytest.skip(f"opensmtpd is missing: {LINES}")
    try:
        for user in ("opensmtpd", "opensmtpq"):
            pwd.getpwnam(user)
    except KeyError as error:
        pytest.skip(f"{error.args[0]}: {LINES}")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False, timeout=20).returncode != 0:
        pytest.skip("opensmtpd wants a mount namespace of its own, and this machine grants none")
    return binary


class OpenSmtpd:
    """One daemon: at `public` until its `kit` is installed, then at `kit.port`."""

    restarts = "systemctl restart opensmtpd"

    def __init__(self, sink: int) -> None:
        need_root("opensmtpd")
        self.binary = opensmtpd()
        self.public = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="opensmtpd-"))
        self.folder.chmod(0o755)
        self.configuration = self.folder / "smtpd.conf"
        self.configuration.write_text(CONFIGURATION.format(public=self.public, sink=sink))
        places = {
            "/etc/smtpd.conf": str(self.configuration),
            "listen on eth0": f"listen on 127.0.0.1 port {self.public}",
        }
        places["smtpd -n"] = f"{self.binary} -n"
        self.kit = Kit("opensmtpd", self.folder, free_port(), free_port(), places)
        self._log = (self.folder / "log").open("ab")
        self.start()

    def start(self) -> None:
        """Start the daemon with what the configuration says now."""
        self._daemon = subprocess.Popen(
            ["unshare", "-m", "sh", "-e", "-c", PLACES, "sh", str(self.binary), "-d", "-f", str(self.configuration)],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        wait_until(lambda: answers(self.public) or answers(self.kit.port), "OpenSMTPD's port")

    def restart(self) -> None:
        """Do what `restarts` does."""
        ended(self._daemon)
        self.start()

    def said(self) -> str:
        """Return its log."""
        return (self.folder / "log").read_text(errors="replace")

    def close(self) -> None:
        """Stop, and remove all that it wrote."""
        ended(self._daemon)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
