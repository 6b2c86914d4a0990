"""HAProxy, at either side of the guard or of a socket of the test."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.against.programs import program

SETTINGS = """\
global
    nbthread 1
    maxconn 20
defaults
    mode tcp
    timeout connect 10s
    timeout client 1m
    timeout server 1m
listen smtp
"""


@contextmanager
def running(folder: Path, lines: Sequence[str], descriptors: Sequence[int] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """Run HAProxy with these lines in its one `listen` section, and these descriptors handed on; or skip the test."""
    settings = folder / "haproxy.cfg"
    settings.write_text(SETTINGS + "".join(f"    {line}\n" for line in lines))
    process = subprocess.Popen(
        [program("haproxy"), "-db", "-q", "-f", str(settings)],
        pass_fds=descriptors, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", "")},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
