"""Builds the rooms from a Config and runs them: listeners, probe, signals, the end.

guard        one running smtpguard                 probe   would UPSTREAM relay for strangers through us?
startup      what must be right before the start   descriptors  how many sessions the machine carries
"""

from smtpguard.service.guard import serve
from smtpguard.service.startup import StartupError

__all__ = ["StartupError", "serve"]
