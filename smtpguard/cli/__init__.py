"""The verbs; the only place that prints.

Exit codes: 0 good, 2 usage, 69 upstream or service not reachable, 75 try again, 78 bad configuration (sysexits.h).
What a verb needs is imported when it runs, so that `--help` answers at once.
"""

from smtpguard.cli.command import main

__all__ = ["main"]
