"""pydantic's findings in our words; the sentences themselves are compared in `test_load`."""

from pydantic_core import ErrorDetails

from smtpguard.config import Config
from smtpguard.config.layers import layer_of
from smtpguard.config.wording import WORDS, field_at, settings, table_at, told


def test_unforeseen_kind() -> None:
    """A kind of finding that has no row keeps pydantic's sentence, with our place, key and value."""
    error = ErrorDetails(type="brand_new", loc=("log", "level"), msg="Input should be new", input="old")
    layers = [layer_of("--set", ("log", "level"), "loud"), layer_of("--set", ("log", "format"), "text")]
    assert "brand_new" not in WORDS
    assert str(told(error, layers)) == "--set: log.level = 'loud': Input should be new"


def test_strongest_source_is_blamed() -> None:
    """Of two sources that set a key the one whose value counted is named."""
    error = ErrorDetails(type="bool_type", loc=("policy", "reply-rule-id"), msg="", input=2)
    layers = [layer_of("--first", ("policy", "reply-rule-id"), 1), layer_of("--set", ("policy",), {"reply-rule-id": 2})]
    assert str(told(error, layers)) == "--set: policy.reply-rule-id = 2: true or false"


def test_paths_lead_to_their_fields() -> None:
    """Each setting is found by its path, in the table that its path names."""
    for path in settings(Config):
        assert field_at(path) in table_at(path[:-1]).model_fields.values()
