"""Settings as TOML: the sample file is at the defaults, what is shown can be loaded again and names its origin."""

from pathlib import Path

import pytest

from smtpguard.config import Address, Config, Loaded, listeners_of, load
from smtpguard.config.describe import sections
from smtpguard.config.values import Octets, parse_size
from smtpguard.config.written import Shown, as_toml, example, shown, value_text

LARGE = """\
listen = "127.0.0.1:2525"
upstream = ["mx.example.net:25", "[2001:db8::1]:25"]
user = "nobody"
[policy]
mode = "observe"
rules = { SG105 = "note" }
unsafe-forwarded-verbs = ["XCLIENT", "PROXY"]
[timeouts]
command = 90.5
reply = "2h"
[audit]
directory = "/var/a \\"b\\u007f\\u00e9"
[[listener]]
name = "public"
address = ["0.0.0.0:25"]
[listener.policy]
mode = "enforce"
rules.SG101 = "off"
[[listener]]
name = "inner"
address = ["[::1]:26"]
upstream = "127.0.0.1:27"
"""


def loaded(folder: Path, text: str, *assignments: str) -> Loaded:
    """Load a file of this text."""
    file = folder / "smtpguard.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, assignments=assignments)


# --- one value -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ('a"\\\n\x7fé', '"a\\"\\\\\\n\\u007fé"'),
        (True, "true"),
        (3, "3"),
        (["a", "b"], '["a", "b"]'),
        ([], "[]"),
        ({"SG101": "note", "odd key": 1}, "{ SG101 = \"note\", 'odd key' = 1 }"),
    ],
)
def test_value_text(value: object, text: str) -> None:
    """TOML's spelling of each kind of value."""
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, '"1s"'), (60, '"1m"'), (90, '"90s"'), (7200, '"2h"'), (0.25, "0.25"), (90.5, "90.5")]
)
def test_durations(seconds: float, text: str) -> None:
    """A duration has the largest unit in which it is whole."""
    assert value_text(seconds, lasting=True) == text


@pytest.mark.parametrize(
    ("octets", "text"),
    [(0, "0"), (999, "999"), (1000, '"1KB"'), (2_000_000_000, '"2GB"'), (1 << 30, '"1GiB"'), (1536, "1536")],
)
def test_sizes(octets: int, text: str) -> None:
    """A size has the largest unit in which it is whole."""
    assert value_text(Octets(octets)) == text
    assert parse_size(text.strip('"')) == octets


# --- the sample file -------------------------------------------------------------------------------------------------


def test_the_sample_is_at_the_defaults(tmp_path: Path) -> None:
    """It loads without a word, and gives what nobody set, but for the two required keys."""
    sample = loaded(tmp_path, example())
    assert sample.warnings == ()
    assert sample.config == Config(listen=(Address("127.0.0.1", 2525),), upstream=(Address("127.0.0.1", 25),))


def test_the_sample_has_every_setting() -> None:
    """Each key stands in it with its description; those of a listener's own tables stand in the common ones."""
    prose = " ".join(line.removeprefix("# ") for line in example().splitlines())
    for section in sections():
        for setting in section.settings if len(section.path) < 3 else ():
            assert f"{setting.key} = " in example() or f"[policy.{setting.key}]" in example()
            assert setting.description in prose


COMMENTED = [place for place, line in enumerate(example().splitlines()) if line.startswith("#") and line[1:2] != " "]


@pytest.mark.parametrize("place", COMMENTED)
def test_each_line_of_the_sample_can_be_uncommented(tmp_path: Path, place: int) -> None:
    """Taking one # away gives a good file; of a listener, its lines up to there; a group goes with a user."""
    lines = example().splitlines()
    block = next((start for start, line in enumerate(lines) if line == "#[[listener]]"), len(lines))
    address = next(start for start, line in enumerate(lines) if line.startswith("#address = "))
    taken = {place} if place < block else {line for line in COMMENTED if block <= line <= max(place, address)}
    if lines[place].startswith("#group"):
        taken.add(lines.index('#user = "smtpguard"'))
    changed = [line[1:] if number in taken else line for number, line in enumerate(lines)]
    loaded(tmp_path, "\n".join(changed) + "\n")


def test_the_sample_fits_a_screen() -> None:
    """No line is longer than 100 characters."""
    assert max(map(len, example().splitlines())) <= 100


# --- what is in force ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origins", [False, True])
@pytest.mark.parametrize("only_changed", [False, True])
def test_what_is_shown_can_be_loaded_again(tmp_path: Path, origins: bool, only_changed: bool) -> None:
    """All settings, or only those that differ from their defaults: the same configuration comes out."""
    first = loaded(tmp_path, LARGE, "limits.sessions=5")
    rows = [row for row in shown(first) if row.changed or not only_changed]
    second = loaded(tmp_path, as_toml(rows, origins=origins))
    assert listeners_of(second.config) == listeners_of(first.config)
    # A listener without an UPSTREAM of its own is shown with the one that it has.
    assert second.config.model_copy(update={"listener": {}}) == first.config.model_copy(update={"listener": {}})


def by_key(source: Loaded) -> dict[tuple[str | int, ...], Shown]:
    """Map the paths of the settings in force to their rows."""
    return {row.path: row for row in shown(source)}


def test_origins(tmp_path: Path) -> None:
    """Each row says who set it; what a listener inherits has the origin of the common key."""
    rows = by_key(loaded(tmp_path, LARGE, "limits.sessions=5"))
    file = tmp_path / "smtpguard.toml"
    assert rows[("user",)].origin == f"{file}:3"
    assert rows[("group",)].origin == "default"
    assert rows[("limits", "sessions")].origin == "--set"
    assert rows[("policy", "rules", "SG105")].origin == f"{file}:6"
    assert rows[("listener", "public", "policy", "mode")].origin == f"{file}:17"
    assert rows[("listener", "inner", "policy", "mode")].origin == f"{file}:5"


def test_changed(tmp_path: Path) -> None:
    """A row is changed if it differs from the default; in a listener, from the common settings."""
    rows = by_key(loaded(tmp_path, LARGE))
    changed = {path for path, row in rows.items() if row.changed}
    assert {("policy", "mode"), ("policy", "rules", "SG105"), ("timeouts", "reply"), ("user",)} <= changed
    assert ("listener", "public", "policy", "mode") in changed
    assert not changed & {("group",), ("tls", "mode"), ("listener", "inner", "policy", "mode")}
    assert not changed & {("listener", "inner", "policy", "rules", "SG105"), ("listener", "public", "upstream")}


def test_unset_settings_are_comments(tmp_path: Path) -> None:
    """TOML has no word for unset."""
    text = as_toml(shown(loaded(tmp_path, "listen = '[::1]:25'\nupstream = '[::1]:26'\n")), origins=True)
    assert "\n# sessions is unset                           # default\n" in text
    assert 'upstream = ["[::1]:26"]                       # ' in text
