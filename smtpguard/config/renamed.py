"""Keys that have another name now. The old name is understood, with a warning, for one minor version.

A row is taken out when the version that it names is made; a test sees to that.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Final

from smtpguard.config.layers import Layer, Tree, look_up
from smtpguard.config.lines import KeyPath
from smtpguard.config.mistakes import ConfigError, Mistake, shown_key, shown_value


@dataclass(frozen=True, slots=True)
class Renamed:
    """The new name of a key."""

    to: KeyPath
    gone_in: str
    """The minor version that no longer knows the old name: `0.3`."""


RENAMED: Final[Mapping[KeyPath, Renamed]] = {}
"""Old name -> new name. Both are plain keys, outside `[[listener]]`."""


def modernised(layer: Layer, table: Mapping[KeyPath, Renamed] = RENAMED) -> tuple[Layer, Sequence[Mistake]]:
    """Return the layer with new names only, and a warning for each old one.

    Raises:
        ConfigError: a key stands there with its old and its new name.
    """
    warnings = []
    for old, renamed in table.items():
        if layer.holds(old):
            layer, warning = _move(layer, old, renamed)
            warnings.append(warning)
    return layer, warnings


def _move(layer: Layer, old: KeyPath, renamed: Renamed) -> tuple[Layer, Mistake]:
    value, place = look_up(layer.tree, old), layer.line(old)
    key, shown = shown_key(old), shown_value(value)
    if layer.holds(renamed.to):
        text = f"this key is called {shown_key(renamed.to)} now, which is set too; take this one out"
        raise ConfigError((Mistake(layer.source, text, place, key, shown),))
    tree = deepcopy(layer.tree)
    _take_out(tree, old)
    _put_in(tree, renamed.to, value)
    moved = replace(layer, tree=tree, lines={**layer.lines, renamed.to: place} if place else layer.lines)
    text = f"this key is called {shown_key(renamed.to)} now; smtpguard {renamed.gone_in} will not know the old name"
    return moved, Mistake(layer.source, text, place, key, shown)


def _take_out(tree: Tree, path: KeyPath) -> None:
    table = look_up(tree, path[:-1])
    assert isinstance(table, dict)
    del table[path[-1]]
    if not table and len(path) > 1:
        _take_out(tree, path[:-1])


def _put_in(tree: Tree, path: KeyPath, value: object) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(str(key), {})
    tree[str(path[-1])] = value
