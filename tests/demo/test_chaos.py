"""The crowd: reproducible by its seed, and every kind of client is there."""

from collections import Counter, defaultdict

from smtpguard.demo.chaos import FIRST_HOST, HOSTS, KINDS, stream
from smtpguard.demo.stage import Options, staged
from smtpguard.smtp import CATALOGUE

EVERY_KIND = 600
"""Sessions among which each kind occurs."""

RULES = {
    "RCPT before MAIL": {"SG102"},
    "DATA or BDAT without MAIL": {"SG103"},
    "DATA although every recipient was refused": {"SG104"},
    "MAIL inside a transaction": {"SG105"},
    "no EHLO, no HELO": {"SG101", "SG102", "SG103"},
    "other commands between chunks": {"SG106"},
    "BDAT after HELO": {"SG107"},
    "pipelines without being asked": {"SG202"},
    "speaks before the greeting": {"SG201"},
    "claims to be another host": {"SG405"},
    "ends lines with a bare LF": {"SG301"},
    "NUL in a command": {"SG302"},
    "smuggles a second message": {"SG304", "SG305"},
    "speaks another protocol": {"SG401", "SG402", "SG403"},
    "never gives up": {"SG102", "SG601"},
    "good": set[str](),
}


def test_a_seed_is_a_crowd() -> None:
    """The same seed draws the same sessions, a longer crowd begins with the shorter one, another seed draws others."""
    assert list(stream(1, 50)) == list(stream(1, 80))[:50]
    assert list(stream(1, 50)) != list(stream(2, 50))


def test_the_crowd_is_mixed() -> None:
    """Every kind comes, most of them bad; hosts are addresses of loopback, and some are much busier than others."""
    crowd = list(stream(1, EVERY_KIND))
    kinds = Counter(each.title for each in crowd)
    assert kinds.keys() == {title for title, _, _ in KINDS} | {"good"}
    assert 0.05 < kinds["good"] / EVERY_KIND < 0.15
    hosts = Counter(each.host for each in crowd)
    assert hosts.keys() <= set(range(FIRST_HOST, FIRST_HOST + HOSTS))
    assert hosts.most_common(1)[0][1] > 3 * EVERY_KIND / HOSTS


async def test_the_same_findings_twice() -> None:
    """Two runs of a seed find the same by rule and host, though the sessions overlap otherwise each time."""
    counts = []
    for _ in range(2):
        async with staged(Options()) as stage:
            played = await stage.play_chaos(stream(7, 120))
            assert [each.trouble for each in played if each.trouble] == []
            counts.append(stage.by_rule(played))
    assert counts[0] == counts[1]
    assert counts[0].total() > 100


async def test_each_kind_breaks_its_rules() -> None:
    """What the guard finds about a kind of client is what the kind's name says, and all of it occurs; nothing else."""
    assert {rule for rules in RULES.values() for rule in rules} <= CATALOGUE.keys()
    found = defaultdict[str, set[str]](set)
    async with staged(Options()) as stage:
        played = await stage.play_chaos(stream(1, EVERY_KIND))
        clients = Counter((each.host, each.port) for each in played)
        for each in played:
            # A port that came back within the run belongs to two clients: neither's findings can be told apart.
            if clients[each.host, each.port] == 1:
                found[each.session.title] |= {rule for rule, _ in stage.by_rule([each])}
    assert dict(found) == RULES
