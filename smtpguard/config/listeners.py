"""What each listener is told: the settings of one listener, common and own ones laid together.

listen = [A, B]      two listeners, named by their addresses, with the common settings
[[listener]]         one listener, named by its `name`, that may have settings of its own
"""

from collections.abc import Iterator
from dataclasses import dataclass

from smtpguard.config.address import Address
from smtpguard.config.model import (
    AuditSettings,
    Choice,
    Config,
    IdentitySettings,
    LimitSettings,
    Mode,
    PolicySettings,
    TlsSettings,
)
from smtpguard.config.values import Network
from smtpguard.smtp import Limits, Policy, TranscriptMode, table


@dataclass(frozen=True, slots=True)
class Listener:
    """Where clients come in, and what holds for them."""

    name: str
    """How log and audit call it."""
    addresses: tuple[Address, ...]
    upstreams: tuple[Address, ...]
    choice: Choice
    policy: PolicySettings
    tls: TlsSettings
    identity: IdentitySettings
    key: str
    """The key of its addresses, for messages: `listen`, `listener.public.address`."""


def listeners_of(config: Config) -> tuple[Listener, ...]:
    """Return all listeners, those of `listen` first."""
    return tuple(_listeners(config))


def _listeners(config: Config) -> Iterator[Listener]:
    for address in config.listen:
        yield Listener(
            name=str(address),
            addresses=(address,),
            upstreams=config.upstream,
            choice=config.upstream_choice,
            policy=config.policy,
            tls=config.tls,
            identity=config.identity,
            key="listen",
        )
    for name, own in config.listener.items():
        yield Listener(
            name=name,
            addresses=own.address,
            upstreams=own.upstream or config.upstream,
            choice=own.upstream_choice or config.upstream_choice,
            policy=own.policy,
            tls=own.tls,
            identity=own.identity,
            key=f"listener.{name}.address",
        )


def session_policy(listener: Listener, limits: LimitSettings, audit: AuditSettings) -> Policy:
    """Build what the engine needs to know of all this."""
    observing = listener.policy.mode is Mode.OBSERVE
    rulings = table(listener.policy.profile, observing=observing, changes=listener.policy.rules)
    return Policy(
        before_auth=rulings,
        after_auth=rulings,
        observing=observing,
        tls_mode=listener.tls.mode,
        limits=Limits(
            violations=limits.violations,
            empty_commands=limits.empty_commands,
            command_line=limits.command_line,
        ),
        reply_rule_id=listener.policy.reply_rule_id,
        # Where nothing is written nobody reads it.
        transcript=audit.transcript if audit.directory else TranscriptMode.NEVER,
        forwarded_words=listener.policy.unsafe_forwarded_verbs,
    )


def transcript_exceptions(audit: AuditSettings) -> tuple[tuple[Network, TranscriptMode], ...]:
    """Return the networks of clients for whom another mode than `audit.transcript` holds, the longest prefix first."""
    always = [(network, TranscriptMode.ALWAYS) for network in audit.transcript_always]
    never = [(network, TranscriptMode.NEVER) for network in audit.transcript_never]
    rows = sorted([*always, *never], key=lambda row: row[0].prefixlen, reverse=True)
    return tuple(rows) if audit.directory else ()
