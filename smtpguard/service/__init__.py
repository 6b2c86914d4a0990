"""Builds the rooms from a Config and runs them: listeners, probe, signals, the end.

guard        one running smtpguard                    plan         doors and ways out of the Config
startup      what must be right before the start      descriptors  how many sessions the machine carries
account      whom to become when the ports are open   places       can log and evidence be written?
warden       keeps strangers from an upstream that    probe        would UPSTREAM relay for strangers through us?
             would relay for them                     interview    what UPSTREAM says of itself
activation   sockets of the service manager           notify       what the service manager hears
check        all of it beforehand, for `check`        holder       which program has a port?
"""

from smtpguard.service.guard import serve
from smtpguard.service.startup import StartupError

__all__ = ["StartupError", "serve"]
