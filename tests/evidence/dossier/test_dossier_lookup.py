"""Whose host it is: by a real name server on loopback; the registries are a stand-in, as no test leaves this host."""

import threading
import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest

pytest.importorskip("dns", reason='pip install "smtpguard[report]"')
pytest.importorskip("publicsuffixlist", reason='pip install "smtpguard[report]"')

from smtpguard.evidence.dossier.lookup import NAMES_TRIED, Whereabouts, abuse_contacts, domain_of, inside, whereabouts
from tests.evidence.name_server import BROKEN, SILENT, Records, name_server

HOST = "198.51.100.7"
REVERSE = "7.100.51.198.in-addr.arpa."
HOST6 = "2001:db8::7"
REVERSE6 = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
GOOD = {(REVERSE, "PTR"): ["Mail.Client.example."], ("Mail.Client.example.", "A"): [HOST]}


def asked(records: Records, host: str = HOST, bound: float = 5.0) -> Whereabouts:
    """Ask a server that has these records."""
    with name_server(records) as server:
        return whereabouts(ip_address(host), server, bound)


def test_forward_confirmed() -> None:
    """A name whose address is the host's counts, and its registered domain is whom to write to."""
    assert asked(GOOD) == Whereabouts(name="mail.client.example", domain="client.example")


def test_ipv6() -> None:
    """An IPv6 address is asked for AAAA."""
    records = {(REVERSE6, "PTR"): ["mx.client.example."], ("mx.client.example.", "AAAA"): ["2001:db8:0::7"]}
    assert asked(records, HOST6) == Whereabouts(name="mx.client.example", domain="client.example")


def test_of_several_names_the_one_that_leads_back() -> None:
    """Names that do not lead back, or are none, are passed over."""
    records = {
        (REVERSE, "PTR"): ["aa.elsewhere.example.", r"a\032b.client.example.", "mx.client.example."],
        ("aa.elsewhere.example.", "A"): ["192.0.2.1"],
        ("mx.client.example.", "A"): ["192.0.2.2", HOST],
    }
    assert asked(records).name == "mx.client.example"


def test_a_forged_name() -> None:
    """A PTR record that names somebody else's host is no name, and gives no domain to write to."""
    records = {(REVERSE, "PTR"): ["mx.victim.example."], ("mx.victim.example.", "A"): ["192.0.2.1"]}
    assert asked(records) == Whereabouts(
        why_nameless="its PTR record says mx.victim.example, which does not lead back to it"
    )


@pytest.mark.parametrize(
    "name",
    [
        r"a\013\010Bcc:.client.example.",
        r"\027[31m.client.example.",
        r"mx\@client.example.",
        r"mx_1.client.example.",
        "-mx.client.example.",
        r"m\195\188x.client.example.",
        "localhost.",
    ],
)
def test_names_are_untrusted(name: str) -> None:
    """Of a record that holds anything but letters, digits, hyphens and dots not an octet is told."""
    records = {(REVERSE, "PTR"): [name], (name, "A"): [HOST]}
    assert asked(records) == Whereabouts(why_nameless="what its PTR record holds is no host name")


def test_hundreds_of_names() -> None:
    """Not all of an address's names are tried."""
    records = {(REVERSE, "PTR"): [f"mx{number:02}.client.example." for number in range(20)]}
    with name_server(records) as server:
        where = whereabouts(ip_address(HOST), server)
    assert where.why_nameless.startswith("its PTR record says mx")
    assert NAMES_TRIED < 20


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ({}, "it has no PTR record"),
        ({(REVERSE, "TXT"): ["x"]}, "it has no PTR record"),
        ({(REVERSE, "PTR"): [BROKEN]}, "the name servers did not answer"),
        (
            {(REVERSE, "PTR"): ["mx.client.example."]},
            "its PTR record says mx.client.example, which does not lead back to it",
        ),
    ],
)
def test_no_name(records: Records, why: str) -> None:
    """The reason is told."""
    assert asked(records) == Whereabouts(why_nameless=why)


def test_a_silent_server() -> None:
    """What does not answer is not waited for beyond the bound."""
    began = time.monotonic()
    where = asked({(REVERSE, "PTR"): [SILENT]}, bound=0.3)
    assert where == Whereabouts(why_nameless="the name servers did not answer")
    assert time.monotonic() - began < 2.0


def test_the_bound_is_one_for_all_questions() -> None:
    """When the first question has used up the time, the second is not asked."""
    with name_server(GOOD) as server:
        assert whereabouts(ip_address(HOST), server, bound=0.0).why_nameless == "the name servers did not answer"


