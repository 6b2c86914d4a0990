"""The verbs; the only place that prints.

Exit codes, those from 64 on of sysexits.h: 0 good, 1 something was found that was asked for, 2 usage, 65 the input is
not what it should be, 66 no such input, 69 the upstream or an extra is not there, 74 cannot be read or written, 78 bad
configuration, or a start refused.
What a verb needs is imported when it runs, so that `--help` answers at once.
"""

from smtpguard.cli.command import main

__all__ = ["main"]
