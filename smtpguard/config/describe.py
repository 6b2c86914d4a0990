"""The settings as rows, for whoever tells a person or a machine about them: sample file, manual page, JSON schema.

Everything is read off the models of `model`; what cannot be read off stands in two tables: `KINDS`, the words and the
JSON schema of each kind of value, and `EXAMPLES`, a value for each setting whose default says nothing. How values are
written as TOML is `written`'s.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Final, get_args

from pydantic.fields import FieldInfo

from smtpguard.config.address import Address, parse_address
from smtpguard.config.lines import KeyPath
from smtpguard.config.model import Config, Table
from smtpguard.config.values import (
    LOG_STREAMS,
    parse_account,
    parse_duration,
    parse_forbidden_word,
    parse_network,
    parse_path,
    parse_size,
    parse_target,
    parse_verdict,
    rule_to_change,
    verdicts_of,
)
from smtpguard.config.wording import fields_of, inner_table, named_table
from smtpguard.smtp import CATALOGUE, FORBIDDEN_WORDS, Verdict

Schema = dict[str, Any]
"""A JSON schema, or a part of one."""

NAME: Final = "public"
"""Stands for the name of a listener where none is meant."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

LISTENER_NAME: Final = "How log, audit and --set call this listener: a-z, 0-9 and '-', 32 characters at most."

_ADDRESS: Final = {"type": "string", "pattern": r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}$"}

