"""Debian's Exim with a configuration, a spool and a port of its own.

The same world as `postfix`: `up.example` goes to the sink, `nobody@` is refused at RCPT, `refused@client.example` at
MAIL, DATA for a message with the one recipient `latefail@`, other domains at RCPT.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.against import programs
from tests.against.deadline import answers, ended, free_port, wait_until

CONFIGURATION = """\
exim_path = {binary}
primary_hostname = mx.up.example
spool_directory = {folder}/spool
log_file_path = {folder}/log/%s
pid_file_path = {folder}/spool/pid
log_selector = +all
domainlist relay_to_domains = up.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port} : {no_chunking}
disable_ipv6
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
smtp_max_synprot_errors = 1000
smtp_max_unknown_commands = 1000
smtp_accept_max_nonmail = 1000
smtp_banner = mx.up.example ESMTP Exim
message_size_limit = 50M
check_spool_space = 0
remote_max_parallel = 4
bounce_return_message = false
timeout_frozen_after = 1m
tls_advertise_hosts = *
tls_certificate = {folder}/key-and-certificate.pem
tls_privatekey = {folder}/key-and-certificate.pem
chunking_advertise_hosts = ${{if eq{{$received_port}}{{{no_chunking}}}{{}}{{*}}}}
dsn_advertise_hosts = *
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
acl_smtp_predata = predata
acl_smtp_data = data

begin acl
mail:
  deny senders = refused@client.example
       message = not from you
  accept
rcpt:
  deny recipients = nobody@up.example
       message = no such user
  accept domains = +relay_to_domains
         set acl_m_last = $local_part
  accept authenticated = *
  deny message = relay not permitted
predata:
  deny condition = ${{if and{{{{eq{{$acl_m_last}}{{latefail}}}}{{eq{{$recipients_count}}{{1}}}}}}}}
       message = not now
  accept
data:
  accept

begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = sink

begin transports
sink:
  driver = smtp
  port = {sink}
  allow_localhost
  hosts_avoid_tls = *
  hosts_try_chunking =

begin retry
* * F,1m,1s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{ann}}}}{{eq{{$auth3}}{{secret}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = ${{if and{{{{eq{{$auth1}}{{ann}}}}{{eq{{$auth2}}{{secret}}}}}}}}
  server_set_id = $auth1
"""


class Exim:
    """One running daemon: `port`, `no_chunking` that does not offer CHUNKING, and `log` for its main log."""

    def __init__(self, sink: int, certificate: bytes) -> None:
        programs.need_root("exim4")
        binary = programs.exim()
        self.port, self.no_chunking = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="exim-"))
        self.folder.chmod(0o755)
        user = pwd.getpwnam("Debian-exim")
        for name in ("spool", "log"):
            (self.folder / name).mkdir(mode=0o750)
            os.chown(self.folder / name, user.pw_uid, user.pw_gid)
        pem = self.folder / "key-and-certificate.pem"
        pem.write_bytes(certificate)
        os.chown(pem, user.pw_uid, user.pw_gid)
        pem.chmod(0o600)
        self.log = self.folder / "log/main"
        configuration = self.folder / "configuration"
        configuration.write_text(CONFIGURATION.format_map(vars(self) | {"binary": binary, "sink": sink}))
        # -bdf: stay in the foreground; -q would start queue runners, which nothing here needs.
        self._daemon = subprocess.Popen(
            [binary, "-bdf", "-C", str(configuration)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(lambda: answers(self.port), "Exim's port")

    def close(self) -> None:
        """Stop, and remove all that it wrote."""
        ended(self._daemon)
        shutil.rmtree(self.folder, ignore_errors=True)
