"""Places that cannot be written are told before the start, with the cure; nothing is made."""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from smtpguard.config import Address, AddressPrivacy, AuditSettings, Config, LogSettings, PrivacySettings
from smtpguard.service import StartupError
from smtpguard.service.account import Account, acting_as
from smtpguard.service.places import examine_places, privacy_key, troubles

NOBODY = pwd.getpwnam("nobody")
WHOM = Account("nobody", NOBODY.pw_uid, NOBODY.pw_gid, (NOBODY.pw_gid,))
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root can act as another account")


def places(audit: Path | None = None, log: str = "stdout") -> Config:
    """Return a configuration with these places."""
    address = (Address("127.0.0.1", 25),)
    return Config(listen=address, upstream=address, audit=AuditSettings(directory=audit), log=LogSettings(target=log))


def hashing(directory: Path) -> Config:
    """Return a configuration that wants a key in a directory."""
    privacy = PrivacySettings(addresses=AddressPrivacy.HASH)
    return places(directory).model_copy(update={"privacy": privacy})


def test_the_key_of_tokens(tmp_path: Path) -> None:
    """None is needed, and none made, unless addresses are hashed; asking makes none; the start makes it, once."""
    assert privacy_key(places(tmp_path)) == privacy_key(hashing(tmp_path).model_copy(update={"audit": AuditSettings()}))
    assert list(troubles(hashing(tmp_path))) == []
    assert list(tmp_path.iterdir()) == []
    key = privacy_key(hashing(tmp_path))
    assert len(key) == 32
    assert privacy_key(hashing(tmp_path)) == key
    assert list(troubles(hashing(tmp_path))) == []


def test_a_key_that_is_none(tmp_path: Path) -> None:
    """It is a trouble before the start, and at the start, with the same words."""
    key = tmp_path / "privacy.key"
    key.write_text("secret")
    (told,) = troubles(hashing(tmp_path))
    assert told == (
        f"privacy.addresses = hash: {key} holds no key of 32 octets in hexadecimal; restore it, or remove it and have "
        "other tokens from then on"
    )
    with pytest.raises(StartupError, match="restore it, or remove it"):
        privacy_key(hashing(tmp_path))
    key.unlink()
    key.mkdir()
    (told,) = troubles(hashing(tmp_path))
    assert told.startswith(f"privacy.addresses = hash: {key}: Is a directory; ")


def test_all_right(tmp_path: Path) -> None:
    """What is there, and what can be made, is no trouble; nothing is made by asking."""
    (tmp_path / "log").touch()
    for audit, log in ((None, "stdout"), (tmp_path, str(tmp_path / "log")), (tmp_path / "a/b", str(tmp_path / "new"))):
        assert list(troubles(places(audit, log))) == []
        examine_places(places(audit, log))
    assert [each.name for each in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize(
    ("audit", "log", "said"),
    [
        ("file", None, "audit.directory = file: no directory; name one"),
        ("file/events", None, "audit.directory = file/events: file is no directory; name one"),
        (None, "folder/", "log.target = folder/: a directory; name a file in it"),
        (None, "none/log", "log.target = none/log: no such directory; name a file in one that exists, or stdout"),
        (
            None,
            "file/log",
            "log.target = file/log: Not a directory; name a file in a directory that exists, or stdout",
        ),
    ],
)
def test_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audit: str | None, log: str | None, said: str
) -> None:
    """Each trouble has its sentence."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    found = [
        line.replace(f"{tmp_path}/", "") for line in troubles(places(Path(audit) if audit else None, log or "stdout"))
    ]
    assert found == [said]


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder that every account may enter, and go there."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.chdir(folder)
        yield Path(folder)
        monkeypatch.undo()


@AS_ROOT
def test_no_right(public: Path) -> None:
    """What the account may not write is told with its name, all of it at once."""
    (public / "log").touch()
    with acting_as(WHOM), pytest.raises(StartupError) as raised:
        examine_places(places(Path("events"), "./log"))
    assert str(raised.value).replace(str(public), "HERE").splitlines() == [
        "audit.directory = events: the account nobody may not make it in HERE; `install -d -o nobody events` makes it",
        "log.target = ./log: the account nobody may not write it; log to stdout, or elsewhere",
    ]


@AS_ROOT
@pytest.mark.parametrize(
    ("audit", "log", "said"),
    [
        (".", "stdout", "audit.directory = .: the account nobody may not write there; `chown nobody .` lets it"),
        (None, "./new", "log.target = ./new: the account nobody may not make files in HERE; log to stdout, or "
         "elsewhere"),
        ("shut/in", "stdout", "audit.directory = shut/in: Permission denied for the account nobody; name a directory "
         "that it may enter"),
        (None, "shut/log", "log.target = shut/log: Permission denied for the account nobody; name a file in a "
         "directory that exists, or stdout"),
    ],
)  # fmt: skip
def test_no_right_there(public: Path, audit: str | None, log: str, said: str) -> None:
    """The directory itself, a log file that is still to be made, a way that is shut."""
    (public / "shut").mkdir(mode=0o700)
    with acting_as(WHOM):
        (found,) = troubles(places(Path(audit) if audit else None, log))
    assert found.replace(str(public), "HERE") == said
