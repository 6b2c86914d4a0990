"""The account that smtpguard runs as. Becoming another one is seen end to end in `test_run`."""

import grp
import os
import pwd

import pytest

from smtpguard.config import Address, Config
from smtpguard.service import StartupError
from smtpguard.service.account import Account, account, acting_as

NOBODY = pwd.getpwnam("nobody")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root can become another account")


def config(user: str | None, group: str | None = None) -> Config:
    """Return a configuration that names an account."""
    return Config(listen=(Address("127.0.0.1", 25),), upstream=(Address("127.0.0.1", 26),), user=user, group=group)


def test_nobody_is_named() -> None:
    """Nothing changes."""
    assert account(config(None)) is None


@pytest.mark.parametrize(("user", "group", "cure"), [("no-such", None, "adduser"), ("nobody", "no-such", "addgroup")])
def test_nobody_has_that_name(user: str, group: str | None, cure: str) -> None:
    """A name that nobody has is refused, with the command that makes it."""
    with pytest.raises(StartupError) as raised:
        account(config(user, group))
    assert "no such" in str(raised.value)
    assert cure in str(raised.value)


def test_root_becomes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account has its own groups; `group` stands for the first of them."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert account(config("nobody")) == Account("nobody", NOBODY.pw_uid, NOBODY.pw_gid, (NOBODY.pw_gid,))
    mail = grp.getgrnam("mail").gr_gid
    assert account(config("nobody", "mail")) == Account("nobody", NOBODY.pw_uid, mail, (mail,))


def test_others_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root can only be who he is."""
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY.pw_uid)
    monkeypatch.setattr(os, "getegid", lambda: NOBODY.pw_gid)
    assert account(config("nobody")) is None
    with pytest.raises(StartupError, match="only root can become another account"):
        account(config("root"))


@AS_ROOT
def test_acting_as() -> None:
    """Inside, the rights are the account's; behind it they are ours again."""
    before = (os.geteuid(), os.getegid(), os.getgroups())
    whom = Account("nobody", NOBODY.pw_uid, NOBODY.pw_gid, (NOBODY.pw_gid,))
    with acting_as(whom):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (whom.uid, whom.gid, [whom.gid])
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


def test_acting_as_oneself() -> None:
    """Without an account nothing changes."""
    before = os.geteuid()
    with acting_as(None):
        assert os.geteuid() == before
