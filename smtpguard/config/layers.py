"""The sources of settings: files, variables of the environment, flags, `--set key=value`.

Each becomes one `Layer`; later layers speak over earlier ones. A layer is a tree of plain values and the lines where
its keys stand, so that a mistake can name them. A source that cannot be read at all is a mistake of its own.

`[[listener]]` tables are kept by their `name`, so that a later source can change one of them:
`--set listener.public.policy.mode=observe`.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from smtpguard.config.lines import KeyPath, key_lines
from smtpguard.config.mistakes import ConfigError, Mistake, shown_value

FILE_SIZE: Final = 1024 * 1024
"""Octets of a configuration file; a larger one is something else, and `/dev/zero` has no end."""

SET: Final = "--set"
"""The option of single settings, as mistakes name it."""

KEY_DEPTH: Final = 16
"""Parts of a dotted key after `--set`; the deepest setting has five."""

VARIABLE: Final = "SMTPGUARD_"
"""Beginning of a variable that sets a key: `SMTPGUARD_POLICY__REPLY_RULE_ID` is `policy.reply-rule-id`."""

Tree = dict[str, Any]

_RULE_ID: Final = re.compile(r"SG[0-9]+")
_TOML_PLACE: Final = re.compile(r" \(at line ([0-9]+), column ([0-9]+)\)$")
_TWICE: Final = ("Cannot overwrite a value", "Cannot declare")


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings of one source."""

    source: str
    """What the person wrote: the file's name, or the option."""
    tree: Tree
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int:
        """Return the line of the key, or of the nearest thing around it that has one; 0 where nothing has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def holds(self, path: KeyPath) -> bool:
        """Tell whether this source sets the key or something inside it."""
        return look_up(self.tree, path) is not MISSING


class Missing:
    """The type of `MISSING`."""


MISSING: Final = Missing()


def look_up(tree: object, path: KeyPath) -> object:
    """Return the value at a key path, `MISSING` where there is none."""
    for key in path:
        inside = isinstance(tree, dict) and key in tree
        inside = inside or (isinstance(tree, list) and isinstance(key, int) and key < len(tree))
        if not inside:
            return MISSING
        tree = tree[key]  # type: ignore[index]  # one of the two checks above holds
    return tree


def origin(path: KeyPath, layers: Sequence[Layer]) -> Layer | None:
    """Return the layer that speaks last for a key or something inside it; None: nobody does."""
    return next((layer for layer in reversed(layers) if layer.holds(path)), None)


def merge(layers: Sequence[Layer]) -> Tree:
    """Lay the trees over each other: tables are merged, any other value replaces what was there."""
    merged: Tree = {}
    for layer in layers:
        lay_over(merged, layer.tree)
    return merged


def lay_over(below: Tree, above: Tree) -> None:
    """Change the tree `below` as `above` says."""
    for key, value in above.items():
        if isinstance(value, dict):
            if not isinstance(below.get(key), dict):
                below[key] = {}
            lay_over(below[key], value)
        else:
            below[key] = value


def read_file(path: Path) -> Layer:
    """Read a TOML file.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    name = str(path)
    try:
        with path.open("rb") as file:
            octets = file.read(FILE_SIZE + 1)
    except IsADirectoryError:
        raise _unreadable(name, "a directory; name the file in it") from None
    except FileNotFoundError:
        raise _unreadable(name, "no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _unreadable(name, f"cannot be read: {reason}") from None
    text = _text(name, octets)
    try:
        return _by_name(Layer(name, _toml(name, text), key_lines(text)))
    except RecursionError:
        raise _unreadable(name, "nested too deep") from None


def _text(name: str, octets: bytes) -> str:
    if len(octets) > FILE_SIZE:
        raise _unreadable(name, f"larger than {FILE_SIZE} octets, so no configuration file")
    if octets.startswith(b"\xef\xbb\xbf"):
        raise _unreadable(name, "begins with a byte order mark; save it as UTF-8 without one", 1)
    try:
        return octets.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        reason = f"not UTF-8 text: octet 0x{octets[error.start]:02X} at offset {error.start}"
        raise _unreadable(name, reason, line) from None


def _toml(name: str, text: str) -> Tree:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # tomllib's own, and int()'s for a number of more than 4300 digits
        message = str(error)
        read = _TOML_PLACE.search(message)
        line, where = (int(read[1]), f", column {read[2]}") if read else (text.count("\n") + 1, "")
        reason = message[: read.start()] if read else message.removesuffix(" (at end of document)")
        cure = "; this key or table stands twice" if reason.startswith(_TWICE) else ""
        raise _unreadable(name, f"not TOML: {reason}{where}{cure}", line) from None


def _unreadable(name: str, reason: str, line: int = 0) -> ConfigError:
    return ConfigError((Mistake(name, reason, line),))


def read_assignment(text: str) -> Layer:
    """Read the `key=value` of `--set`; the value is TOML where it can be, else the text as it stands.

    Raises:
        ConfigError: it has no key, or no `=`.
    """
    key, sign, value = text.partition("=")
    keys = [part.strip() for part in key.split(".")]
    if not sign or not all(keys) or len(keys) > KEY_DEPTH:
        raise ConfigError((Mistake(SET, "write key=value, such as policy.mode=observe", shown=shown_value(text)),))
    return _by_name(layer_of(SET, tuple(keys), _value(value.strip())))


def read_variable(name: str, value: str) -> Layer:
    """Read a variable of the environment; `__` separates the parts of the key, the value is as behind `--set`.

    Raises:
        ConfigError: what stands behind `SMTPGUARD_` cannot be a key.
    """
    parts = name.removeprefix(VARIABLE).split("__")
    if not all(parts) or len(parts) > KEY_DEPTH:
        allowed = f"a variable of that name sets a key, such as {VARIABLE}POLICY__MODE"
        raise ConfigError((Mistake(name, allowed, shown=shown_value(value)),))
    return _by_name(layer_of(name, tuple(map(_variable_key, parts)), _value(value.strip())))


def _variable_key(part: str) -> str:
    # Rule ids are the only keys in capitals.
    return part if _RULE_ID.fullmatch(part) else part.lower().replace("_", "-")


def layer_of(source: str, keys: tuple[str, ...], value: object) -> Layer:
    """Make the layer of one setting."""
    tree: Any = value
    for key in reversed(keys):
        tree = {key: tree}
    return Layer(source, tree)


def _value(text: str) -> object:
    try:
        tree = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    # More than one key: the text held a line end and was no value. Dates have no meaning in any setting.
    plain = len(tree) == 1 and isinstance(tree["value"], bool | int | float | str | list | dict)
    return tree["value"] if plain else text


def _by_name(layer: Layer) -> Layer:
    """Keep `[[listener]]` tables by their names, in the tree and in the lines.

    Raises:
        ConfigError: one has no name, or two have the same.
    """
    tables = layer.tree.get("listener")
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        return layer
    names: list[str] = []
    for place, each in enumerate(tables):
        name, path = each.get("name"), ("listener", place)
        if not isinstance(name, str):
            raise ConfigError(
                (Mistake(layer.source, _NAMELESS, layer.line((*path, "name")), f"listener[{place}].name"),)
            )
        if name in names:
            twice = f"another name; two listeners of one {'file' if layer.lines else 'list'} cannot share it"
            line = layer.line((*path, "name"))
            raise ConfigError((Mistake(layer.source, twice, line, f"listener[{place}].name", shown_value(name)),))
        names.append(name)
    named = {name: {k: v for k, v in each.items() if k != "name"} for name, each in zip(names, tables, strict=True)}
    lines = {_named_path(path, names): line for path, line in layer.lines.items()}
    return Layer(layer.source, layer.tree | {"listener": named}, lines)


def _named_path(path: KeyPath, names: Sequence[str]) -> KeyPath:
    if len(path) > 1 and path[0] == "listener" and isinstance(path[1], int):
        return (path[0], names[path[1]], *path[2:])
    return path


_NAMELESS: Final = "required: a name in quotes, such as 'public'; log, audit and --set call the listener by it"
