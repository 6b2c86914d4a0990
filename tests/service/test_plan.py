"""From the configuration to doors and ways."""

from dataclasses import replace
from ipaddress import ip_network

from smtpguard.config import (
    Address,
    AuditSettings,
    Choice,
    Config,
    IdentitySettings,
    ListenerSettings,
    Mode,
    PolicySettings,
    Send,
)
from smtpguard.service.plan import Plan, Planner
from smtpguard.smtp import TranscriptMode


def plan(config: Config) -> Plan:
    """Lay it out."""
    return Planner(config).plan()


ANYBODY, LOCAL, LOCAL6 = Address("0.0.0.0", 25), Address("127.0.0.1", 26), Address("::1", 27)
MX, OTHER = Address("127.0.0.1", 10025), Address("192.0.2.9", 25)


def test_listeners_share_their_way() -> None:
    """The same upstream behind two public listeners is one: resolved once, probed once."""
    second = Address("::", 25)
    made = plan(Config(listen=(ANYBODY, second), upstream=(MX,)))
    (way,) = made.ways
    assert (str(way.upstream), way.upstream.guarded, way.addresses) == (str(MX), True, [ANYBODY, second])
    first, other = made.doors.values()
    assert first.route is other.route
    assert first.route.first("192.0.2.7") is way.upstream
    assert list(made.doors) == ["0.0.0.0:25", "[::]:25"]


def test_strangers_have_a_way_of_their_own() -> None:
    """Who comes from this machine is not kept from an upstream that strangers must not reach."""
    made = plan(Config(listen=(ANYBODY, LOCAL, LOCAL6), upstream=(MX,)))
    assert [(way.upstream.guarded, way.upstream.admitted, way.addresses) for way in made.ways] == [
        (True, False, [ANYBODY]), (False, True, [LOCAL, LOCAL6]),
    ]  # fmt: skip


def test_who_knows_is_not_guarded() -> None:
    """The setting is each listener's own."""
    known = IdentitySettings(i_know_this_is_an_open_relay=True)
    listeners = {"a": ListenerSettings(address=(ANYBODY,), identity=known), "b": ListenerSettings(address=(OTHER,))}
    made = plan(Config(upstream=(MX,), listener=listeners))
    assert {tuple(way.addresses): way.upstream.guarded for way in made.ways} == {(ANYBODY,): False, (OTHER,): True}


def test_own_policy_and_upstreams() -> None:
    """Each door has its listener's policy, and its upstreams in their order."""
    own = ListenerSettings(address=(LOCAL,), upstream=(OTHER, MX), policy=PolicySettings(mode=Mode.OBSERVE))
    made = plan(Config(listen=(LOCAL6,), upstream=(MX,), listener={"audit": own}))
    assert {name: door.policy.observing for name, door in made.doors.items()} == {"[::1]:27": False, "audit": True}
    assert [str(way.upstream) for way in made.ways] == [str(MX), str(OTHER)]
    assert str(made.doors["audit"].route.first("192.0.2.7")) == str(OTHER)


def test_past_a_balancer_everybody_can_come() -> None:
    """A loopback listener that takes PROXY headers lets strangers in."""
    balanced = IdentitySettings(accept_proxy_from=(ip_network("127.0.0.0/8"),))
    made = plan(Config(listen=(LOCAL,), upstream=(MX,), identity=balanced))
    assert [way.upstream.guarded for way in made.ways] == [True]
    assert made.doors[str(LOCAL)].requires_header("127.9.9.9")
    assert not made.doors[str(LOCAL)].requires_header("192.0.2.1")
    assert not made.doors[str(LOCAL)].requires_header("::1")


def test_who_introduces_clients_is_asked_whether_they_arrive() -> None:
    """On loopback too; but not where the upstream sees the client itself."""
    found = {}
    for send in Send:
        made = plan(Config(listen=(ANYBODY, LOCAL), upstream=(MX,), identity=IdentitySettings(send=send)))
        found[send] = [way.upstream.guarded for way in made.ways]
    told = [True]
    assert found == {
        Send.NONE: [True, False], Send.PROXY_V1: told, Send.PROXY_V2: told, Send.XCLIENT: told,
        Send.TRANSPARENT: [False],
    }  # fmt: skip


def test_choice_and_introduction_are_the_listener_s() -> None:
    """Two listeners before the same upstreams share nothing where they choose or introduce in another way."""
    spread = ListenerSettings(address=(LOCAL,), upstream_choice=Choice.SPREAD)
    told = ListenerSettings(address=(LOCAL6,), identity=IdentitySettings(send=Send.PROXY_V2))
    made = plan(Config(listen=(Address("127.0.0.1", 28),), upstream=(MX, OTHER), listener={"a": spread, "b": told}))
    assert len(made.routes) == 3
    assert [(str(way.upstream), way.send) for way in made.ways] == [
        (str(MX), Send.NONE), (str(OTHER), Send.NONE), (str(MX), Send.PROXY_V2), (str(OTHER), Send.PROXY_V2),
    ]  # fmt: skip


def test_transcripts_by_network() -> None:
    """The door of each listener knows the networks with a mode of their own, the narrowest first, and who has none."""
    networks = {"transcript_always": ["192.0.2.0/24"], "transcript_never": ["192.0.2.8/29"]}
    audit = AuditSettings.model_validate({"directory": "audit", **networks})
    (door,) = plan(Config(listen=(ANYBODY,), upstream=(MX,), audit=audit)).doors.values()
    told = {ip: door.policy_for(ip) for ip in ("192.0.2.1", "192.0.2.9", "198.51.100.1", "2001:db8::1")}
    modes = [policy.transcript for policy in told.values()]
    common = TranscriptMode.ON_FINDING
    assert modes == [TranscriptMode.ALWAYS, TranscriptMode.NEVER, common, common]
    assert told["192.0.2.1"] == replace(door.policy, transcript=TranscriptMode.ALWAYS)
    (door,) = plan(Config(listen=(ANYBODY,), upstream=(MX,))).doors.values()
    assert door.exceptions == ()
