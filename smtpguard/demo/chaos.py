"""A stream of misbehaving clients, drawn from a seed.

Each session is drawn by itself, from the seed and its number: the same seed gives the same sessions, in whatever order
they are played, and so the same findings. As in life a few hosts send most of it, and each host has a habit, which is
its software's bug, and now and then does something else. A tenth of the sessions are good ones.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from smtpguard.demo.sessions import DATA, MESSAGE, OURS, QUIT, RSET, SMUGGLED, Session, Step, content, say

HOSTS: Final = 40
"""Client addresses, from 127.0.0.11 on."""
FIRST_HOST: Final = 11
HABIT: Final = 0.8
"""How often a host does what its bug makes it do."""

Draw = Callable[[Random], tuple[Step, ...]]

_EHLO, _HELO = say(f"EHLO {OURS.hello}"), say(f"HELO {OURS.hello}")
_MAIL, _RCPT = say(f"MAIL FROM:<{OURS.reverse_path}>"), say(f"RCPT TO:<{OURS.forward_path}>")
_UNKNOWN = say(f"RCPT TO:<{OURS.unknown}>")
_OPEN = (_EHLO, _MAIL, _RCPT)
_DELIVERED = (*_OPEN, DATA, MESSAGE)
_CHUNK = b"Subject: x\r\n\r\ntext\r\n"


def _chunk(last: bool) -> Step:
    return Step(b"BDAT %d%s\r\n%s" % (len(_CHUNK), b" LAST" if last else b"", _CHUNK))


def _good(random: Random) -> tuple[Step, ...]:
    return (*_DELIVERED, *(_MAIL, _RCPT, DATA, MESSAGE) * random.randrange(3), QUIT)


def _rcpt_before_mail(random: Random) -> tuple[Step, ...]:
    return (_EHLO, *[_RCPT] * random.randint(1, 3), QUIT)


def _data_without_mail(random: Random) -> tuple[Step, ...]:
    return (_EHLO, random.choice([DATA, _chunk(last=True)]), QUIT)


def _nobody_left(random: Random) -> tuple[Step, ...]:
    return (_EHLO, _MAIL, *[_UNKNOWN] * random.randint(1, 3), DATA, RSET, QUIT)


def _nested_mail(random: Random) -> tuple[Step, ...]:
    return (*random.choice([_OPEN, (_EHLO, _MAIL), (*_DELIVERED, _MAIL, _RCPT)]), _MAIL, QUIT)


def _no_hello(random: Random) -> tuple[Step, ...]:
    return (*[_MAIL] * random.randint(1, 2), *random.choice([(), (_RCPT,), (_RCPT, DATA)]), QUIT)


def _out_of_chunking(random: Random) -> tuple[Step, ...]:
    return (*_OPEN, _chunk(last=False), random.choice([_MAIL, _RCPT, DATA]), _chunk(last=True), QUIT)


def _chunk_after_helo(random: Random) -> tuple[Step, ...]:
    return (_HELO, _MAIL, _RCPT, _chunk(last=random.random() < 0.5), QUIT)


def _impatient(random: Random) -> tuple[Step, ...]:
    group = [f"MAIL FROM:<{OURS.reverse_path}>", *[f"RCPT TO:<{OURS.forward_path}>"] * random.randint(1, 3)]
    return (_HELO, say(*group), QUIT)


def _impostor(random: Random) -> tuple[Step, ...]:
    words = ["XCLIENT ADDR=192.0.2.1", "XFORWARD NAME=mx.demo.example", "PROXY TCP4 192.0.2.1 192.0.2.2 1 25", "TURN"]
    return (_EHLO, say(random.choice(words)), QUIT)


def _bare_lf(random: Random) -> tuple[Step, ...]:
    return (*(Step(each.octets.replace(b"\r\n", b"\n")) for each in (_EHLO, _MAIL, _RCPT)), QUIT)


def _smuggler(random: Random) -> tuple[Step, ...]:
    return (*_OPEN, DATA, content(SMUGGLED.replace(b"\n.\n", random.choice([b"\n.\n", b"\n.\r\n", b"\r\n.\n"]), 1)))


def _foreigner(random: Random) -> tuple[Step, ...]:
    first = [b"GET / HTTP/1.0\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]
    return (Step(random.choice(first)),)


def _hammer(random: Random) -> tuple[Step, ...]:
    return (_EHLO, *[_RCPT] * 21)


def _control_octets(random: Random) -> tuple[Step, ...]:
    return (_EHLO, Step(b"MAIL FROM:<bob\x00@client.example>\r\n"), QUIT)


def _early(random: Random) -> tuple[Step, ...]:
    return (_EHLO, _MAIL, _RCPT, DATA, MESSAGE, QUIT)


# Kind of client, the weight with which a host is of that kind, what its sessions look like.
KINDS: Final[tuple[tuple[str, int, Draw], ...]] = (
    ("RCPT before MAIL", 6, _rcpt_before_mail),
    ("DATA or BDAT without MAIL", 4, _data_without_mail),
    ("DATA although every recipient was refused", 6, _nobody_left),
    ("MAIL inside a transaction", 5, _nested_mail),
    ("no EHLO, no HELO", 4, _no_hello),
    ("other commands between chunks", 2, _out_of_chunking),
    ("BDAT after HELO", 2, _chunk_after_helo),
    ("pipelines without being asked", 2, _impatient),
    ("speaks before the greeting", 2, _early),
    ("claims to be another host", 2, _impostor),
    ("ends lines with a bare LF", 2, _bare_lf),
    ("NUL in a command", 1, _control_octets),
    ("smuggles a second message", 3, _smuggler),
    ("speaks another protocol", 3, _foreigner),
    ("never gives up", 1, _hammer),
)
GOOD_SHARE: Final = 0.1


def stream(seed: int, count: int) -> Iterator[Session]:
    """Yield the sessions of a seed."""
    habits = _habits(seed)
    for number in range(count):
        random = Random(f"{seed}/{number}")
        # The square puts a quarter of all sessions on the first sixteenth of the hosts.
        host = FIRST_HOST + int(HOSTS * random.random() ** 2)
        title, draw = habits[host] if random.random() < HABIT else _any(random)
        if random.random() < GOOD_SHARE:
            title, draw = "good", _good
        yield Session(title=title, story="", host=host, steps=draw(random), waits=draw is not _early)


def _habits(seed: int) -> dict[int, tuple[str, Draw]]:
    random = Random(f"{seed}")
    return {host: _any(random) for host in range(FIRST_HOST, FIRST_HOST + HOSTS)}


def _any(random: Random) -> tuple[str, Draw]:
    title, _, draw = random.choices(KINDS, [weight for _, weight, _ in KINDS])[0]
    return title, draw
