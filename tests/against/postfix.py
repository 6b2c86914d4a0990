"""Debian's Postfix with a configuration, a queue and a port of its own; the system's instance is not touched.

Mail for `up.example` is accepted and carried to the sink; `nobody@` there is refused at RCPT, `refused@client.example`
at MAIL (`smtpd_delay_reject=no`), and DATA is refused for a message with the one recipient `latefail@`. Other domains:
554. The error sleeps and limits are off: they are about Postfix, and would only make the tests slow.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.against.deadline import answers, free_port, wait_until
from tests.against.programs import need_root, program
from tests.against.sasl import SaslStandIn

MASTER = """\
127.0.0.1:{port} inet n - n - 200 smtpd
127.0.0.1:{no_chunking} inet n - n - - smtpd
    -o smtpd_discard_ehlo_keywords=chunking,silent-discard
127.0.0.1:{turned_away} inet n - n - - smtpd
    -o smtpd_client_restrictions=reject
127.0.0.1:{trusting} inet n - n - - smtpd
    -o mynetworks=127.0.0.0/8
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - 30 smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""

MAIN: dict[str, str] = {
    "compatibility_level": "3.6",
    "mail_owner": "postfix",
    "setgid_group": "postdrop",
    "myhostname": "mx.up.example",
    "mydestination": "",
    "mynetworks": "",
    "inet_protocols": "ipv4",
    "smtpd_peername_lookup": "no",
    "local_recipient_maps": "",
    "alias_maps": "",
    "relay_domains": "up.example",
    "smtpd_delay_reject": "no",
    "smtpd_sender_restrictions": "check_sender_access inline:{ { refused@client.example = 550 5.7.1 not from you } }",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
    "smtpd_recipient_restrictions": "check_recipient_access inline:{ { nobody@up.example = 550 5.1.1 no such user } }",
    "smtpd_data_restrictions": "check_recipient_access inline:{ { latefail@up.example = 550 5.7.1 not now } }",
    "smtpd_error_sleep_time": "0",
    "smtpd_soft_error_limit": "1001",
    "smtpd_hard_error_limit": "1000",
    "smtpd_junk_command_limit": "1000",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_timeout": "60",
    # Else cleanup waits a second a message while more comes in than goes out.
    "in_flow_delay": "0",
    "message_size_limit": "52428800",
    "mailbox_size_limit": "0",
    "queue_minfree": "0",
    "smtp_line_length_limit": "0",
    "smtp_destination_concurrency_limit": "30",
    "initial_destination_concurrency": "30",
    "local_header_rewrite_clients": "",
    "smtpd_tls_security_level": "may",
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_sasl_type": "dovecot",
    "smtpd_sasl_path": "private/auth",
    "smtpd_tls_auth_only": "no",
    "default_database_type": "texthash",
}


class Postfix:
    """One running instance, and `log` for its lines.

    `port` is the plain one; `no_chunking` does not offer CHUNKING, `turned_away` greets with 554, `trusting` has
    loopback in its mynetworks.
    """

    def __init__(self, sink: int, certificate: bytes) -> None:
        need_root("postfix")
        self._postfix = program("postfix")
        self.port, self.no_chunking, self.turned_away, self.trusting = (free_port() for _ in range(4))
        # Not pytest's folder: that is closed to others, and Postfix's processes are user postfix.
        self.folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.folder.chmod(0o755)
        self.log = self.folder / "log"
        self._configure(sink, certificate)
        owner = pwd.getpwnam("postfix").pw_uid
        subprocess.run([self._postfix, "-c", str(self.folder), "check"], check=True, capture_output=True, timeout=60)
        self._sasl = SaslStandIn(self.folder / "queue/private/auth", owner)
        daemons = (
            subprocess.run(
                [program("postconf"), "-c", str(self.folder), "-h", "daemon_directory"], check=True, capture_output=True
            )
            .stdout.decode()
            .strip()
        )
        self._master = subprocess.Popen(
            [f"{daemons}/master", "-c", str(self.folder), "-d"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        wait_until(lambda: answers(self.port), "Postfix's port")

    def _configure(self, sink: int, certificate: bytes) -> None:
        queue, data, pem = self.folder / "queue", self.folder / "data", self.folder / "key-and-certificate.pem"
        queue.mkdir()
        data.mkdir()
        os.chown(data, pwd.getpwnam("postfix").pw_uid, -1)
        pem.write_bytes(certificate)
        pem.chmod(0o600)
        settings = MAIN | {
            "queue_directory": str(queue),
            "data_directory": str(data),
            "maillog_file": str(self.log),
            "maillog_file_prefixes": str(self.folder),
            "relay_transport": f"smtp:[127.0.0.1]:{sink}",
            "default_transport": f"smtp:[127.0.0.1]:{sink}",
            "smtpd_tls_chain_files": str(pem),
        }
        (self.folder / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        (self.folder / "master.cf").write_text(MASTER.format_map(vars(self)))

    def accepted(self, reverse_path: str) -> int:
        """Return how many messages of a reverse path have come into the queue, as the queue manager logs them."""
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        return log.count(f": from=<{reverse_path}>, size=")

    def kill(self) -> None:
        """Kill every process of this instance at once, as a crash would."""
        pids = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self._master.pid)], capture_output=True, check=False)
        self._master.kill()
        self._master.wait(10)
        for pid in pids.stdout.split():
            try:
                os.kill(int(pid), 9)
            except ProcessLookupError:
                pass  # it left with its master

    def close(self) -> None:
        """Stop, and remove all that it wrote."""
        if self._master.poll() is None:
            self._master.terminate()
            try:
                self._master.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        assert self._master.stderr is not None
        self._master.stderr.close()
        self._sasl.close()
        shutil.rmtree(self.folder, ignore_errors=True)