def test_no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without a name server of its own is a reason like any other."""
    import dns.resolver

    def none(self: dns.resolver.Resolver, f: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", none)
    where = whereabouts(ip_address(HOST))
    assert where.why_nameless == "the name servers could not be asked (NoResolverConfiguration)"


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("mail.client.example", "client.example"),
        ("a.b.client.co.uk", "client.co.uk"),
        ("ec2-1-2-3-4.compute-1.amazonaws.com", "amazonaws.com"),  # of a host in a provider's zone, the provider
        ("client.example", "client.example"),
        ("co.uk", ""),
        ("", ""),
    ],
)
def test_the_organisations_domain(name: str, domain: str) -> None:
    """What was registered, of registries only."""
    assert domain_of(name) == domain


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "10.1.2.3", "192.168.1.1", "172.31.0.1", "100.64.0.1", "::1", "fe80::1", "fd00::1"]
)
def test_inside(text: str) -> None:
    """For these nobody outside is responsible."""
    assert inside(ip_address(text))


@pytest.mark.parametrize("text", ["198.51.100.7", "8.8.8.8", "172.32.0.1", "2001:db8::7"])
def test_outside(text: str) -> None:
    """For these somebody is."""
    assert not inside(ip_address(text))


# --- the registries ---------------------------------------------------------------------------------------------------

ANSWER: Mapping[str, Any] = {
    "asn_description": "AS-CLIENT, XX",
    "network": {"name": "CLIENT-NET"},
    "objects": {
        "A1": {"roles": ["administrative"], "contact": {"email": [{"type": None, "value": "boss@client.example"}]}},
        "A2": {
            "roles": ["abuse", "technical"],
            "contact": {
                "email": [
                    {"type": None, "value": "abuse@client.example"},
                    {"type": None, "value": "x@y\nBcc: z@example.net"},
                    {"type": None, "value": None},
                    {"type": None, "value": "abuse@client.example"},
                ]
            },
        },
        "A3": {"roles": None, "contact": None},
        "A4": {"roles": ["abuse"], "contact": {"email": None}},
    },
}
"""As ipwhois gives the answer of a registry."""


def test_abuse_contacts() -> None:
    """Those whose role is abuse, once each, and only what is a mail address."""
    questions: list[str] = []

    def stand_in(address: str) -> Mapping[str, Any]:
        questions.append(address)
        return ANSWER

    found = abuse_contacts(ip_address(HOST), stand_in)
    assert found == Whereabouts(abuse=("abuse@client.example",), owner="CLIENT-NET")
    assert questions == [HOST]


def test_nobody_for_abuse() -> None:
    """An answer that names nobody is a warning; its owner is told as printable text."""
    found = abuse_contacts(ip_address(HOST), lambda _: {"network": None, "asn_description": "A\x1b\u202eS"})
    assert found == Whereabouts(owner=r"A\x1b\xe2\x80\xaeS", warning="the registries name no address for abuse")


def test_registries_that_fail() -> None:
    """An error of whatever kind is a warning, printable."""

    def stand_in(address: str) -> Mapping[str, Any]:
        raise OSError(f"no route to {address}\x1b")

    found = abuse_contacts(ip_address(HOST), stand_in)
    assert found == Whereabouts(warning=rf"the registries could not be asked: no route to {HOST}\x1b")
    nothing: Mapping[str, Mapping[str, Any]] = {}
    assert abuse_contacts(ip_address(HOST), lambda _: nothing["x"]).warning == "the registries could not be asked: 'x'"


def test_an_answer_of_another_shape() -> None:
    """What is no answer of a registry is a warning, not a traceback."""
    found = abuse_contacts(ip_address(HOST), lambda _: {"objects": ["x"]})
    assert found.warning.startswith("the registries' answer was not understood")


def test_registries_that_are_silent() -> None:
    """They are not waited for beyond the bound."""
    release = threading.Event()

    def stand_in(_: str) -> Mapping[str, Any]:
        release.wait(30)
        return {}

    found = abuse_contacts(ip_address(HOST), stand_in, bound=0.05)
    release.set()
    assert found == Whereabouts(warning="the registries did not answer within 0 s")


def test_rdap_by_ipwhois(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a stand-in the library is asked: once, bounded, without its own retries."""
    ipwhois = pytest.importorskip("ipwhois", reason='pip install "smtpguard[report]"')
    calls: list[tuple[object, ...]] = []

    class StandIn:
        def __init__(self, address: str, timeout: int) -> None:
            calls.append((address, timeout))

        def lookup_rdap(self, **options: object) -> Mapping[str, Any]:
            calls.append((options,))
            return ANSWER

    monkeypatch.setattr(ipwhois, "IPWhois", StandIn)
    assert abuse_contacts(ip_address(HOST)).abuse == ("abuse@client.example",)
    assert calls == [(HOST, 5), ({"depth": 1, "retry_count": 0},)]
