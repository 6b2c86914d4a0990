"""Finding -> verdict: profiles, observe, the administrator's changes, and the two tables before and after AUTH."""

from dataclasses import replace

import pytest

from smtpguard.smtp import CATALOGUE, Limits, Policy, Profile, Ruling, TlsMode, Verdict, policy_for, table

from .playbook import play
from .stages import AUTHENTICATED, EHLO, GREETED


@pytest.mark.parametrize("profile", Profile)
def test_observe_relaxes_all_but_the_safe_rules(profile: Profile) -> None:
    """In observe every refuse and close becomes a note that says what enforce would have done."""
    for rule, ruling in table(profile, observing=True).items():
        enforced = rule.verdicts[profile]
        answered = enforced in (Verdict.REFUSE, Verdict.CLOSE)
        verdict = Verdict.NOTE if answered and not rule.safe else enforced
        assert ruling == Ruling(verdict, enforced)
        assert ruling.answered == (answered and rule.safe)


@pytest.mark.parametrize("profile", Profile)
def test_enforce_gives_the_profile(profile: Profile) -> None:
    """In enforce the ruling is the catalogue's column, for every rule."""
    rulings = table(profile, observing=False)
    assert {rule.id: ruling.verdict for rule, ruling in rulings.items()} == {
        rule.id: rule.verdicts[profile] for rule in CATALOGUE.values()
    }
    assert policy_for(profile).before_auth == rulings


def test_changes() -> None:
    """A change takes the place of the profile's verdict, and observe relaxes it like any."""
    changes = {"SG101": Verdict.CLOSE, "SG102": Verdict.OFF}
    for observing in (False, True):
        rulings = table(Profile.STANDARD, observing=observing, changes=changes)
        assert rulings[CATALOGUE["SG101"]] == Ruling(Verdict.NOTE if observing else Verdict.CLOSE, Verdict.CLOSE)
        assert rulings[CATALOGUE["SG102"]] == Ruling(Verdict.OFF, Verdict.OFF)


def test_a_change_of_no_rule() -> None:
    """An unknown id is an error that names it."""
    with pytest.raises(ValueError, match="SG999 is no rule"):
        table(Profile.STANDARD, observing=False, changes={"SG999": Verdict.NOTE})


@pytest.mark.parametrize("rule_id", ["SG107", "SG205", "SG302", "SG303", "SG304", "SG306", "SG405"])
def test_a_change_of_a_safe_rule(rule_id: str) -> None:
    """Safe rules are not to be changed by a table of verdicts."""
    with pytest.raises(ValueError, match="safe"):
        table(Profile.LENIENT, observing=True, changes={rule_id: Verdict.NOTE})


def changed(**verdicts: Verdict) -> Policy:
    """Return the standard policy with verdicts changed."""
    rulings = table(Profile.STANDARD, observing=False, changes=verdicts)
    return replace(policy_for(), before_auth=rulings, after_auth=rulings)


def test_a_rule_switched_off_leaves_no_trace() -> None:
    """Off: forwarded, no record, and UPSTREAM's acceptance of it is no surprise either way."""
    play(EHLO + "C>U RCPT TO:<b@b.example>\nu>c 503 no", changed(SG102=Verdict.OFF))


def test_a_rule_set_to_close() -> None:
    """Close: our answer, then the end."""
    play(
        EHLO + "C> RCPT TO:<b@b.example>\nG< 503 5.5.1 SG102\n! SG102 close\n= violation", changed(SG102=Verdict.CLOSE)
    )


def test_a_note_set_to_refuse_and_close() -> None:
    """Rules that are notes by default have answers for an administrator who wants more."""
    ahead = GREETED + "C>U EHLO a\nC+ NOOP\nu>c 250-up\nu+c 250 PIPELINING\n"
    play(ahead + "G< 554 5.5.0 SG203\n! SG203 refuse", changed(SG203=Verdict.REFUSE))
    play(ahead + "G< 554 5.5.0 SG203\n! SG203 close\n= violation", changed(SG203=Verdict.CLOSE))


def test_another_table_after_auth() -> None:
    """Rulings change with the login, within the session."""
    policy = replace(policy_for(Profile.LENIENT), after_auth=table(Profile.STRICT, observing=False))
    bad = "NOOP\\n\\\n"
    play(EHLO + f"C>U {bad}u>c 250 Ok", policy)
    play(AUTHENTICATED + f"C> {bad}G< 500 5.5.2 SG301\n! SG301 refuse", policy)


def test_defaults() -> None:
    """The defaults of rules.md and design rule 12."""
    policy = policy_for()
    assert policy.limits == Limits(violations=20, empty_commands=100, command_line=4096, sasl_line=12288)
    assert (policy.tls_mode, policy.reply_rule_id, policy.observing) == (TlsMode.PASS_THROUGH, True, False)
    assert policy_for(observing=True).observing
