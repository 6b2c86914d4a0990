"""CPU and memory of a process and its descendants, from the kernel.

A child that has ended takes its figures with it: a peer whose children come and go cannot be measured so.
"""

import time
from pathlib import Path
from typing import Final

QUIET: Final = 0.05
"""Seconds of a look for quiet."""

QUIET_CPU: Final = 1_000_000
"""Nanoseconds of CPU in such a look that still count as quiet."""

PATIENCE: Final = 5.0
"""Seconds to wait for quiet."""


def cpu(pid: int) -> int:
    """Return the CPU time, user and system of all threads, of a process tree so far, in nanoseconds."""
    return sum(time.clock_gettime_ns(_cpu_clock(each)) for each in tree(pid))


def pss(pid: int) -> int:
    """Return the proportional set size of a process tree in octets."""
    return sum(_pss(each) for each in tree(pid))


def tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return [pid, *(each for child in children for each in tree(child))]


def wait_quiet(pid: int, *, tick: float) -> None:
    """Wait one tick, the seconds after which the process does what it has put off, and then until it does nothing."""
    time.sleep(tick)
    before, end = cpu(pid), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(QUIET)
        now = cpu(pid)
        if now - before < QUIET_CPU:
            return
        before = now


def _cpu_clock(pid: int) -> int:
    """Return the id of a process's CPU clock, as clock_getcpuclockid(3) computes it on Linux (CPUCLOCK_SCHED is 2)."""
    return (~pid << 3) | 2


def _pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
