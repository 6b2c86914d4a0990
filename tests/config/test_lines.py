"""Where keys stand, over every shape that TOML has."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpguard.config.lines import KeyPath, key_lines

TEXT = '''\
# a comment = 1
listen = [ # [not.a.table]
  "a",
  "b",
]

"quoted key" = """
[no.table]
no-key = 1
"""
a.b.c = 1   # = 2
inline = { x = 1, y = { z = 2 } }
[policy]
mode = "observe"
 [ policy . rules ] # with blanks
SG101 = "note"
[[listener]]
name = 'one'
[listener.tls]
mode = "hide"
[[listener]]
name = "two = 2"
[listener.tls]
mode = "refuse"
[[listener.deep]]
k = 1
[[listener.deep]]
k = 2
[empty]
last = 1'''

PLACES: dict[KeyPath, int] = {
    ("listen",): 2,
    ("quoted key",): 7,
    ("a",): 11,
    ("a", "b", "c"): 11,
    ("inline", "y", "z"): 12,
    ("policy",): 13,
    ("policy", "mode"): 14,
    ("policy", "rules"): 15,
    ("policy", "rules", "SG101"): 16,
    ("listener",): 17,
    ("listener", 0): 17,
    ("listener", 0, "name"): 18,
    ("listener", 0, "tls", "mode"): 20,
    ("listener", 1): 21,
    ("listener", 1, "name"): 22,
    ("listener", 1, "tls"): 23,
    ("listener", 1, "tls", "mode"): 24,
    ("listener", 1, "deep", 0, "k"): 26,
    ("listener", 1, "deep", 1, "k"): 28,
    ("empty",): 29,
    ("empty", "last"): 30,
}


@pytest.mark.parametrize("path", PLACES, ids=str)
def test_places(path: KeyPath) -> None:
    """Each key is found on its line."""
    assert key_lines(TEXT)[path] == PLACES[path]


def test_nothing_else() -> None:
    """Neither comments nor the inside of strings are keys."""
    assert not {"no-key", "no", "not", "a comment"} & {path[0] for path in key_lines(TEXT)}


def test_empty() -> None:
    """A text without a key has no places."""
    assert key_lines("# nothing\n\n") == {}


def all_paths(tree: object, above: KeyPath = ()) -> set[KeyPath]:
    """Return every key path of a tree of tables."""
    if not isinstance(tree, dict):
        return set()
    below = {(*above, key): value for key, value in tree.items()}
    return set(below).union(*(all_paths(value, path) for path, value in below.items()))


KEYS = st.from_regex(r"[a-c]{1,2}|\"[ =\[#]\"", fullmatch=True)
VALUES = st.sampled_from(["1", "'x'", '"""\n[a]\n"""', "[\n1,\n# c\n2]", "{ a = 1 }", "{}", "[]", "1979-05-27"])
STATEMENTS = st.builds("{} = {}".format, KEYS, VALUES) | st.builds("[{}.{}]".format, KEYS, KEYS) | st.just("# [x]")


@given(st.lists(STATEMENTS, max_size=8))
def test_every_key_has_a_line(statements: list[str]) -> None:
    """Of any valid text, exactly the keys that tomllib sees are found, each on a line of it."""
    text = "\n".join(statements)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    places = key_lines(text)
    assert set(places) == all_paths(tree)
    assert all(1 <= line <= text.count("\n") + 1 for line in places.values())
