"""The settings: defaults, and what the engine is told of them."""

import pydantic
import pytest

from smtpguard.config import (
    Address,
    AddressPrivacy,
    Arrival,
    Choice,
    ClientPrivacy,
    Config,
    Mode,
    OnFailure,
    Send,
)
from smtpguard.config.wording import field_at, fields_of, inner_table, settings
from smtpguard.smtp import Profile, TlsMode, TranscriptMode

ADDRESSES = {"listen": (Address("127.0.0.1", 25),), "upstream": (Address("127.0.0.1", 2525),)}

DEFAULTS: dict[str, object] = {
    "upstream-choice": Choice.FAILOVER,
    "user": None,
    "group": None,
    "policy.mode": Mode.ENFORCE,
    "policy.profile": Profile.STANDARD,
    "policy.rules": {},
    "policy.reply-rule-id": True,
    "policy.unsafe-forwarded-verbs": frozenset(),
    "tls.mode": TlsMode.PASS_THROUGH,
    "timeouts.connect": 10,
    "timeouts.greeting": 300,
    "timeouts.command": 300,
    "timeouts.reply": 330,
    "timeouts.content": 180,
    "timeouts.verdict": 900,
    "timeouts.write": 180,
    "timeouts.session": 3600,
    "timeouts.opaque": 600,
    "limits.sessions": None,
    "limits.sessions-per-client": 200,
    "limits.violations": 20,
    "limits.empty-commands": 100,
    "limits.command-line": 4096,
    "audit.directory": None,
    "audit.retention-days": 90,
    "audit.retention-size": 2_000_000_000,
    "audit.on-failure": OnFailure.CONTINUE,
    "audit.transcript": TranscriptMode.ON_FINDING,
    "audit.transcript-always": (),
    "audit.transcript-never": (),
    "privacy.addresses": AddressPrivacy.KEEP,
    "privacy.client-ip": ClientPrivacy.KEEP,
    "log.level": "info",
    "log.format": "text",
    "log.target": "stdout",
    "identity.accept-proxy-from": (),
    "identity.arrival": Arrival.DIRECT,
    "identity.send": Send.NONE,
    "identity.i-know-this-is-an-open-relay": False,
}


def plain(**changes: object) -> Config:
    """Build a Config from code."""
    return Config.model_validate(ADDRESSES | changes)


def test_defaults() -> None:
    """Each setting has the default that the design gives it, and there is no other setting."""
    config = plain()
    found = {}
    for path in settings(Config):
        value: object = config
        for key in path:
            value = getattr(value, str(key).replace("-", "_"))
        found[".".join(map(str, path))] = value
    for key in ("log.level", "log.format"):
        found[key] = getattr(found[key], "value", None)
    assert found == DEFAULTS | {"listen": ADDRESSES["listen"], "upstream": ADDRESSES["upstream"]}


def test_every_setting_is_described() -> None:
    """Each setting says in one sentence what it is."""
    for path in settings(Config):
        assert (field_at(path).description or "").endswith("."), path


def test_tables() -> None:
    """The tables are those of the file."""
    tables = [key for key, field in fields_of(Config).items() if inner_table(field)]
    assert tables == ["policy", "tls", "timeouts", "limits", "audit", "privacy", "log", "identity"]


def test_frozen() -> None:
    """A Config does not change."""
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        plain().upstream = (Address("192.0.2.1", 25),)
