"""Settings as TOML: the sample file, and the settings in force. What is written here can be loaded again."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from textwrap import wrap
from typing import Any, Final

from smtpguard.config.describe import EXAMPLES, LISTENER_NAME, NAME, Section, Setting, plain, sections
from smtpguard.config.lines import KeyPath
from smtpguard.config.load import Loaded
from smtpguard.config.mistakes import shown_key
from smtpguard.config.model import Config
from smtpguard.config.values import SIZES, Octets
from smtpguard.config.wording import common_path

WIDTH: Final = 100
"""Characters of a line of comment."""

ORIGIN_COLUMN: Final = 44
"""Where the origin of a key stands, unless the line is longer."""

_UNITS: Final = {"h": 3600, "m": 60, "s": 1}

UNSET: Final = " Unset by default; an example:"

_HEAD: Final = """\
# Settings of smtpguard. A key behind a # stands at its default; take the # away to change it.
# An address is HOST:PORT, with IPv6 [2001:db8::1]:25.
# A duration is seconds, or text such as "30s", "5m", "1h"; a size is octets, or "500MB", "2GB".
# `smtpguard check -c FILE` says whether all is well, `smtpguard config show --origin` what holds.
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting in force."""

    path: KeyPath
    value: object
    """In TOML's terms, durations in seconds; None: unset."""
    default: object
    """The same; in a listener: what the common settings say."""
    origin: str
    """Who set it: `smtpguard.toml:12`, `SMTPGUARD_POLICY__MODE`, `--set`, or `default`."""
    text: str
    """The value as TOML writes it; empty: unset."""

    @property
    def changed(self) -> bool:
        """Tell whether it differs from its default."""
        return self.value != self.default


# --- one value -------------------------------------------------------------------------------------------------------


def value_text(value: Any, *, lasting: bool = False) -> str:
    """Write a value as TOML; a duration or a size with its unit where that is a whole number."""
    if lasting:
        return _duration(value)
    if isinstance(value, Octets):
        return _size(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {value_text(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, str):
        # JSON's strings are TOML's, but for DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _duration(seconds: float) -> str:
    units = [unit for unit, size in _UNITS.items() if seconds % size == 0]
    return f'"{int(seconds // _UNITS[units[0]])}{units[0]}"' if units else repr(seconds)


def _size(octets: int) -> str:
    units = [unit for unit, size in SIZES.items() if octets and octets % size == 0]
    unit = max(units, key=lambda unit: SIZES[unit], default="")
    return f'"{octets // SIZES[unit]}{unit}"' if unit else repr(int(octets))


def _key(key: object) -> str:
    return shown_key((str(key),))


# --- the sample file -------------------------------------------------------------------------------------------------


def example() -> str:
    """Return a sample file: every setting with its description, all at their defaults but the two required ones."""
    return "\n\n".join([_HEAD.rstrip(), *("\n".join(_sample(section)) for section in sections())]) + "\n"


def _sample(section: Section) -> Iterator[str]:
    """Write one table. A listener's own tables are shown by one key each: all are those of the common tables."""
    pattern, deep = NAME in section.path, len(section.path) > 2
    if not deep:
        yield from _comment(section.description)
    yield from ("#" * pattern + each for each in _header(section.path))
    if section.path[-1:] == (NAME,):
        yield from [*_comment(LISTENER_NAME), f'#name = "{NAME}"']
    blank = [""] if not section.path else []
    for place, setting in enumerate(sorted(section.settings, key=_is_table)[: 1 if deep else None]):
        yield from [*(blank if place else []), *_sample_setting(setting, bare=deep)]


def _is_table(setting: Setting) -> bool:
    """Tell what must stand last: behind a header, keys of the table above can no longer be set."""
    return isinstance(setting.default, dict)


def _sample_setting(setting: Setting, *, bare: bool) -> Iterator[str]:
    value, live = EXAMPLES.get(setting.path, setting.default), setting.required and len(setting.path) == 1
    if isinstance(value, dict):
        yield from ["", *_comment(setting.description), f"[{shown_key(setting.path)}]"]
        yield from (f"#{key} = {value_text(each)}" for key, each in value.items())
        return
    if not bare:
        yield from _comment(
            setting.description + _words(setting) + ("" if setting.required or value == setting.default else UNSET)
        )
    yield f"{'' if live else '#'}{setting.key} = {value_text(value, lasting=setting.lasting)}"


def _words(setting: Setting) -> str:
    """Name the words that are allowed, unless the description does."""
    words = setting.shape.get("enum", ())
    return "" if all(word in setting.description for word in words) else f" One of {setting.allowed}."


def _comment(text: str) -> Iterator[str]:
    yield from (f"# {line}" for line in wrap(text, WIDTH - 2, break_on_hyphens=False))


def _header(path: KeyPath) -> list[str]:
    if path[:1] == ("listener",):
        return ["[[listener]]"] if len(path) == 2 else [f"[{shown_key(('listener', *path[2:]))}]"]
    return [f"[{shown_key(path)}]"] if path else []


# --- what is in force ------------------------------------------------------------------------------------------------


def shown(loaded: Loaded) -> tuple[Shown, ...]:
    """Return every setting in force, in the order of the file, `policy.rules` rule by rule."""
    every = (setting for section in sections(loaded.config) for setting in sorted(section.settings, key=_is_table))
    return tuple(row for setting in every for row in _rows(setting, loaded))


def _rows(setting: Setting, loaded: Loaded) -> Iterator[Shown]:
    value, default = _value(loaded.config, setting), setting.default
    if common := common_path(setting.path):
        default = _value(loaded.config, replace(setting, path=common))
        value = default if value is None else value
    if isinstance(value, dict) and isinstance(default, dict):
        for key, each in value.items():
            path = (*setting.path, key)
            yield Shown(path, each, default.get(key), loaded.origin(path), value_text(each))
    else:
        text = "" if value is None else value_text(value, lasting=setting.lasting)
        yield Shown(setting.path, value, default, loaded.origin(setting.path), text)


def _value(config: Config, setting: Setting) -> object:
    found: Any = config
    for key in setting.path:
        found = found[key] if isinstance(found, Mapping) else getattr(found, str(key).replace("-", "_"))
    value = plain(found)
    return None if value == [] and setting.default is None else value


def as_toml(rows: Iterable[Shown], *, origins: bool = False) -> str:
    """Write settings as a file; behind each key, where it is wanted, who set it. What is unset is a comment."""
    lines: list[str] = []
    for table, inside in groupby(rows, key=lambda row: row.path[:-1]):
        lines += [""] * bool(lines) + _header(table)
        if table[:1] == ("listener",) and len(table) == 2:
            lines.append(f"name = {value_text(table[1])}")
        lines += [_line(row, origins=origins) for row in inside]
    return "\n".join(lines)


def _line(row: Shown, *, origins: bool) -> str:
    key = shown_key(row.path[-1:])
    text = f"{key} = {row.text}" if row.text else f"# {key} is unset"
    return f"{text:<{ORIGIN_COLUMN}}  # {row.origin}" if origins else text
