"""pydantic's findings in our words.

`WORDS` has a row for each kind of finding that the settings can give; a kind without a row keeps pydantic's own
sentence. The value shown is the one that the person wrote, not what a reader made of it on the way.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, get_args

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from smtpguard.config.layers import MISSING, Layer, look_up, origin
from smtpguard.config.lines import KeyPath
from smtpguard.config.mistakes import Mistake, shown_key, shown_value
from smtpguard.config.model import INHERITED, Config, Table
from smtpguard.config.values import meant, one_of, similar

_QUOTED: Final = re.compile(r"'([^']*)'")


def told(error: ErrorDetails, layers: Sequence[Layer]) -> Mistake:
    """Say one finding; `layers` as they were merged, the strongest last."""
    path, allowed = error["loc"], WORDS.get(error["type"], _as_said)(error)
    if error["type"] == "missing":
        return Mistake(_home(path, layers), allowed, key=shown_key(path))
    return _placed(path, allowed, layers)


def complained(path: KeyPath, allowed: str, layers: Sequence[Layer]) -> Mistake:
    """Say what `agreement` found; "required" is what is missing."""
    if allowed == "required":
        return Mistake(_home(path, layers), _required(path), key=shown_key(path))
    common = common_path(path)
    return _placed(common if common and origin(path, layers) is None else path, allowed, layers)


def common_path(path: KeyPath) -> KeyPath:
    """Return the common key that holds where a listener has none of its own; () where there is none."""
    listeners = path[:1] == ("listener",) and len(path) > 2 and path[2] in (*INHERITED, "upstream", "upstream-choice")
    return path[2:] if listeners else ()


def _placed(path: KeyPath, allowed: str, layers: Sequence[Layer]) -> Mistake:
    layer, path = _speaker(path, layers)
    value = shown_value(look_up(layer.tree, path))
    return Mistake(layer.source, allowed, line=layer.line(path), key=shown_key(path), shown=value)


def _speaker(path: KeyPath, layers: Sequence[Layer]) -> tuple[Layer, KeyPath]:
    """Return the layer whose value counted, and how deep into the path it goes.

    A location may go deeper than what was written: one text that stands for a list of one. And a later text or list
    stands for all of an earlier list, so the earlier one is not to blame, though it has such an entry.
    """
    for layer in reversed(layers):
        for length in range(len(path), 0, -1):
            value = look_up(layer.tree, path[:length])
            if value is not MISSING and (length == len(path) or not isinstance(value, dict)):
                return layer, path[:length]
    # Only tables around it were written.
    while (around := origin(path, layers)) is None:
        path = path[:-1]
    return around, path


def _home(path: KeyPath, layers: Sequence[Layer]) -> str:
    """Return where a key that nobody set could stand."""
    around = origin(path[:-1], layers) if len(path) > 1 else None
    return around.source if around else next((layer.source for layer in layers if layer.lines), "command line")


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
    return _required(error["loc"])


def _required(path: KeyPath) -> str:
    description = (field_at(path).description or "").removesuffix(".")
    option = f" or say --{path[0]} HOST:PORT" if len(path) == 1 else ""
    return f"required ({description}); set it in the file{option}"


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
    "mapping_type": _always("a table of settings"),
}


def fields_of(table: type[Table]) -> dict[str, FieldInfo]:
    """Map the keys of a table, as the file has them, to its fields."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def settings(table: type[Table], above: KeyPath = ()) -> Iterator[KeyPath]:
    """Give out the path of every setting below a table; tables and listeners left out."""
    for key, field in fields_of(table).items():
        inner = inner_table(field)
        if inner:
            yield from settings(inner, (*above, key))
        elif not named_table(field):
            yield (*above, key)


def inner_table(field: FieldInfo) -> type[Table] | None:
    """Return the table that a field is, None for a single setting."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Table) else None


def named_table(field: FieldInfo) -> type[Table] | None:
    """Return what each entry of the field is, where it holds tables by name."""
    kinds = [kind for kind in get_args(field.annotation) if isinstance(kind, type) and issubclass(kind, Table)]
    return kinds[0] if kinds else None


def field_at(path: KeyPath) -> FieldInfo:
    """Return the field at a key path."""
    return fields_of(table_at(path[:-1]))[str(path[-1])]


def table_at(path: KeyPath) -> type[Table]:
    """Return the table at a key path."""
    table: type[Table] = Config
    keys = iter(path)
    for key in keys:
        field = fields_of(table)[str(key)]
        named = named_table(field)
        if named:
            next(keys, None)
        table = named or inner_table(field) or Config
    return table
