"""Can evidence and log be written where the configuration wants them? Told before the first client, nothing is made."""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from smtpguard.config import AddressPrivacy, Config
from smtpguard.record import make_directory, read_key
from smtpguard.service.startup import StartupError


def examine_places(config: Config) -> None:
    """See whether the account that we are may write everything.

    Raises:
        StartupError: it may not; what was found with all of them, a line each.
    """
    found = list(troubles(config))
    if found:
        raise StartupError("\n".join(found))


def make_places(config: Config) -> None:
    """Make the directory of the evidence, where it is missing.

    Raises:
        StartupError: it cannot be made, for a reason that rights do not show.
    """
    directory = config.audit.directory
    try:
        if directory is not None:
            make_directory(directory)
    except OSError as error:
        raise StartupError(f"audit.directory = {directory}: {error.strerror}; name one that can be made") from error


def privacy_key(config: Config) -> bytes:
    """Return the key that mail addresses are hashed with, made at its first use; nothing where none is needed.

    Raises:
        StartupError: it cannot be read or made, or is none.
    """
    if not _needs_key(config):
        return b""
    assert config.audit.directory
    try:
        return read_key(config.audit.directory)
    except (OSError, ValueError) as error:
        raise StartupError(_about_key(error)) from error


def _needs_key(config: Config) -> bool:
    return config.audit.directory is not None and config.privacy.addresses is AddressPrivacy.HASH


def _about_key(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return f"privacy.addresses = hash: {error.filename}: {error.strerror}; {_account()} must be able to read it"
    return f"privacy.addresses = hash: {error}; restore it, or remove it and have other tokens from then on"


def troubles(config: Config) -> Iterator[str]:
    """Give out `key = path: what is wrong; cure` for each place that cannot be written."""
    directory = config.audit.directory
    if directory is not None and (trouble := _directory(directory)):
        yield f"audit.directory = {directory}: {trouble}"
    if _needs_key(config) and (told := _key(config)):
        yield told
    if "/" in config.log.target and (trouble := _file(Path(config.log.target))):
        yield f"log.target = {config.log.target}: {trouble}"


def _key(config: Config) -> str:
    assert config.audit.directory
    try:
        read_key(config.audit.directory, make=False)
    except FileNotFoundError:
        # It is made at the start.
        return ""
    except (OSError, ValueError) as error:
        return _about_key(error)
    return ""


def _directory(path: Path) -> str:
    """Say why no files can be made in a directory, which is made itself where it is missing."""
    made = path.absolute()
    while isinstance(found := _mode(made), FileNotFoundError | NotADirectoryError):
        made = made.parent
    itself = made == path.absolute()
    if isinstance(found, OSError):
        return _said(found, "name a directory that it may enter")
    if not stat.S_ISDIR(found):
        return "no directory; name one" if itself else f"{made} is no directory; name one"
    if _may(made, os.W_OK | os.X_OK):
        return ""
    name = _account()
    if itself:
        return f"the account {name} may not write there; `chown {name} {path}` lets it"
    return f"the account {name} may not make it in {made}; `install -d -o {name} {path}` makes it"


def _file(path: Path) -> str:
    found = _mode(path)
    if isinstance(found, FileNotFoundError):
        return _new_file(path.absolute().parent)
    if isinstance(found, OSError):
        return _said(found, "name a file in a directory that exists, or stdout")
    if stat.S_ISDIR(found):
        return "a directory; name a file in it"
    return "" if _may(path, os.W_OK) else f"the account {_account()} may not write it; log to stdout, or elsewhere"


def _new_file(parent: Path) -> str:
    if isinstance(_mode(parent), FileNotFoundError):
        return "no such directory; name a file in one that exists, or stdout"
    if _may(parent, os.W_OK | os.X_OK):
        return ""
    return f"the account {_account()} may not make files in {parent}; log to stdout, or elsewhere"


def _mode(path: Path) -> int | OSError:
    try:
        return path.stat().st_mode
    except OSError as error:
        return error


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=True)


def _said(error: OSError, cure: str) -> str:
    whom = f" for the account {_account()}" if isinstance(error, PermissionError) else ""
    return f"{error.strerror}{whom}; {cure}"


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
