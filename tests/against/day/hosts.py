"""The fifteen hosts: each has a name, a share of the traffic, and a habit, which is its software's bug.

127.0.1.1 to 127.0.1.15. A host's sessions are of the kinds in `habit`, by weight; `busy` are the hours of a day
(UTC, counted from the day's first session) in which it sends four times as much.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Host:
    """One sending host."""

    number: int
    name: str
    weight: int
    habit: dict[str, int]
    """Kind -> weight."""
    busy: tuple[int, int] = (0, 24)

    @property
    def ip(self) -> str:
        """Return its address."""
        return f"127.0.1.{self.number}"


BUSY: Final = 4
"""How much more a host sends in its busy hours."""

_MAIL: Final = {
    "one message": 30, "two messages": 8, "pipelined": 20, "one chunk": 6, "mixed recipients": 5, "two chunks": 2,
    "all recipients refused, quit": 3, "ehlo only": 1, "noop and vrfy in a transaction": 1, "pipelined chunk": 2,
    "pipelined behind the dot": 3, "swaks, one message": 2, "smtplib, one message": 3,
}  # fmt: skip
_OLD: Final = {"one message by helo": 6, "one message": 6, "gone in a transaction": 1}

HOSTS: Final = (
    Host(1, "mx1.good.example", 30, _MAIL | {"smtp-source, one message": 3}, (7, 18)),
    Host(2, "news.letter.example", 25, {
        "pipelined behind refused recipients": 10, "pipelined behind a refused mail": 6, "pipelined": 30,
        "chunks pipelined behind a refused mail": 3, "swaks, its only recipient refused": 2, "mixed recipients": 9,
        "pipelined behind the dot": 9, "mail refused, then a good one": 4,
    }, (5, 8)),
    Host(3, "pool.shop.example", 20, {
        "pooled connection": 12, "two messages": 14, "three messages, rset between": 6, "mail twice": 3,
        "smtplib, connection given back in a transaction": 1,
    }, (9, 20)),
    Host(4, "notify.boulder.example", 16, {
        "no rset behind a refused data": 12, "one message": 12, "data refused, rset": 6,
        "content behind a refused data": 4, "content after a refused data": 3,
    }, (0, 6)),
    Host(5, "www.loop.example", 14, {
        "a loop without rset": 10, "all recipients refused, rset": 6, "one message": 14,
        "data although all recipients were refused": 6, "smtplib, a loop without rset": 1,
    }, (2, 4)),
    Host(6, "script.cron.example", 12, {
        "bare lf": 8, "bare lf everywhere": 5, "early talker": 6, "bare lf in content": 5, "thirty lines in bare lf": 1,
        "one message": 8,
    }, (3, 4)),
    Host(7, "printer.office.example", 10, _OLD | {
        "auth behind helo": 6, "chunk behind helo": 4, "starttls behind helo": 2, "ehlo refused, then helo": 3,
        "pipelines behind helo": 4,
    }, (8, 17)),
    Host(8, "device.sensor.example", 12, {
        "no hello": 8, "no hello, goes on": 8, "rcpt first of all": 2, "data first of all": 2,
        "hello refused and ignored": 6, "one message": 4,
    }),
    Host(9, "bulk.deaf.example", 14, {
        "mail refused and ignored": 8, "rcpt before mail": 6, "three rcpts without mail": 5, "data without mail": 5,
        "chunk without mail": 2, "data without rcpt": 4, "one message": 10, "never gives up": 1,
    }, (12, 15)),
    Host(10, "chunk.cloud.example", 10, {
        "mail between chunks": 6, "chunk refused, then mail": 3, "data between chunks": 4, "malformed bdat": 3,
        "one chunk": 8, "two chunks": 8,
        "pipelined chunk": 6,
    }),
    Host(11, "injected.web.example", 8, {
        "hidden end": 6, "nul in a command": 4, "line of five thousand": 3, "one message": 6, "gone in content": 2,
    }, (22, 24)),
    Host(12, "scan.research.example", 14, {
        "http": 6, "http, speaks first": 3, "tls": 6, "ssh": 4, "proxy header": 2, "xclient": 4, "connect and close": 6,
        "etrn in a transaction": 2,
    }),
    Host(13, "monitor.site.example", 10, {
        "connect and quit": 10, "connect and close": 6, "http health check": 3, "noop for ever": 1,
    }),
    Host(14, "fast.impatient.example", 12, {
        "input behind noop": 6, "content without 354": 7, "input behind quit": 6, "octets behind starttls": 3,
        "pipelined": 10, "quit in a transaction": 2,
    }, (10, 11)),
    Host(15, "login.users.example", 16, {
        "auth": 8, "auth in a transaction": 4, "auth twice": 4, "starttls, message": 12, "starttls, two messages": 6,
        "starttls, disorder inside": 3, "starttls in a transaction": 2, "second ehlo": 4, "unknown verb": 2,
        "smtplib, starttls": 1,
    }, (6, 22)),
)  # fmt: skip
