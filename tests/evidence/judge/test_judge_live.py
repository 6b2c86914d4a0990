"""A live guard's session, recorded at CLIENT's wire and judged again: the very same findings.

What cannot be equal is left out by name, with its reason.
"""

import os
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smtpguard.evidence.judge.judge import Item, Judged, Piece, judge
from smtpguard.smtp import Finding, Output, Side
from tests.model import FakeUpstream, Manner
from tests.properties.driver import NOTES_KEPT, Play, pieces
from tests.properties.scripts import Unit, cuts, manners, scripts
from tests.properties.test_sessions import POLICIES

ENFORCING = st.sampled_from([name for name in POLICIES if "observe" not in name])
UNSEEN = frozenset({"SG504"})
"""Delivery uncertain: whether CLIENT could be told does not stand on its wire."""

EXAMPLES = 150 * (50 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 1)
many = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), print_blob=True)

Shown = tuple[str, bytes, int, str, str, bool]


@dataclass
class Recorded(Play):
    """A session whose CLIENT side is recorded."""

    record: list[Item] = field(default_factory=list)
    seen: int = 0

    def take(self, out: Output) -> None:
        """Write down what CLIENT sent, then what it heard."""
        for step in self.steps[self.seen :]:
            if step.side == "client" and step.octets:
                self.record.append(Piece(0.0, Side.CLIENT, step.octets))
        self.seen = len(self.steps)
        down = b"".join(bytes(each) for each in out.down)
        if down:
            self.record.append(Piece(0.0, Side.UPSTREAM, down))
        super().take(out)


def shown(finding: Finding) -> Shown:
    """Return what must be the same; the rest tells who answered, which differs by nature."""
    return (
        finding.rule.id,
        finding.line,
        finding.sequence,
        finding.cause.value,
        finding.enforced.value,
        finding.consequence,
    )


def compare(play: Recorded, judged: Judged) -> None:
    """Compare the findings of the live session with those of its record."""
    live = [shown(each) for each in play.findings if each.rule.id not in UNSEEN]
    again = [shown(each.finding) for each in judged.findings if each.finding.rule.id not in UNSEEN]
    # Of what is only noted 20 become findings; what a live guard refuses is recorded each time.
    full = {rule for rule in {each[0] for each in live} if sum(one[0] == rule for one in again) >= NOTES_KEPT}
    live, again = ([each for each in side if each[0] not in full] for side in (live, again))
    if any(each[0] == "SG305" and each[4] == "close" for each in live):
        # The guard closed at the first bare newline; the judge reads what the record holds of that piece.
        again = [each for each in again if each[0] != "SG304"]
    if "SG602" in (rules := {each[0] for each in live}):
        # The guard closed before it looked further; in mode observe the same line is forwarded, and noted for more.
        again = [each for each in again if each in live]
    if "SG502" in rules or play.down.rpartition(b"\r\n")[0].rpartition(b"\r\n")[2].startswith(b"421"):
        # In one breath with the reply before: whether a line that was held had been judged the wire cannot tell, and
        # a doubt is no finding.
        assert ("SG502" in rules) == ("SG502" in {each[0] for each in again})
        again = [each for each in again if each[0] != "SG502"]
        live = [each for each in live if each in again]
    assert again == live, (live, again, play.record)


@many
@given(scripts(), manners(rude=True, permissive=True), ENFORCING, cuts, st.booleans())
def test_a_streaming_client(
    script: list[Unit], manner: Manner, policy: str, schedule: list[int], client_first: bool
) -> None:
    """A client that sends all at once, however cut, to an upstream that does what it likes."""
    play = Recorded(POLICIES[policy].policy, FakeUpstream(manner))
    play.stream(b"".join(one.octets for one in script), schedule, client_first=client_first)
    compare(play, judge(play.record, POLICIES[policy].policy, start=True))


@many
@given(scripts(), manners(rude=True, permissive=True), ENFORCING, st.lists(st.integers(1, 40), max_size=4))
def test_a_client_in_lock_step(script: list[Unit], manner: Manner, policy: str, sizes: list[int]) -> None:
    """A client that hears every reply before it goes on."""
    play = Recorded(POLICIES[policy].policy, FakeUpstream(manner))
    play.lock_step(script, pieces(sizes))
    compare(play, judge(play.record, POLICIES[policy].policy, start=True))