_NETWORK: Final = {"type": "string", "pattern": r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One key."""

    path: KeyPath
    description: str
    allowed: str
    """What its value may be, in words."""
    shape: Mapping[str, Any]
    """What its value may be, as JSON schema."""
    default: object
    """In TOML's terms, durations in seconds; None: unset."""
    lasting: bool
    """It is a duration."""
    required: bool

    @property
    def key(self) -> str:
        """Return the last part of the path."""
        return str(self.path[-1])


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file."""

    path: KeyPath
    """Empty: the top of the file; `("listener", NAME)`: one of the `[[listener]]` tables."""
    description: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is behind a reader of `values`."""

    allowed: str
    shape: Mapping[str, Any]


def _changeable() -> Iterator[tuple[str, list[str]]]:
    for rule_id in CATALOGUE:
        try:
            yield rule_id, [verdict.value for verdict in verdicts_of(rule_to_change(rule_id))]
        except ValueError:  # a safe rule: its verdict holds
            continue


KINDS: Final[Mapping[Callable[[object], object] | type, Kind]] = {
    parse_address: Kind(
        "HOST:PORT, or a list of them; an IPv6 address stands in brackets, [2001:db8::1]:25",
        {"anyOf": [_ADDRESS, {"type": "array", "items": _ADDRESS, "minItems": 1, "uniqueItems": True}]},
    ),
    parse_duration: Kind(
        'seconds, or text such as "30s", "5m", "1h"',
        {
            "type": ["number", "string"],
            "exclusiveMinimum": 0,
            "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h|d)?$",
        },
    ),
    parse_size: Kind(
        'octets, or text such as "500MB", "2GB", "1GiB"',
        {
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": r"^([0-9]{1,18}|[0-9]{1,18}(\.[0-9]{1,9})?[KMGT]i?B)$",
        },
    ),
    parse_network: Kind(
        "an address or a network such as 192.0.2.0/24 or 2001:db8::/32, or a list of them",
        {"anyOf": [_NETWORK, {"type": "array", "items": _NETWORK}]},
    ),
    parse_account: Kind("the name of an account", {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$"}),
    parse_path: Kind("a path; a relative one counts from the working directory", {"type": "string", "minLength": 1}),
    parse_target: Kind(
        f"{', '.join(LOG_STREAMS)}, or a path with a '/' in it",
        {"type": "string", "anyOf": [{"enum": list(LOG_STREAMS)}, {"pattern": "/"}]},
    ),
    parse_verdict: Kind(
        f"a table: rule id = {', '.join(verdict.value for verdict in Verdict)}",
        {
            "type": "object",
            "properties": {rule_id: {"enum": verdicts} for rule_id, verdicts in _changeable()},
            "additionalProperties": False,
        },
    ),
    parse_forbidden_word: Kind(
        f"a list of {', '.join(sorted(word.decode() for word in FORBIDDEN_WORDS))}",
        {
            "type": "array",
            "items": {"enum": sorted(word.decode() for word in FORBIDDEN_WORDS)},
            "uniqueItems": True,
        },
    ),
    bool: Kind("true or false", {"type": "boolean"}),
}

EXAMPLES: Final[Mapping[KeyPath, object]] = {
    ("listen",): ["127.0.0.1:2525"],
    ("upstream",): ["127.0.0.1:25"],
    ("user",): "smtpguard",
    ("group",): "smtpguard",
    ("policy", "rules"): {"SG101": "note"},
    ("policy", "unsafe-forwarded-verbs"): ["XCLIENT"],
    ("identity", "accept-proxy-from"): ["192.0.2.0/24"],
    ("limits", "sessions"): 1000,
    ("audit", "directory"): "/var/lib/smtpguard",
    ("audit", "transcript-always"): ["192.0.2.0/24"],
    ("audit", "transcript-never"): ["198.51.100.0/24"],
    ("listener", NAME, "address"): ["192.0.2.1:25", "[2001:db8::1]:25"],
    ("listener", NAME, "upstream"): ["mx-inside.example.net:10025"],
    ("listener", NAME, "upstream-choice"): "spread",
}
"""What a sample writes for settings that are required, unset or empty."""


def sections(config: Config | None = None) -> tuple[Section, ...]:
    """Return all tables of the file, in its order: those of a configuration, or with one listener as a pattern."""
    names = [NAME] if config is None else list(config.listener)
    return tuple(_sections(Config, (), "", names))


def _sections(table: type[Table], above: KeyPath, description: str, names: list[str]) -> Iterator[Section]:
    fields = fields_of(table)
    plain = {key: field for key, field in fields.items() if not (inner_table(field) or named_table(field))}
    yield Section(above, description, tuple(_setting((*above, key), field) for key, field in plain.items()))
    for key, field in fields.items():
        inner, named = inner_table(field), named_table(field)
        if inner:
            yield from _sections(inner, (*above, key), field.description or "", names)
        for name in names if named else ():
            assert named is not None
            yield from _sections(named, (*above, key, name), field.description or "", names)


def _setting(path: KeyPath, field: FieldInfo) -> Setting:
    kind, marks = _kind(field), set(_marks(field))
    default = None if field.is_required() else plain(field.default)
    # Both are asked for one level up: `listen` and `upstream` may stand in [[listener]] tables instead.
    required = field.is_required() or path in {("listen",), ("upstream",)}
    unset = required or default in (None, [])
    return Setting(
        path=path,
        description=field.description or "",
        allowed=kind.allowed,
        shape=kind.shape,
        default=None if unset and parse_forbidden_word not in marks else default,
        lasting=parse_duration in marks,
        required=required,
    )


def _kind(field: FieldInfo) -> Kind:
    for mark in _marks(field):
        if isinstance(mark, type) and issubclass(mark, Enum):
            words = [member.value for member in mark]
            return Kind(", ".join(words), {"enum": words})
        if mark in KINDS:
            return KINDS[mark]
    return _number(field)


def _number(field: FieldInfo) -> Kind:
    bounds = {type(each).__name__: each for each in field.metadata}
    low, high = getattr(bounds.get("Ge"), "ge", None), getattr(bounds.get("Le"), "le", None)
    words = f"a whole number from {low} to {high}" if high is not None else f"a whole number, {low} or more"
    limits = {"minimum": low, "maximum": high}
    return Kind(words, {"type": "integer", **{key: limit for key, limit in limits.items() if limit is not None}})


def _marks(field: FieldInfo) -> Iterator[Any]:
    """Give out everything by which a kind can be told: the readers, then the types, in whatever they are wrapped."""
    wrapped = [*field.metadata, field.annotation]
    types = []
    while wrapped:
        mark = wrapped.pop(0)
        types.append(mark)
        yield from filter(None, [getattr(mark, "func", None)])
        wrapped += [*getattr(mark, "__metadata__", ()), *get_args(mark)]
    yield from (mark for mark in types if isinstance(mark, type))


def plain(value: object) -> Any:
    """Return a value of a setting in TOML's terms; None stays None."""
    match value:
        case Enum():
            return value.value
        case Address() | Path() | IPv4Network() | IPv6Network():
            return str(value)
        case bytes():
            return value.decode("ascii")
        case frozenset():
            return sorted(map(plain, value))
        case tuple():
            return [plain(each) for each in value]
        case Mapping():
            return {key: plain(each) for key, each in value.items()}
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def schema() -> Schema:
    """Return the JSON schema (draft 2020-12) of the file, for editors and for checks without smtpguard."""
    root: Schema = {"$schema": DIALECT, "title": "smtpguard.toml", **_object("Settings of smtpguard.")}
    for section in sections():
        _put(_object_at(root, section), section)
    listener = root["properties"]["listener"]["items"]
    listener["properties"] = {
        "name": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", "description": LISTENER_NAME},
        **listener["properties"],
    }
    listener["required"] = ["name", "address"]
    return root


def _object(description: str) -> Schema:
    return {"description": description, "type": "object", "properties": {}, "additionalProperties": False}


def _object_at(root: Schema, section: Section) -> Schema:
    """Return the object of a section, made where it is missing."""
    here = root
    for key in section.path:
        if key == NAME:
            here = here["items"]
        elif key == "listener":
            rows = {"description": section.description, "type": "array", "items": _object("One listener.")}
            here = here["properties"].setdefault(key, rows)
        else:
            here = here["properties"].setdefault(key, _object(section.description))
    return here


def _put(table: Schema, section: Section) -> None:
    for setting in section.settings:
        default = {} if setting.default is None else {"default": setting.default}
        table["properties"][setting.key] = {"description": setting.description, **setting.shape, **default}
