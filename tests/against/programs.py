"""The programs of the system that these tests run, and what installs each.

Exim cannot be installed beside Postfix (both are mail-transport-agent), so it is unpacked from its package into a
folder of its own: `TEST_EXIM_ROOT`, or /opt/smtpguard-test/exim.
"""

import os
import pwd
import shutil
from pathlib import Path

import pytest

SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))

EXIM_ROOT = Path(os.environ.get("TEST_EXIM_ROOT", "/opt/smtpguard-test/exim"))
EXIM_LINES = (
    "apt-get install libidn12 && mkdir -p /opt/smtpguard-test && cd /opt/smtpguard-test && "
    "apt-get download exim4-daemon-light && dpkg -x exim4-daemon-light_*.deb exim && "
    "adduser --system --group --no-create-home --force-badname Debian-exim"
)

PACKAGES = {
    "chromium": "chromium",
    "fail2ban-client": "fail2ban",
    "fail2ban-regex": "fail2ban",
    "groff": "groff",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "logrotate": "logrotate",
    "mandoc": "mandoc",
    "nft": "nftables",
    "postconf": "postfix",
    "postfix": "postfix",
    "smtp-source": "postfix",
    "swaks": "swaks",
    "systemd-analyze": "systemd",
    "systemd-socket-activate": "systemd",
    "systemd-tmpfiles": "systemd",
    "tcpdump": "tcpdump",
    "tshark": "tshark",
}
"""Of Debian, by program."""


def program(name: str) -> str:
    """Return the path of a program of the system, or skip the test."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {PACKAGES[name]}")
    return found


def need_root(name: str) -> None:
    """Skip where we may not start a mail server that changes its user."""
    if os.geteuid() != 0:
        pytest.skip(f"{name} wants to be started by root")


def exim() -> str:
    """Return the path of an Exim that can run here, or skip the test."""
    for path in (EXIM_ROOT / "usr/sbin/exim4", Path("/usr/sbin/exim4")):
        if path.exists():
            break
    else:
        pytest.skip(f"exim4 is missing: {EXIM_LINES}")
    try:
        pwd.getpwnam("Debian-exim")
    except KeyError:
        pytest.skip(f"user Debian-exim is missing: {EXIM_LINES}")
    return str(path)
