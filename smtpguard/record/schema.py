"""The shape of the audit's lines as JSON Schema (draft 2020-12), for validators, collectors and generators of code.

Made from `shapes`, which is what is written: msgspec tells names, types and defaults, the descriptions are the
docstrings of classes and fields there. A line is one of two objects, told apart by `event.action`. Names that are not
in it are no mistake of a line: a later smtpguard may add some without a new `smtp.schema`.
"""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import msgspec

from smtpguard.record import shapes
from smtpguard.record.shapes import SCHEMA, FindingRecord, SessionEndRecord

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

SCHEMA_ID: Final = f"urn:smtpguard:audit:{SCHEMA}"

_TITLES: Final = {"FindingRecord": "finding", "SessionEndRecord": "session end"}
_END: Final = "session-end"


def audit_schema() -> dict[str, Any]:
    """Return the schema of one line."""
    references, parts = msgspec.json.schema_components((FindingRecord, SessionEndRecord), ref_template="#/$defs/{name}")
    for part in parts.values():
        for shape in part.get("properties", {}).values():
            _never_null(shape)
    for name, field, text in _documented():
        # An array-like struct has no names in its schema; what its places are stands in its own description.
        shape = parts.get(name, {}).get("properties", {}).get(field)
        if shape is not None:
            shape["description"] = text
    for name, title in _TITLES.items():
        parts[name]["title"] = title
    finding, end = parts["EventPart"], parts["ShortEvent"]
    actions = finding["properties"]["action"]
    finding["properties"]["action"] = actions | {"enum": [each for each in actions["enum"] if each != _END]}
    end["properties"]["action"] = {"const": _END}
    # msgspec leaves out of `required` what has a default, also where the default is written.
    end["required"] = ["action", *end["required"]]
    return {
        "$schema": DIALECT,
        "$id": SCHEMA_ID,
        "title": "smtpguard audit event",
        "description": "One line of DIRECTORY/events/DAY/HOST-wN-HOUR.jsonl.",
        "oneOf": list(references),
        "$defs": parts,
    }


def _never_null(shape: dict[str, Any]) -> None:
    """Take null out of what a field may be: what would be null is absent."""
    kinds = [kind for kind in shape.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del shape["anyOf"], shape["default"]
        shape.update(kinds[0])


def _documented() -> Iterator[tuple[str, str, str]]:
    """Give out class, field and docstring of what `shapes` documents; nothing where its source is not at hand."""
    try:
        tree = ast.parse(inspect.getsource(shapes))
    except OSError:
        return
    for owner in (each for each in tree.body if isinstance(each, ast.ClassDef)):
        for field, text in pairwise(owner.body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                    yield owner.name, name, inspect.cleandoc(said)
