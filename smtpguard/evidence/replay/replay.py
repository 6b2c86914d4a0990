"""Recorded sessions under other rules: which findings would get another verdict, by session, host and rule.

Each session was ruled on once (`now`) and is ruled on again (`proposed`). For a capture or a pasted transcript both
come from the engine (`judge`), under the rules of today and the proposed ones. For a session of the audit `now` is
what was recorded; where its transcript is whole the engine plays it under the proposed rules, else the proposed
verdicts are looked up for the findings that were recorded, and what would be found besides stays unknown.

One play serves both sets of rules where they differ in verdicts only: it is judged so that nothing is off that either
side wants to know of, and each side then says what it makes of each finding. Where they differ in a limit or a
forbidden word the session is played twice.

Two findings are the same where they are of the same rule and the same number among those of this rule in the session.
A finding that one side does not have is `off` there. Verdicts are those of the mode: in mode observe what enforce would
refuse is a note. Behind an answer that closes a session nothing is reached any more: `unreached`. What CLIENT would
have done after another answer than the one it got, nobody can know; it is taken to have done the same.

Consequences (RFC 2920 §3.1) are nobody's fault, so they are counted and not compared. Deadlines, the number of
sessions and penalties (SG603 to SG607) are not played: their findings are those that the record itself tells of.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final, Literal, NamedTuple

from smtpguard.evidence.judge.judge import Judge, Judged, Terms, terms_of
from smtpguard.record import printable
from smtpguard.smtp import CATALOGUE, Finding, Policy, Rule, TranscriptMode, Verb, Verdict
from smtpguard.smtp import Ruling as PolicyRuling

OFF: Final = "off"
UNREACHED: Final = "unreached"

LINE_SHOWN: Final = 200
"""Characters of a line at fault."""

Seen = Literal["whole", "unfinished", "until-starttls", "until-hole", "mid-stream", "by-table", "nothing"]
"""How far a session was judged: to its end; to where the record ends; to STARTTLS; to a hole in the record; not from
its beginning; recorded findings only; not at all."""


class Ruled(NamedTuple):
    """A finding and its verdict under one set of rules."""

    rule: str
    """Id."""
    verdict: str
    """off, note, refuse, close, or `UNREACHED`."""
    command: int
    """Number of the command in the session, from 1; 0: none."""
    line: str
    """Redacted and escaped; empty where no line is at fault."""
    times: int = 1
    """Of what is only noted 20 of a rule and session are kept one by one; the last of them stands for the rest."""


class Ruling(NamedTuple):
    """One session under one set of rules."""

    findings: tuple[Ruled, ...] = ()
    consequences: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One session, ruled on twice."""

    source: str
    """File or directory it is from."""
    name: str
    """The session's id, or its number in a capture."""
    host: str
    """CLIENT's address; empty where a transcript does not tell."""
    port: int
    at: float | None
    """When it began, seconds since the epoch."""
    listener: str = ""
    seen: Seen
    remark: str = ""
    """What else must be known: where the hole is, that copies were conflicting."""
    now: Ruling
    proposed: Ruling


class Change(NamedTuple):
    """A finding with both verdicts."""

    now: Ruled
    proposed: Ruled
    times: int = 1

    @property
    def changed(self) -> bool:
        """True if the verdicts differ."""
        return self.now.verdict != self.proposed.verdict


@dataclass(frozen=True, slots=True)
class Book:
    """One set of rules: a policy for each listener, one at least; the first holds where none of the name is."""

    policies: Mapping[str, Policy]

    def policy(self, listener: str) -> Policy:
        """Return the policy of a listener, or of the first one."""
        found = self.policies.get(listener)
        return next(iter(self.policies.values())) if found is None else found


# --- rulings ----------------------------------------------------------------------------------------------------------


def ruling_of(judged: Judged, policy: Policy) -> Ruling:
    """Return what the engine found, with the verdicts of a policy, whatever policy it was judged by."""
    ruled, consequences, closed = list[Ruled](), 0, None
    for found in judged.findings:
        finding = found.finding
        verdict = _verdict(finding, policy)
        if verdict is Verdict.OFF:
            continue
        if finding.consequence:
            consequences += 1
            continue
        # All charges against the line that closed were found before it did.
        reached = closed is None or found.octet == closed
        word = verdict.value if reached else UNREACHED
        ruled.append(Ruled(finding.rule.id, word, finding.sequence, printable(finding.line, LINE_SHOWN)))
        if verdict is Verdict.CLOSE and closed is None:
            closed = found.octet
    kept = Counter(found.finding.rule.id for found in judged.findings if not found.finding.consequence)
    return Ruling(tuple(with_the_rest(ruled, Counter(judged.ended.rules) - kept)), consequences)


def with_the_rest(ruled: list[Ruled], rest: Mapping[str, int]) -> list[Ruled]:
    """Let the last finding of each rule stand for those that were counted and not kept."""
    told = set[str]()
    for place in range(len(ruled) - 1, -1, -1):
        rule = ruled[place].rule
        if rule in rest and rule not in told:
            told.add(rule)
            ruled[place] = ruled[place]._replace(times=1 + rest[rule])
    return ruled


