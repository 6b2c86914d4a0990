"""Whole sessions against the model: what UPSTREAM gets, what CLIENT hears, what is found, cut anywhere."""

from dataclasses import dataclass, replace

from hypothesis import event, given
from hypothesis import strategies as st

from smtpguard.smtp import CATALOGUE, Limits, Policy, Profile, Verdict, policy_for, table
from tests.model import FakeUpstream, Manner, Terms
from tests.properties.driver import Play, quarrel
from tests.properties.scripts import Unit, cuts, manners, scripts


@dataclass(frozen=True)
class Decided:
    """One policy, as the engine and as the model know it."""

    policy: Policy
    terms: Terms


def decided(profile: Profile, *, observing: bool = False) -> Decided:
    """Make the policy of a profile for both."""
    return Decided(policy_for(profile, observing=observing), Terms(profile.value, observing))


def guard_taken_out() -> Decided:
    """Make the policy in which every rule that is not safe is a note."""
    changes = {rule.id: Verdict.NOTE for rule in CATALOGUE.values() if not rule.safe and rule.id[2] in "1234"}
    rulings = table(Profile.STANDARD, observing=False, changes=changes)
    policy = Policy(before_auth=rulings, after_auth=rulings)
    return Decided(policy, Terms(changes=dict.fromkeys(changes, "note")))


def small_limits() -> Decided:
    """Make the standard policy with room for two violations and three empty commands."""
    limits = Limits(violations=2, empty_commands=3)
    return Decided(replace(policy_for(), limits=limits), Terms(violations=2, empty_commands=3))


POLICIES = {
    "standard": decided(Profile.STANDARD),
    "strict": decided(Profile.STRICT),
    "lenient": decided(Profile.LENIENT),
    "observe": decided(Profile.STANDARD, observing=True),
    "observe-strict": decided(Profile.STRICT, observing=True),
    "guard taken out": guard_taken_out(),
    "small limits": small_limits(),
}
policies = st.sampled_from(list(POLICIES))


def stream(script: list[Unit], manner: Manner, rules: Decided, schedule: list[int], *, client_first: bool) -> Play:
    """Play a client that sends all it has to say, whatever it hears."""
    play = Play(rules.policy, FakeUpstream(manner))
    play.stream(b"".join(one.octets for one in script), schedule, client_first=client_first)
    return play


def compare(play: Play, rules: Decided) -> None:
    """Ask the model, and fail where it disagrees."""
    outcome = play.model(rules.terms)
    event(f"stop: {outcome.stop}")
    for found in outcome.found:
        event(f"found: {found.rule}")
    words = quarrel(play, outcome)
    assert not words, f"{words}\n{outcome.stop} {play.steps}"


@given(scripts(), manners(), policies, cuts, st.booleans())
def test_a_streaming_client_and_a_mannerly_upstream(
    script: list[Unit], manner: Manner, policy: str, schedule: list[int], client_first: bool
) -> None:
    """CLIENT sends ahead of every reply, UPSTREAM keeps to the RFC and refuses at will."""
    rules = POLICIES[policy]
    compare(stream(script, manner, rules, schedule, client_first=client_first), rules)


@given(scripts(), manners(rude=True, permissive=True), policies, cuts, st.booleans())
def test_a_streaming_client_and_a_rude_upstream(
    script: list[Unit], manner: Manner, policy: str, schedule: list[int], client_first: bool
) -> None:
    """UPSTREAM answers twice, out of class, hangs up, says 421, and takes commands out of order."""
    rules = POLICIES[policy]
    compare(stream(script, manner, rules, schedule, client_first=client_first), rules)


@given(scripts(trapped=False), manners(), cuts, st.booleans())
def test_what_upstream_accepted_is_what_client_was_told(
    script: list[Unit], manner: Manner, schedule: list[int], client_first: bool
) -> None:
    """As many messages as UPSTREAM accepted, CLIENT heard of; no octet of another makes a message of its own."""
    play = stream(script, manner, POLICIES["standard"], schedule, client_first=client_first)
    heard = play.down.count(b"250 queued\r\n")
    unheard = play.unheard.count(b"250 queued\r\n")
    assert heard + unheard >= len(play.upstream.accepted)
    assert play.upstream.heard == play.up or play.upstream.closed
