"""What a single setting may be, beyond numbers and words: addresses, durations, sizes, rule ids, forbidden verbs.

Each reader takes what TOML gave and returns the value, or raises ValueError whose text says what is allowed; `mistakes`
prints that text behind the key and the value.
"""

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from smtpguard.config.address import Address, parse_address
from smtpguard.smtp import CATALOGUE, FORBIDDEN_WORDS, Rule, Section, Verdict

Network = IPv4Network | IPv6Network

NETWORK: Final = "an address or a network in quotes, such as '192.0.2.0/24' or '2001:db8::/32'"

DURATION: Final = "seconds above 0, or text such as '30s', '5m', '1h'"

SIZE: Final = "octets, or text such as '500MB', '2GB', '1GiB'; 0: no bound"

LOG_STREAMS: Final = ("stdout", "stderr", "journal", "syslog")
"""Where the operator log may go by name."""

_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)?")
_SIZE: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)([KMGT]i?B)?")
_ACCOUNT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")
_UNITS: Final = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

SIZES: Final = {
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)},
}
"""Units of sizes, in octets."""


class Octets(int):
    """A size. A kind of its own, so that who prints it can choose a unit."""


def similar(word: str, words: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the one of `words` that somebody who wrote `word` most likely meant, or None."""
    folded = {candidate.casefold(): candidate for candidate in words}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def meant(word: str, words: Iterable[str]) -> str:
    """Return "; did you mean …", or nothing where no word is near."""
    candidate = similar(word, words)
    return f"; did you mean {candidate!r}?" if candidate else ""


def parse_duration(value: object) -> float:
    """Return seconds."""
    seconds = math.nan
    if isinstance(value, str) and (read := _DURATION.fullmatch(value)):
        seconds = float(read[1]) * _UNITS[read[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    if not 0 < seconds < math.inf:
        raise ValueError(DURATION)
    return seconds


def parse_size(value: object) -> Octets:
    """Return octets."""
    if isinstance(value, str) and (read := _SIZE.fullmatch(value)) and (read[2] or read[1].isdigit()):
        # By parts of whole numbers: 0.1 has no exact float.
        whole, _, part = read[1].partition(".")
        unit = SIZES.get(read[2], 1)
        return Octets(int(whole) * unit + int(part or 0) * unit // 10 ** len(part))
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Octets(value)
    raise ValueError(SIZE)


def parse_forbidden_word(value: object) -> bytes:
    """Return one word of `FORBIDDEN_WORDS`, in upper case."""
    word = value.encode("utf-8", "replace") if isinstance(value, str) else value
    if isinstance(word, bytes) and word.upper() in FORBIDDEN_WORDS:
        return word.upper()
    raise ValueError(one_of(value, sorted(each.decode("ascii") for each in FORBIDDEN_WORDS)))


def one_of(value: object, words: Iterable[str]) -> str:
    """Say which words are allowed, and which of them was meant."""
    allowed = list(words)
    return f"one of {', '.join(map(repr, allowed))}{meant(value, allowed) if isinstance(value, str) else ''}"


def parse_path(value: object) -> Path:
    """Return the path; a relative one counts from the working directory."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("a path in quotes")
    return Path(value)


def parse_target(value: object) -> str:
    """Return where the operator log goes."""
    if isinstance(value, str) and "\0" not in value and (value in LOG_STREAMS or "/" in value):
        return value
    hint = meant(value, LOG_STREAMS) if isinstance(value, str) else ""
    raise ValueError(f"one of {', '.join(map(repr, LOG_STREAMS))}, or the path of a file with a '/' in it{hint}")


def parse_verdict(entry: object) -> Verdict:
    """Return the verdict of one `policy.rules` entry, which `with_rule_ids` has paired with its key."""
    if isinstance(entry, tuple):
        rule_id, value = entry
        allowed = {verdict.value: verdict for verdict in verdicts_of(rule_to_change(rule_id))}
        word = value.value if isinstance(value, Verdict) else value
        if isinstance(word, str) and word in allowed:
            return allowed[word]
        raise ValueError(one_of(word, allowed))
    raise ValueError("a verdict")


def with_rule_ids(entries: object) -> object:
    """Pair each value with its key, so that the reader of the value can judge both and the error keeps its place."""
    return {key: (key, value) for key, value in entries.items()} if isinstance(entries, Mapping) else entries


def rule_to_change(rule_id: object) -> Rule:
    """Return the rule, if its verdict may be changed."""
    rule = CATALOGUE.get(str(rule_id))
    if rule is None:
        raise ValueError(f"no such rule{_meant_rule(str(rule_id))}")
    if rule.safe:
        raise ValueError(
            f"{rule.id} ({rule.name}) cannot be changed: it is safe, it keeps our view of the session and the "
            "upstream's the same, so its verdict holds in every mode and profile"
        )
    return rule


def verdicts_of(rule: Rule) -> tuple[Verdict, ...]:
    """Return what a rule may be set to: one without an answer, or about UPSTREAM, cannot refuse a command of CLIENT."""
    mild = rule.answer is None or rule.section is Section.UPSTREAM
    return (Verdict.OFF, Verdict.NOTE) if mild else tuple(Verdict)


def _meant_rule(word: str) -> str:
    by_name = {rule.name: rule.id for rule in CATALOGUE.values()}
    if name := similar(word, by_name):
        return f"; did you mean {by_name[name]!r} ({name})?"
    # Ids are all alike: any two share three characters of five.
    rule_id = similar(word, CATALOGUE, cutoff=0.8)
    return f"; did you mean {rule_id!r}?" if rule_id else ""


def _each_once(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    for place, address in enumerate(addresses):
        if address in addresses[:place]:
            raise ValueError(f"each address once; {address} stands twice")
    return addresses


def _listed(value: object) -> object:
    """Let one text stand for a list of one: `--set listen=127.0.0.1:2525`."""
    return [value] if isinstance(value, str) else value


def parse_account(value: object) -> str:
    """Return the name of a user or group; whether it exists is the machine's to say."""
    if isinstance(value, str) and _ACCOUNT.fullmatch(value):
        return value
    raise ValueError("the name of an account in quotes, such as 'smtpguard'")


def parse_network(value: object) -> Network:
    """Return the network of an address or of a CIDR."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    network = _network(value, strict=True)
    if network is None:
        wider = _network(value, strict=False)
        raise ValueError(f"{NETWORK}; did you mean '{wider}'?" if wider else NETWORK)
    return network


def _network(value: object, *, strict: bool) -> Network | None:
    try:
        return ip_network(value, strict=strict) if isinstance(value, str) else None
    except ValueError:
        return None


AddressText = Annotated[Address, PlainValidator(parse_address), WithJsonSchema({"type": "string"})]
Addresses = Annotated[
    tuple[AddressText, ...], BeforeValidator(_listed), Field(min_length=1), AfterValidator(_each_once)
]
NetworkText = Annotated[Network, PlainValidator(parse_network), WithJsonSchema({"type": "string"})]
Networks = Annotated[tuple[NetworkText, ...], BeforeValidator(_listed)]
AccountName = Annotated[str, PlainValidator(parse_account), WithJsonSchema({"type": "string"})]
Seconds = Annotated[float, PlainValidator(parse_duration), WithJsonSchema({"type": ["number", "string"]})]
Size = Annotated[Octets, PlainValidator(parse_size), WithJsonSchema({"type": ["integer", "string"]})]
ForbiddenWord = Annotated[bytes, PlainValidator(parse_forbidden_word), WithJsonSchema({"type": "string"})]
FilePath = Annotated[Path, PlainValidator(parse_path), WithJsonSchema({"type": "string"})]
LogTarget = Annotated[str, PlainValidator(parse_target), WithJsonSchema({"type": "string"})]
RuleVerdict = Annotated[Verdict, PlainValidator(parse_verdict), WithJsonSchema({"type": "string"})]
RuleVerdicts = Annotated[Mapping[str, RuleVerdict], BeforeValidator(with_rule_ids)]
