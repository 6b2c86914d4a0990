"""The rows of the settings: each is there, with words and a schema that say what the settings really take."""

from typing import Any

import pytest
from pydantic import ValidationError

from smtpguard.config import Config
from smtpguard.config.describe import EXAMPLES, NAME, Section, Setting, schema, sections
from smtpguard.config.wording import settings
from smtpguard.smtp import CATALOGUE
from tests.config.broken import BROKEN, GOOD

SETTINGS = [setting for section in sections() for setting in section.settings]


def row(*path: str) -> Setting:
    """Return the row of a key."""
    return next(setting for setting in SETTINGS if setting.path == path)


def test_every_setting_has_a_row() -> None:
    """No setting is left out, and each says what it is for and what it may be."""
    paths = [setting.path for setting in SETTINGS]
    assert set(settings(Config)) == {path for path in paths if path[0] != "listener"}
    assert len(set(paths)) == len(paths)
    assert all(setting.description.endswith(".") and setting.allowed for setting in SETTINGS)


def test_every_table_is_described() -> None:
    """A table says what it is about; those of a listener too."""
    tables = {section.path: section.description for section in sections() if section.path}
    assert {("policy",), ("tls",), ("listener", NAME), ("listener", NAME, "policy")} <= set(tables)
    assert all(tables.values())


def test_what_has_no_default_has_an_example() -> None:
    """And the table of examples has no row for a setting that is gone."""
    needed = {each.path for each in SETTINGS if each.default in (None, [], {}) and len(each.path) < 4}
    assert set(EXAMPLES) == needed


@pytest.mark.parametrize(
    ("path", "allowed", "default"),
    [
        (("policy", "mode"), "enforce, observe", "enforce"),
        (("policy", "reply-rule-id"), "true or false", True),
        (("timeouts", "command"), 'seconds, or text such as "30s", "5m", "1h"', 300),
        (("audit", "retention-size"), 'octets, or text such as "500MB", "2GB", "1GiB"', 2_000_000_000),
        (("audit", "transcript"), "on-finding, always, never", "on-finding"),
        (("limits", "command-line"), "a whole number from 512 to 12288", 4096),
        (("limits", "sessions"), "a whole number, 1 or more", None),
        (("log", "target"), "stdout, stderr, journal, syslog, or a path with a '/' in it", "stdout"),
        (("user",), "the name of an account", None),
        (("policy", "rules"), "a table: rule id = off, note, refuse, close", {}),
    ],
)
def test_rows(path: tuple[str, ...], allowed: str, default: object) -> None:
    """One row of each kind."""
    assert (row(*path).allowed, row(*path).default) == (allowed, default)


def test_sections_of_a_configuration() -> None:
    """The tables of the listeners that there are, by their names."""
    config = Config.model_validate({"listener": {"a": {"address": "[::1]:1"}, "b": {"address": "[::1]:2"}}})
    found = [section.path[1] for section in sections(config) if section.path[:1] == ("listener",)]
    assert list(dict.fromkeys(found)) == ["a", "b"]
    assert isinstance(sections(config)[0], Section)


# --- the JSON schema -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validator() -> Any:
    """Return what validates a file; the schema itself is a good one of its draft."""
    jsonschema = pytest.importorskip("jsonschema")
    whole = schema()
    jsonschema.Draft202012Validator.check_schema(whole)
    return jsonschema.Draft202012Validator(whole)


def tree_of(text: str | bytes) -> Any:
    """Return a file as a tree, None where it is no TOML."""
    import tomllib

    try:
        return tomllib.loads(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError):
        return None


LARGE = """
listen = ["127.0.0.1:2525", "[::1]:2525"]
upstream = "mx-inside.example.net:10025"
user = "_smtp-guard$"
timeouts = { command = "5m", reply = 330, content = "0.5s" }
audit = { directory = "audit", retention-size = "1.5GiB", transcript-always = "192.0.2.0/24" }
[policy]
mode = "observe"
rules = { SG101 = "note", SG504 = "off" }
unsafe-forwarded-verbs = ["XCLIENT"]
[log]
target = "/var/log/smtpguard.log"
[[listener]]
name = "public"
address = ["0.0.0.0:25"]
[listener.policy]
profile = "strict"
"""


@pytest.mark.parametrize("text", ["", GOOD, LARGE])
def test_good_files(validator: Any, text: str) -> None:
    """What can be loaded is valid."""
    assert not list(validator.iter_errors(tree_of(text)))


BEYOND = {
    "relay to ourselves by another name", "relay to ourselves by another loopback address",
    "empty file", "relay to ourselves", "twice the same port", "bad address without a list", "too large",
    "fraction for a number", "endless duration", "network in both lists", "refuse without evidence",
}  # fmt: skip
"""What a schema cannot say: keys that may stand elsewhere, settings that disagree, port numbers, spellings of IPv6, the
size of a file, 1.0 (an integer to JSON), infinity (no number to JSON)."""


@pytest.mark.parametrize(
    "name", [name for name, (text, _) in BROKEN.items() if name not in BEYOND and tree_of(text) is not None]
)
def test_broken_files(validator: Any, name: str) -> None:
    """What `load` refuses because of a key or a single value is not valid."""
    assert list(validator.iter_errors(tree_of(BROKEN[name][0])))


@pytest.mark.parametrize("setting", [each for each in SETTINGS if each.default is not None], ids=lambda each: each.key)
def test_defaults_are_valid(validator: Any, setting: Setting) -> None:
    """The default of a key is one of the values that its shape allows."""
    assert not list(validator.evolve(schema=dict(setting.shape)).iter_errors(setting.default))


def test_rules_that_cannot_be_changed_are_no_keys() -> None:
    """An editor does not offer what `load` would refuse."""
    rules = schema()["properties"]["policy"]["properties"]["rules"]["properties"]
    assert set(rules) == {rule.id for rule in CATALOGUE.values() if not rule.safe}
    for rule_id, shape in rules.items():
        for verdict in shape["enum"]:
            Config.model_validate({"policy": {"rules": {rule_id: verdict}}})
    with pytest.raises(ValidationError):
        Config.model_validate({"policy": {"rules": {"SG504": "close"}}})
    assert rules["SG504"]["enum"] == ["off", "note"]


@pytest.mark.parametrize("name", sorted(BEYOND))
def test_what_is_beyond_a_schema(validator: Any, name: str) -> None:
    """The list of what it cannot say is true: these files are valid, or are no JSON at all."""
    tree = tree_of(BROKEN[name][0])
    assert tree is None or not list(validator.iter_errors(tree))
