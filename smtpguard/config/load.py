"""All sources -> one `Config`, or all that is wrong with them.

Order, the later speaks: defaults, file, flags, `--set`. Nothing is used of a configuration with a mistake in it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from smtpguard.config.layers import Layer, layer_of, merge, read_assignment, read_file
from smtpguard.config.mistakes import ConfigError, Mistake
from smtpguard.config.model import Config
from smtpguard.config.wording import told

Flags = Mapping[str, tuple[tuple[str, ...], object]]
"""Option -> the key it stands for, in parts, and its value: `{"--observe": (("policy", "mode"), "observe")}`."""


def load(file: Path | None = None, *, flags: Flags | None = None, assignments: Sequence[str] = ()) -> Config:
    """Read the settings.

    Args:
        file: a TOML file, or None.
        flags: options that stand for one setting each.
        assignments: the texts behind `--set`, in their order.

    Raises:
        ConfigError: with every mistake that can be told at once.
    """
    layers, mistakes = _read(file, flags or {}, assignments)
    try:
        config = Config.model_validate(merge(layers), by_alias=True, by_name=False)
    except ValidationError as error:
        # What an unreadable source would have set is not known to be missing.
        known = [each for each in error.errors(include_url=False) if each["type"] != "missing" or not mistakes]
        raise ConfigError((*mistakes, *_in_order(known, layers))) from None
    if mistakes:
        raise ConfigError(tuple(mistakes))
    return config


def _in_order(errors: Sequence[ErrorDetails], layers: Sequence[Layer]) -> list[Mistake]:
    """Say the findings source by source, and down the file."""
    sources = [layer.source for layer in layers]
    rank = {source: sources.index(source) for source in sources}
    return sorted((told(each, layers) for each in errors), key=lambda each: (rank.get(each.source, 0), each.line))


def _read(file: Path | None, flags: Flags, assignments: Sequence[str]) -> tuple[list[Layer], list[Mistake]]:
    readers: list[Callable[[], Layer]] = [partial(read_file, file)] if file else []
    readers += [partial(layer_of, option, *setting) for option, setting in flags.items()]
    readers += [partial(read_assignment, text) for text in assignments]
    layers: list[Layer] = []
    mistakes: list[Mistake] = []
    for read in readers:
        try:
            layers.append(read())
        except ConfigError as error:
            mistakes += error.mistakes
    return layers, mistakes
