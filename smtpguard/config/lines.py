"""Where each key of a TOML text stands.

`tomllib` keeps no positions. A text that it has read whole is walked again statement by statement: a statement is the
fewest lines, from where the last one ended, that are TOML by themselves. So strings and lists over several lines,
comments and quoted keys need no rule here, and what is TOML is decided in one place.

A key path is a tuple of keys and, inside `[[…]]`, of indices, as pydantic's error locations are.
"""

import tomllib
from collections.abc import Iterator

KeyPath = tuple[str | int, ...]


def key_lines(text: str) -> dict[KeyPath, int]:
    """Map each key path, tables included, to the line (from 1) where it first stands. `text` must be valid TOML."""
    places: dict[KeyPath, int] = {}
    latest: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text):
        tree = tomllib.loads(statement)
        header = statement.lstrip().startswith("[")
        if header:
            table = _header_path(tree, latest, repeated=statement.lstrip().startswith("[["))
        for path in (table,) if header else tuple(_paths(tree, table)):
            for length in range(1, len(path) + 1):
                places.setdefault(path[:length], line)
    return places


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Give out each header and each key with its value, and the line where it begins."""
    pending, begun = "", 1
    for line, octets in enumerate(text.split("\n"), 1):
        begun = begun if pending else line
        pending += octets + "\n"
        try:
            tree = tomllib.loads(pending)
        except ValueError:
            continue
        if tree:
            yield begun, pending
        pending = ""


def _header_path(tree: dict[str, object], latest: dict[KeyPath, int], *, repeated: bool) -> KeyPath:
    """Return the path of `[a.b]` or `[[a.b]]`; under a repeated table it means the latest of its entries."""
    path: KeyPath = ()
    keys = list(_header_keys(tree))
    for place, key in enumerate(keys):
        path += (key,)
        if repeated and place == len(keys) - 1:
            latest[path] = latest.get(path, -1) + 1
        if path in latest:
            path += (latest[path],)
    return path


def _header_keys(tree: object) -> Iterator[str]:
    while isinstance(tree, dict) and tree:
        ((key, tree),) = tree.items()
        yield key


def _paths(tree: object, above: KeyPath) -> Iterator[KeyPath]:
    """Give out the paths of all values below."""
    if not isinstance(tree, dict) or not tree:
        yield above
        return
    for key, value in tree.items():
        yield from _paths(value, (*above, key))
