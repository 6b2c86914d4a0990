"""From the configuration to doors and ways."""

from smtpguard.config import Address, Config, IdentitySettings, ListenerSettings, Mode, PolicySettings
from smtpguard.service.plan import plan

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
    assert first.route.first is way.upstream
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
    assert str(made.doors["audit"].route.first) == str(OTHER)
