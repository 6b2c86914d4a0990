"""All sources -> one `Config`, or all that is wrong with them.

Order, the later speaks: defaults, the file, `conf.d/*.toml` beside it by name, variables of the environment, flags,
`--set`. Nothing is used of a configuration with a mistake in it.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from smtpguard.config.agreement import Complaint, disagreements, outline
from smtpguard.config.layers import (
    VARIABLE,
    Layer,
    Tree,
    lay_over,
    layer_of,
    merge,
    origin,
    read_assignment,
    read_file,
    read_variable,
)
from smtpguard.config.lines import KeyPath
from smtpguard.config.mistakes import ConfigError, Mistake
from smtpguard.config.model import INHERITED, Config
from smtpguard.config.renamed import modernised
from smtpguard.config.wording import common_path, complained, told

Flags = Mapping[str, tuple[tuple[str, ...], object]]
"""Option -> the key it stands for, in parts, and its value: `{"--observe": (("policy", "mode"), "observe")}`."""

DEFAULT_FILE: Final = Path("/etc/smtpguard/smtpguard.toml")
"""Read where no file is named, if it is there."""

FRAGMENTS: Final = "conf.d"
"""Folder beside the file; its `*.toml` are laid over it, by name."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where they come from."""

    config: Config
    files: tuple[Path, ...]
    """The files that were read, in their order."""
    layers: tuple[Layer, ...]
    warnings: tuple[Mistake, ...]
    """What will be a mistake one day: keys that have another name now."""

    def origin(self, path: KeyPath) -> str:
        """Return who set a key: `smtpguard.toml:12`, `SMTPGUARD_POLICY__MODE`, `--set`, or `default`."""
        for key in (path, common_path(path)):
            layer = origin(key, self.layers) if key else None
            if layer is not None:
                line = layer.line(key)
                return f"{layer.source}:{line}" if line else layer.source
        return "default"


def default_file(file: Path = DEFAULT_FILE) -> Path | None:
    """Return the file that is read where none is named; None: it is not there."""
    try:
        return file if file.exists() else None
    except PermissionError:
        # It may be there: that it cannot be read is told when it is.
        return file


def load(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Flags | None = None,
    assignments: Sequence[str] = (),
) -> Loaded:
    """Read the settings.

    Args:
        file: a TOML file, or None; `conf.d/*.toml` beside it are read too.
        environ: the environment; only `SMTPGUARD_*` counts.
        flags: options that stand for one setting each.
        assignments: the texts behind `--set`, in their order.

    Raises:
        ConfigError: with every mistake that can be told at once.
    """
    files, mistakes = _files(file)
    readers: list[Callable[[], Layer]] = [partial(read_file, each) for each in files]
    readers += [partial(read_variable, name, value) for name, value in _variables(environ or {})]
    readers += [partial(layer_of, option, *setting) for option, setting in (flags or {}).items()]
    readers += [partial(read_assignment, text) for text in assignments]
    layers, warnings, unreadable = _read(readers)
    mistakes += unreadable
    config, wrong = _validated(layers, complete=not mistakes)
    if mistakes or wrong or config is None:
        raise ConfigError((*mistakes, *wrong))
    return Loaded(config, tuple(files), tuple(layers), tuple(warnings))


def _files(file: Path | None) -> tuple[list[Path], list[Mistake]]:
    if file is None:
        return [], []
    folder = file.parent / FRAGMENTS
    if not os.path.lexists(folder):
        return [file], []
    try:
        fragments = sorted(each for each in folder.iterdir() if each.suffix == ".toml" and each.name[0] != ".")
    except OSError as error:
        return [file], [Mistake(str(folder), f"cannot be read: {error.strerror}")]
    # Nobody means a pipe or a device there, and reading one may have no end.
    odd = [each for each in fragments if each.exists() and not each.is_file() and not each.is_dir()]
    mistakes = [Mistake(str(each), "no regular file; take it out") for each in odd]
    return [file, *(each for each in fragments if each not in odd)], mistakes


def _variables(environ: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return sorted((name, value) for name, value in environ.items() if name.startswith(VARIABLE))


def _read(readers: Iterable[Callable[[], Layer]]) -> tuple[list[Layer], list[Mistake], list[Mistake]]:
    """Return the layers, what to warn of, and what is wrong with sources as a whole."""
    layers: list[Layer] = []
    warnings: list[Mistake] = []
    mistakes: list[Mistake] = []
    for read in readers:
        try:
            layer, old_names = modernised(read())
        except ConfigError as error:
            mistakes += error.mistakes
        else:
            layers.append(layer)
            warnings += old_names
    return layers, warnings, mistakes


def _validated(layers: Sequence[Layer], *, complete: bool) -> tuple[Config | None, list[Mistake]]:
    """Return the settings, or what is wrong with them; what a source not read would have set is not missing."""
    tree = merge(layers)
    complaints = [each for each in outline(tree) if complete or each[1] != "required"]
    errors: list[ErrorDetails] = []
    config = None
    try:
        config = Config.model_validate(_inherited(tree), by_alias=True, by_name=False)
    except ValidationError as error:
        errors = [each for each in error.errors(include_url=False) if complete or each["type"] != "missing"]
    else:
        complaints += disagreements(config)
    return config, _in_order(errors, complaints, layers)


def _inherited(tree: Tree) -> Tree:
    """Lay the common tables under those that a listener has of its own."""
    listeners = tree.get("listener")
    if not isinstance(listeners, dict):
        return tree
    whole = {name: _with_common(own, tree) if isinstance(own, dict) else own for name, own in listeners.items()}
    return {**tree, "listener": whole}


def _with_common(own: Tree, tree: Tree) -> Tree:
    common: Tree = {key: deepcopy(tree[key]) for key in INHERITED if isinstance(tree.get(key), dict)}
    lay_over(common, own)
    return common


def _in_order(
    errors: Iterable[ErrorDetails], complaints: Iterable[Complaint], layers: Sequence[Layer]
) -> list[Mistake]:
    """Say the findings source by source, and down the file; one that a listener inherits is said once."""
    mistakes = dict.fromkeys(_told(errors, complaints, layers))
    sources = [layer.source for layer in layers]
    rank = {source: sources.index(source) for source in sources}
    return sorted(mistakes, key=lambda each: (rank.get(each.source, 0), each.line))


def _told(
    errors: Iterable[ErrorDetails], complaints: Iterable[Complaint], layers: Sequence[Layer]
) -> Iterator[Mistake]:
    for path, allowed in complaints:
        yield complained(path, allowed, layers)
    for error in errors:
        common = common_path(error["loc"])
        if not (common and origin(error["loc"], layers) is None and origin(common, layers) is not None):
            yield told(error, layers)