def _verdict(finding: Finding, policy: Policy) -> Verdict:
    """Return what a policy makes of a finding of the engine in mode observe."""
    if finding.verdict in (Verdict.REFUSE, Verdict.CLOSE):
        # In mode observe only what is safe is carried out, and that no policy can change.
        return finding.verdict
    verdict = policy.ruling(finding.rule, authenticated=finding.authenticated).verdict
    # UPSTREAM waits for the next line of an exchange and for no other, so it cannot be refused alone.
    return Verdict.CLOSE if verdict is Verdict.REFUSE and finding.verb is Verb.SASL else verdict


def widened(policy: Policy) -> Policy:
    """Return a policy with notes where rules are off."""
    note = dict.fromkeys(CATALOGUE.values(), PolicyRuling(Verdict.NOTE, Verdict.NOTE))
    return replace(
        policy,
        before_auth=_wide(policy.before_auth, note),
        after_auth=_wide(policy.after_auth, note),
        transcript=TranscriptMode.NEVER,
    )


def in_common(now: Policy, proposed: Policy) -> Policy | None:
    """Return the policy by which one play serves both; None where they differ in more than verdicts."""
    if (now.limits, now.forwarded_words) != (proposed.limits, proposed.forwarded_words):
        return None
    # The verdicts of today: they say best what an answer of a guard in the record was for.
    return replace(
        now,
        before_auth=_wide(now.before_auth, proposed.before_auth),
        after_auth=_wide(now.after_auth, proposed.after_auth),
    )


def _wide(now: Mapping[Rule, PolicyRuling], proposed: Mapping[Rule, PolicyRuling]) -> dict[Rule, PolicyRuling]:
    note = PolicyRuling(Verdict.NOTE, Verdict.NOTE)
    return {
        rule: note if ruling.enforced is Verdict.OFF and proposed[rule].enforced is not Verdict.OFF else ruling
        for rule, ruling in now.items()
    }


@dataclass(frozen=True, slots=True)
class Court:
    """Both sets of rules for one listener, and what a judge needs to serve them.

    Args:
        now: the rules of today.
        proposed: the other rules.
    """

    now: Policy
    proposed: Policy
    terms: tuple[Terms, ...]
    """One for both, or one for each."""

    @classmethod
    def of(cls, now: Policy, proposed: Policy) -> "Court":
        """Prepare it; it serves any number of sessions."""
        common = in_common(now, proposed)
        policies = (now, proposed) if common is None else (common,)
        quiet = (replace(policy, transcript=TranscriptMode.NEVER) for policy in policies)
        return cls(now, proposed, tuple(terms_of(policy) for policy in quiet))

    def judges(self, *, start: bool | None) -> tuple[Judge, ...]:
        """Return the judges of a session that begins."""
        return tuple([Judge(terms, start=start) for terms in self.terms])

    def rulings(self, judged: Sequence[Judged]) -> tuple[Ruling, Ruling]:
        """Return what both sets of rules make of what the judges found."""
        return ruling_of(judged[0], self.now), ruling_of(judged[-1], self.proposed)


def ruled_by_table(recorded: Iterable[Ruled], policy: Policy) -> tuple[Ruled, ...]:
    """Look the verdicts of recorded findings up; a rule that is not known any more keeps its verdict."""
    ruled = []
    for one in recorded:
        rule = CATALOGUE.get(one.rule)
        if rule is not None:
            one = one._replace(verdict=policy.ruling(rule, authenticated=False).verdict.value)  # noqa: PLW2901 - the same
        ruled.append(one)
    return tuple(ruled)


def pairs(played: Played) -> Iterator[Change]:
    """Yield each finding of a session with both verdicts, changed or not."""
    by_rule: dict[str, tuple[list[Ruled], list[Ruled]]] = {}
    for place, ruling in enumerate((played.now, played.proposed)):
        for one in ruling.findings:
            by_rule.setdefault(one.rule, ([], []))[place].append(one)
    for now, proposed in by_rule.values():
        yield from _aligned(now, proposed)


def _aligned(now: list[Ruled], proposed: list[Ruled]) -> Iterator[Change]:
    """Pair the findings of one rule by their numbers; the last one of a side may stand for several of the other."""
    spare = [sum(one.times for one in side) - len(side) for side in (now, proposed)]
    rest = max(spare[0] + len(now), spare[1] + len(proposed)) - max(len(now), len(proposed))
    both = list(zip_longest(now, proposed))
    for place, (old, new) in enumerate(both, 1):
        known = old or new
        old = old or _missing(now, spare[0] >= place - len(now), known)  # noqa: PLW2901 - the same side
        new = new or _missing(proposed, spare[1] >= place - len(proposed), known)  # noqa: PLW2901 - as above
        yield Change(old, new, 1 + (rest if place == len(both) else 0))


def _missing(side: list[Ruled], counted: bool, other: Ruled) -> Ruled:
    """Return what stands for a finding that a side did not keep, or does not have."""
    return other._replace(verdict=side[-1].verdict if counted and side else OFF)
