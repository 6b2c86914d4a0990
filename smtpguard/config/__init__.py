"""TOML and options -> one frozen `Config`; all mistakes at once, each with its place, key and cure.

`load` is the way in. `lines` finds where a key stands, `layers` reads the sources and lays them over each other,
`renamed` knows old names, `model` holds the settings with their defaults and descriptions, `address` and `values` read
single values, `agreement` sees whether settings go together, `listeners` says what each listener is told, `wording`
turns what is wrong into `mistakes`, `describe` and `written` tell the settings to machines and people.

This room opens no socket and changes nothing on the machine; ports, accounts and descriptors are the service's.
"""

from smtpguard.config.address import Address, parse_address
from smtpguard.config.listeners import Listener, listeners_of, session_policy, transcript_exceptions
from smtpguard.config.load import DEFAULT_FILE, Flags, Loaded, default_file, load
from smtpguard.config.mistakes import ConfigError, Mistake
from smtpguard.config.model import (
    AddressPrivacy,
    Arrival,
    AuditSettings,
    Choice,
    ClientPrivacy,
    Config,
    IdentitySettings,
    LimitSettings,
    ListenerSettings,
    LogFormat,
    LogLevel,
    LogSettings,
    Mode,
    OnFailure,
    PolicySettings,
    PrivacySettings,
    Send,
    TimeoutSettings,
    TlsSettings,
)

__all__ = [
    "DEFAULT_FILE",
    "Address",
    "AddressPrivacy",
    "Arrival",
    "AuditSettings",
    "Choice",
    "ClientPrivacy",
    "Config",
    "ConfigError",
    "Flags",
    "IdentitySettings",
    "LimitSettings",
    "Listener",
    "ListenerSettings",
    "Loaded",
    "LogFormat",
    "LogLevel",
    "LogSettings",
    "Mistake",
    "Mode",
    "OnFailure",
    "PolicySettings",
    "PrivacySettings",
    "Send",
    "TimeoutSettings",
    "TlsSettings",
    "default_file",
    "listeners_of",
    "load",
    "parse_address",
    "session_policy",
    "transcript_exceptions",
]
