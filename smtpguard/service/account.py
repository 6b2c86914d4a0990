"""The account that smtpguard runs as: root opens the ports, then becomes somebody who may do nothing else.

Where the service manager sets the account (systemd: `User=`, `DynamicUser=`), `user` is left out.
"""

import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from smtpguard.config import Config
from smtpguard.service.startup import StartupError


@dataclass(frozen=True, slots=True)
class Account:
    """Whom to become."""

    user: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    """All groups, `gid` among them."""


def account(config: Config) -> Account | None:
    """Return whom to become; None: nobody else.

    Raises:
        StartupError: there is no such user or group, or no right to become it.
    """
    if config.user is None:
        return None
    try:
        user = pwd.getpwnam(config.user)
    except KeyError:
        cure = f"`adduser --system --group {config.user}` makes it"
        raise StartupError(f"user = {config.user}: no such user; {cure}") from None
    gid = _group(config.group) if config.group else user.pw_gid
    if os.geteuid() == 0:
        groups = tuple(sorted({gid, *os.getgrouplist(config.user, gid)}))
        return Account(config.user, user.pw_uid, gid, groups)
    if (user.pw_uid, gid) != (os.geteuid(), os.getegid()):
        cure = "start it as root, or take `user` out and let the service manager set the account"
        raise StartupError(f"user = {config.user}: only root can become another account; {cure}")
    return None


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise StartupError(f"group = {name}: no such group; `addgroup --system {name}` makes it") from None


def become(whom: Account) -> None:
    """Change to the account for good; capabilities go with root."""
    os.setgroups(whom.groups)
    os.setresgid(whom.gid, whom.gid, whom.gid)
    os.setresuid(whom.uid, whom.uid, whom.uid)


@contextmanager
def acting_as(whom: Account | None) -> Iterator[None]:
    """Have the account's rights for a while, to see what it may do; None: nothing changes."""
    if whom is None:
        yield
        return
    groups, gid, uid = os.getgroups(), os.getegid(), os.geteuid()
    os.setgroups(whom.groups)
    os.setegid(whom.gid)
    os.seteuid(whom.uid)
    try:
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)
        os.setgroups(groups)
