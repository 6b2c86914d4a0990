"""pydantic's findings in our words.

`WORDS` has a row for each kind of finding that the settings can give; a kind without a row keeps pydantic's own
sentence. The value shown is the one that the person wrote, not what a reader made of it on the way.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from smtpguard.config.layers import Layer, look_up
from smtpguard.config.lines import KeyPath
from smtpguard.config.mistakes import Mistake, shown_key, shown_value
from smtpguard.config.model import Config, Table
from smtpguard.config.values import meant, one_of, similar

_QUOTED: Final = re.compile(r"'([^']*)'")


def told(error: ErrorDetails, layers: Sequence[Layer]) -> Mistake:
    """Say one finding; `layers` as they were merged, the strongest last."""
    path, allowed = error["loc"], WORDS.get(error["type"], _as_said)(error)
    if error["type"] == "missing":
        return Mistake(_home(layers), allowed, key=shown_key(path))
    # A location may go deeper than what was written: one text that stands for a list of one.
    while not (holders := [layer for layer in layers if layer.holds(path)]):
        path = path[:-1]
    layer = holders[-1]
    value = shown_value(look_up(layer.tree, path))
    return Mistake(layer.source, allowed, line=layer.line(path), key=shown_key(path), shown=value)


def _home(layers: Sequence[Layer]) -> str:
    """Return where a key that nobody set could stand."""
    return next((layer.source for layer in layers if layer.lines), "command line")


def _unknown(error: ErrorDetails) -> str:
    *above, key = error["loc"]
    table = table_at(tuple(above))
    keys = list(fields_of(table))
    if similar(str(key), keys):
        return f"unknown key{meant(str(key), keys)}"
    elsewhere = [shown_key(path) for path in settings(Config) if path[-1] == str(key).replace("_", "-")]
    if elsewhere:
        return f"unknown key; did you mean {' or '.join(map(repr, elsewhere))}?"
    return f"unknown key; {shown_key(tuple(above)) or 'the top level'} has {', '.join(keys)}"


def _missing(error: ErrorDetails) -> str:
    key = shown_key(error["loc"])
    description = (field_at(error["loc"]).description or "").removesuffix(".")
    return f"required ({description}); set it in the file or say --{key} HOST:PORT"


def _number(error: ErrorDetails) -> str:
    bounds = {type(each).__name__: each for each in field_at(error["loc"]).metadata}
    low, high = getattr(bounds.get("Ge"), "ge", None), getattr(bounds.get("Le"), "le", None)
    return f"a whole number from {low} to {high}" if high is not None else f"a whole number, {low} or more"


def _choice(error: ErrorDetails) -> str:
    return one_of(error["input"], _QUOTED.findall(error["ctx"]["expected"]))


def _value_error(error: ErrorDetails) -> str:
    return str(error["ctx"]["error"])


def _as_said(error: ErrorDetails) -> str:
    return error["msg"]


def _always(words: str) -> Callable[[ErrorDetails], str]:
    return lambda _: words


WORDS: Final[dict[str, Callable[[ErrorDetails], str]]] = {
    "extra_forbidden": _unknown,
    "missing": _missing,
    "value_error": _value_error,
    "enum": _choice,
    "int_type": _number,
    "greater_than_equal": _number,
    "less_than_equal": _number,
    "bool_type": _always("true or false"),
    "tuple_type": _always("a list in [ ]"),
    "frozen_set_type": _always("a list in [ ]"),
    "too_short": _always("one entry at least"),
    "model_type": _always("a table of settings"),
    "dict_type": _always("a table of settings"),
}


def fields_of(table: type[Table]) -> dict[str, FieldInfo]:
    """Map the keys of a table, as the file has them, to its fields."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def settings(table: type[Table], above: KeyPath = ()) -> Iterator[KeyPath]:
    """Give out the path of every setting below a table, tables left out."""
    for key, field in fields_of(table).items():
        inner = inner_table(field)
        if inner:
            yield from settings(inner, (*above, key))
        else:
            yield (*above, key)


def inner_table(field: FieldInfo) -> type[Table] | None:
    """Return the table that a field is, None for a single setting."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Table) else None


def field_at(path: KeyPath) -> FieldInfo:
    """Return the field at a key path."""
    return fields_of(table_at(path[:-1]))[str(path[-1])]


def table_at(path: KeyPath) -> type[Table]:
    """Return the table at a key path."""
    return (path and inner_table(field_at(path))) or Config
