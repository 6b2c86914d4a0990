"""Listeners: what each is told of common and own settings."""

from dataclasses import replace
from pathlib import Path

from smtpguard.config import (
    Address,
    AuditSettings,
    Config,
    LimitSettings,
    ListenerSettings,
    Mode,
    PolicySettings,
    TlsSettings,
    listeners_of,
    session_policy,
    transcript_exceptions,
)
from smtpguard.smtp import CATALOGUE, Limits, Policy, Profile, TlsMode, TranscriptMode, Verdict, policy_for
from tests.config.test_model import plain

HERE, THERE, MX, INSIDE = (Address(f"192.0.2.{number}", 25) for number in range(1, 5))


def policy_of(config: Config) -> Policy:
    """Return what the engine is told for the first listener."""
    return session_policy(listeners_of(config)[0], config.limits, config.audit)


def test_short_form() -> None:
    """Each address of `listen` is a listener of that name, with the common settings."""
    config = Config(listen=(HERE, THERE), upstream=(MX, INSIDE))
    assert [(each.name, each.addresses, each.upstreams, each.key) for each in listeners_of(config)] == [
        ("192.0.2.1:25", (HERE,), (MX, INSIDE), "listen"),
        ("192.0.2.2:25", (THERE,), (MX, INSIDE), "listen"),
    ]
    assert all(each.policy is config.policy for each in listeners_of(config))


def test_tables() -> None:
    """A table has its own settings, and the common upstream where it names none."""
    own = ListenerSettings(address=(HERE, THERE), policy=PolicySettings(mode=Mode.OBSERVE))
    other = ListenerSettings(address=(MX,), upstream=(INSIDE,))
    config = Config(upstream=(MX,), listener={"public": own, "inside": other})
    public, inside = listeners_of(config)
    assert (public.name, public.addresses, public.upstreams) == ("public", (HERE, THERE), (MX,))
    assert public.key == "listener.public.address"
    assert session_policy(public, config.limits, config.audit).observing
    assert (inside.name, inside.upstreams) == ("inside", (INSIDE,))
    assert not session_policy(inside, config.limits, config.audit).observing


def test_default_policy() -> None:
    """The engine's default is ours, where there is an audit for the transcripts."""
    assert policy_of(plain(audit=AuditSettings(directory=Path("audit")))) == policy_for()
    assert policy_of(plain()) == replace(policy_for(), transcript=TranscriptMode.NEVER)


def test_transcripts() -> None:
    """The mode reaches the engine; of the networks with a mode of their own the narrowest stands first."""
    networks = {"transcript_always": ("192.0.2.0/24", "192.0.2.7"), "transcript_never": ("192.0.2.0/28", "::/0")}
    audit = AuditSettings.model_validate({"directory": "audit", "transcript": "always", **networks})
    assert policy_of(plain(audit=audit)).transcript is TranscriptMode.ALWAYS
    assert [(str(network), mode.value) for network, mode in transcript_exceptions(audit)] == [
        ("192.0.2.7/32", "always"), ("192.0.2.0/28", "never"), ("192.0.2.0/24", "always"), ("::/0", "never"),
    ]  # fmt: skip
    assert transcript_exceptions(AuditSettings.model_validate(networks)) == ()


def test_policy() -> None:
    """All that the engine needs to know reaches it."""
    config = plain(
        policy=PolicySettings(
            mode=Mode.OBSERVE,
            profile=Profile.STRICT,
            rules={"SG105": Verdict.OFF},
            reply_rule_id=False,
            unsafe_forwarded_verbs=frozenset({b"XCLIENT"}),
        ),
        tls=TlsSettings(mode=TlsMode.HIDE),
        limits=LimitSettings(violations=3, empty_commands=0, command_line=512),
    )
    strict = policy_for(Profile.STRICT, observing=True)
    rows = {rule: ruling for rule, ruling in strict.before_auth.items() if rule.id != "SG105"}
    policy = policy_of(config)
    assert {rule: ruling for rule, ruling in policy.before_auth.items() if rule.id != "SG105"} == rows
    assert policy.before_auth == policy.after_auth
    assert policy.ruling(CATALOGUE["SG105"], authenticated=False).enforced is Verdict.OFF
    assert policy == Policy(
        before_auth=policy.before_auth,
        after_auth=policy.after_auth,
        observing=True,
        tls_mode=TlsMode.HIDE,
        limits=Limits(violations=3, empty_commands=0, command_line=512),
        reply_rule_id=False,
        transcript=TranscriptMode.NEVER,
        forwarded_words=frozenset({b"XCLIENT"}),
    )
