"""The verbs; the only place that prints.

Exit codes: 0 good, 2 usage, 69 the upstream cannot be reached, 78 bad configuration, or a start refused (sysexits.h).
What a verb needs is imported when it runs, so that `--help` answers at once.
"""

from smtpguard.cli.command import main

__all__ = ["main"]
