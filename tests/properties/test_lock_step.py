"""A client that hears every reply before it goes on: it is blamed for what it does, and cuts change nothing."""

from hypothesis import given
from hypothesis import strategies as st

from smtpguard.smtp import Finding
from tests.model import CLIENT, FakeUpstream, Manner
from tests.properties.driver import Play, pieces, quarrel
from tests.properties.scripts import Unit, manners, scripts, unit
from tests.properties.test_sessions import POLICIES, policies

sizes = st.lists(st.integers(1, 30), max_size=20)

EVERY_LINE_A_VIOLATION = [
    (unit("MAIL FROM:<early@client.example>\r\n"), "SG101"),
    (unit("RCPT TO:<early@mx.example>\r\n"), "SG102"),
    (unit("DATA early\r\n"), "SG103"),
    (unit("BDAT 6 LAST\r\nearly\n"), "SG103"),
    (unit("BURL imap://early LAST\r\n"), "SG103"),
]


def talk(script: list[Unit], manner: Manner, policy: str, cut: list[int]) -> Play:
    """Play a client in lock-step."""
    play = Play(POLICIES[policy].policy, FakeUpstream(manner))
    play.lock_step(script, pieces(cut))
    return play


@given(scripts(), manners(permissive=True), policies, sizes)
def test_the_model_agrees(script: list[Unit], manner: Manner, policy: str, cut: list[int]) -> None:
    """Lock-step sessions, cut anywhere, against the model."""
    play = talk(script, manner, policy, cut)
    words = quarrel(play, play.model(POLICIES[policy].terms))
    assert not words, f"{words}\n{play.steps}"


def plain(finding: Finding) -> tuple[object, ...]:
    """Return what a finding says, its place in the session included."""
    return (
        finding.rule.id,
        finding.verdict,
        finding.consequence,
        finding.cause,
        finding.state,
        finding.verb,
        finding.line,
        finding.expected,
        finding.previous,
        finding.answer,
        finding.forwarded,
        finding.sequence,
        finding.violations,
    )


def in_pieces_alike(script: list[Unit]) -> bool:
    """Tell whether a unit's octets are one line or one content, so that a cut inside it makes nothing "read ahead"."""
    return all(one.octets.count(b"\n") <= 1 or one.only_after == 354 or one.octets[:4] == b"BDAT" for one in script)


@given(scripts(trapped=False).filter(in_pieces_alike), manners(permissive=True), policies, sizes)
def test_cuts_change_nothing(script: list[Unit], manner: Manner, policy: str, cut: list[int]) -> None:
    """Octets, replies and findings are the same whole and in pieces."""
    whole, cut_up = talk(script, manner, policy, []), talk(script, manner, policy, cut)
    assert cut_up.up == whole.up
    assert cut_up.down == whole.down
    assert [plain(each) for each in cut_up.findings] == [plain(each) for each in whole.findings]
    assert cut_up.session.over == whole.session.over


@given(st.sampled_from(EVERY_LINE_A_VIOLATION), manners(whims=0), sizes)
def test_a_violation_never_reaches_upstream(line: tuple[Unit, str], manner: Manner, cut: list[int]) -> None:
    """In enforce the line is answered 503 and stays here; with the guard taken out the same line goes through."""
    bad, rule = line
    guarded = talk([bad, unit("NOOP\r\n")], manner, "standard", cut)
    assert guarded.up == b"NOOP\r\n"
    assert rule in [each.rule.id for each in guarded.findings if not each.consequence]
    assert b"503 5.5.1 " in guarded.down
    assert not guarded.session.over
    if bad.octets[:4] != b"BDAT":
        # BDAT without CHUNKING is refused in every mode (SG107).
        open_door = talk([bad, unit("NOOP\r\n")], manner, "guard taken out", cut)
        assert open_door.up == bad.octets + b"NOOP\r\n"
        assert rule in [each.rule.id for each in open_door.findings]


@given(scripts(), manners(permissive=True), sizes)
def test_what_is_refused_is_not_forwarded(script: list[Unit], manner: Manner, cut: list[int]) -> None:
    """What was answered says "not forwarded"; UPSTREAM gets CLIENT's octets in their order, and no others."""
    play = talk(script, manner, "standard", cut)
    answered = [each for each in play.findings if each.answer is not None]
    assert not [each for each in answered if each.forwarded and each.rule.id != "SG204"]
    said = iter(b"".join(step.octets for step in play.steps if step.side == CLIENT))
    assert all(octet in said for octet in play.up)
