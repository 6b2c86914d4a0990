"""Whose host it is: its name in the DNS, the organisation's domain, and, only when asked, who takes abuse reports.

A name counts if it is **forward-confirmed**: the PTR record of the address names it, and the name's A or AAAA records
hold the address. Whoever owns the address writes the PTR record, so without the second half it could name anybody.
Names are untrusted text: only letters, digits, hyphens and dots are taken, all else is as good as no name.

The domain to write to is the part of the name below its public suffix (publicsuffix.org), of registries only: of a
host in a provider's zone that is the provider, who knows its customer. RFC 2142 gives it `postmaster@` and `abuse@`.

`abuse_contacts` asks the registries by RDAP (RFC 9083), which tells them which address is of interest: it is never done
unasked. Every question is bounded in time, and none that fails stops the letter.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TYPE_CHECKING, Any, Final

from smtpguard.evidence.wording import shown

if TYPE_CHECKING:
    from dns.resolver import Resolver

Address = IPv4Address | IPv6Address

DNS_BOUND: Final = 6.0
"""Seconds for all questions to the DNS together."""

DNS_EACH: Final = 2.0
"""Seconds for one of them."""

RDAP_BOUND: Final = 20.0
"""Seconds for the registries: several are asked, one after the other."""

NAMES_TRIED: Final = 8
"""PTR records that are looked at; an address has one, some have hundreds."""

_NAME: Final = re.compile(r"(?=.{1,253}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}")
_MAIL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}")

# Nobody outside is responsible for these: RFC 1918, RFC 6598, loopback, link-local, RFC 4193.
_INSIDE: Final = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """What was found out about an address."""

    name: str = ""
    """Forward-confirmed; empty where there is none."""
    domain: str = ""
    """The organisation's, by the name; empty where there is none."""
    why_nameless: str = ""
    """Why there is no name, in a few words."""
    abuse: tuple[str, ...] = ()
    """Mail addresses that the registries name for abuse."""
    owner: str = ""
    """Whom the registries name."""
    warning: str = ""
    """What could not be looked up though it was asked for."""


def inside(address: Address) -> bool:
    """Tell whether an address is one of a private network or of the machine itself."""
    return any(address.version == network.version and address in network for network in _INSIDE)


# --- the DNS ----------------------------------------------------------------------------------------------------------


def whereabouts(address: Address, resolver: tuple[str, int] | None = None, bound: float = DNS_BOUND) -> Whereabouts:
    """Find the forward-confirmed name of an address, and the organisation's domain.

    Args:
        address: the client's.
        resolver: IP address and port of the name server to ask; without it those of the system.
        bound: seconds for all questions together.

    Raises:
        ImportError: dnspython or publicsuffixlist is not installed.
    """
    from dns.exception import DNSException, Timeout  # noqa: PLC0415 - an extra, and only where it is asked for

    try:
        name, why = _confirmed(address, _resolver(resolver), time.monotonic() + bound)
    except Timeout:
        return Whereabouts(why_nameless="the name servers did not answer")
    except DNSException as error:
        return Whereabouts(why_nameless=f"the name servers could not be asked ({type(error).__name__})")
    return Whereabouts(name=name, domain=domain_of(name), why_nameless=why)


def domain_of(name: str) -> str:
    """Return the organisation's domain of a host's name: what was registered; empty where nothing was.

    Raises:
        ImportError: publicsuffixlist is not installed.
    """
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - an extra

    return PublicSuffixList(only_icann=True).privatesuffix(name.lower()) or "" if name else ""


def _resolver(server: tuple[str, int] | None) -> "Resolver":
    from dns.resolver import Resolver  # noqa: PLC0415 - an extra

    resolver = Resolver(configure=server is None)
    if server is not None:
        resolver.nameservers, resolver.port = [server[0]], server[1]
    resolver.timeout = DNS_EACH
    return resolver


def _confirmed(address: Address, resolver: "Resolver", deadline: float) -> tuple[str, str]:
    """Return a name that leads back to the address, or why there is none."""
    names = list(_answers(resolver, address.reverse_pointer, "PTR", deadline))[:NAMES_TRIED]
    fit = [name for name in names if _NAME.fullmatch(name)]
    kind = "A" if address.version == 4 else "AAAA"
    for name in fit:
        if str(address) in _answers(resolver, name, kind, deadline):
            return name.lower(), ""
    if not names:
        return "", "it has no PTR record"
    if not fit:
        return "", "what its PTR record holds is no host name"
    return "", f"its PTR record says {fit[0].lower()}, which does not lead back to it"


def _answers(resolver: "Resolver", name: str, kind: str, deadline: float) -> Iterator[str]:
    from dns.exception import Timeout  # noqa: PLC0415 - an extra
    from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers  # noqa: PLC0415 - an extra

    left = deadline - time.monotonic()
    if left <= 0:
        raise Timeout
    try:
        answer = resolver.resolve(name, kind, lifetime=min(left, DNS_EACH), raise_on_no_answer=False, search=False)
    except (NXDOMAIN, NoAnswer):
        return
    except NoNameservers:
        # SERVFAIL or nonsense: as good as no answer in time.
        raise Timeout from None
    for record in answer:
        yield record.to_text().removesuffix(".")


# --- the registries ---------------------------------------------------------------------------------------------------

Ask = Callable[[str], Mapping[str, Any]]


def abuse_contacts(address: Address, ask: Ask | None = None, bound: float = RDAP_BOUND) -> Whereabouts:
    """Ask the registries who takes abuse reports about an address.

    Args:
        address: the client's; it leaves this host.
        ask: how; without it by RDAP through ipwhois.
        bound: seconds for all of it.

    Raises:
        ImportError: ipwhois is not installed.
    """
    outcome: list[Mapping[str, Any] | Exception] = []
    asked = ask or _by_rdap()

    def task() -> None:
        try:
            outcome.append(asked(str(address)))
        except Exception as error:
            outcome.append(error)

    # The library sleeps and tries again as it likes: a thread is the one bound that holds.
    thread = threading.Thread(target=task, daemon=True)
    thread.start()
    thread.join(bound)
    if not outcome:
        return Whereabouts(warning=f"the registries did not answer within {bound:.0f} s")
    if isinstance(found := outcome[0], Exception):
        return Whereabouts(warning=f"the registries could not be asked: {shown(str(found)) or type(found).__name__}")
    try:
        abuse, owner = tuple(dict.fromkeys(_abuse_of(found))), _owner_of(found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return Whereabouts(warning=f"the registries' answer was not understood ({type(error).__name__})")
    return Whereabouts(abuse=abuse, owner=owner, warning="" if abuse else "the registries name no address for abuse")


def _by_rdap() -> Ask:
    from ipwhois import IPWhois  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra; it ships no types

    def ask(address: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = IPWhois(address, timeout=5).lookup_rdap(depth=1, retry_count=0)
        return found

    return ask


def _abuse_of(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the mail addresses of those whose role is abuse (RFC 9083 §10.2.4), of an answer as ipwhois gives it."""
    for entity in (found.get("objects") or {}).values():
        contact = entity.get("contact") or {}
        if "abuse" in (entity.get("roles") or ()):
            for mail in contact.get("email") or ():
                value = str(mail.get("value") or "").strip()
                if _MAIL.fullmatch(value):
                    yield value


def _owner_of(found: Mapping[str, Any]) -> str:
    network = found.get("network") or {}
    return shown(str(network.get("name") or found.get("asn_description") or ""))[:80]
