"""Postfix and the kit of deploy/upstream/postfix.

The same Postfix as `postfix`, but that its `mynetworks` is 127.0.0.1, the address that smtpguard dials from, that it
asks a policy service, and that it grants one client `LIMIT` sessions at once.
"""

import subprocess

from tests.against import postfix
from tests.against.deadline import answers, free_port, wait_until
from tests.against.kit import Kit
from tests.against.programs import program

LIMIT = 3


class KitPostfix(postfix.Postfix):
    """One instance: at `public` until its `kit` is installed, then at `kit.port`.

    `trusting`, of the base, trusts loopback and takes no identity, whatever the kit does.
    """

    restarts = "systemctl reload postfix"

    def __init__(self, sink: int, certificate: bytes, policy: int) -> None:
        self._policy = policy
        super().__init__(sink, certificate)
        self.public = self.port

    def _configure(self, sink: int, certificate: bytes) -> None:
        super()._configure(sink, certificate)
        own = {
            "mynetworks": "127.0.0.1/32",
            "smtpd_client_connection_count_limit": str(LIMIT),
            "smtpd_client_event_limit_exceptions": "",
            "smtpd_end_of_data_restrictions": f"check_policy_service inet:127.0.0.1:{self._policy}",
        }
        subprocess.run(
            [program("postconf"), "-c", str(self.folder), "-e", *(f"{key} = {value}" for key, value in own.items())],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        places = {
            "/etc/postfix": str(self.folder),
            # Debian's master.cf has smtp as a chrooted service; the test's queue directory is no Debian's.
            "smtp/inet": f"127.0.0.1:{self.port}/inet",
            "inet n - y": "inet n - n",
            "\npostconf ": f"\npostconf -c {self.folder} ",
            "\npostfix ": f"\npostfix -c {self.folder} ",
        }
        self.kit = Kit("postfix", self.folder, free_port(), free_port(), places)

    def restart(self) -> None:
        """Do what `restarts` does."""
        subprocess.run(
            [program("postfix"), "-c", str(self.folder), "reload"], check=True, capture_output=True, timeout=60
        )
        wait_until(lambda: answers(self.public) != answers(self.kit.port), "one of Postfix's ports")

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text(errors="replace")
