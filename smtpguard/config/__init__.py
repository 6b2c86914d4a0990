"""TOML and options -> one frozen `Config`; all mistakes at once, each with its place, key and cure.

`load` is the way in. `lines` finds where a key stands, `layers` reads the sources and lays them over each other,
`model` holds the settings with their defaults and descriptions, `address` and `values` read single values, `wording`
turns what is wrong into `mistakes`. This room opens no socket and changes nothing on the machine; ports and
descriptors are the service's.
"""

from smtpguard.config.address import Address, parse_address
from smtpguard.config.load import Flags, load
from smtpguard.config.mistakes import ConfigError, Mistake
from smtpguard.config.model import (
    AuditSettings,
    Config,
    IdentitySettings,
    LimitSettings,
    LogFormat,
    LogLevel,
    LogSettings,
    Mode,
    PolicySettings,
    TimeoutSettings,
    TlsSettings,
)

__all__ = [
    "Address",
    "AuditSettings",
    "Config",
    "ConfigError",
    "Flags",
    "IdentitySettings",
    "LimitSettings",
    "LogFormat",
    "LogLevel",
    "LogSettings",
    "Mistake",
    "Mode",
    "PolicySettings",
    "TimeoutSettings",
    "TlsSettings",
    "load",
    "parse_address",
]
