"""Mail addresses in the lines of a transcript -> the same lines without the names of people.

What leaves the house keeps an address's domain, by which the other postmaster finds his own log, and the first
character of its local part: `ann@example.net` becomes `a***@example.net`. What an address looks like on the wire is
`record.privacy`'s to know; this is its fourth way, the one that is no setting.

A reply often repeats the local part alone (`550 ann: no such user`). So the lines of a session are masked together:
what stood in MAIL or RCPT is masked as a word of the replies, too. In doubt more is masked than need be, never less.
"""

import re
from collections.abc import Iterable
from typing import Final

from smtpguard.evidence.wording import shown
from smtpguard.record import Privacy

_MASK: Final = Privacy(addresses="mask")

_PATH: Final = re.compile(
    r"\s*(?:MAIL\s+FROM|RCPT\s+TO)\s*:\s*<?(?:@[^:<>]*:)?(?P<mailbox>[^<>]*(?=>)|\S*)", re.IGNORECASE
)
_NOBODY: Final = "postmaster"

SHORTEST: Final = 2
"""Characters of a local part that is looked for in replies; one character is no name."""


def masked(text: str) -> str:
    """Mask the addresses of one line. To do it twice changes nothing."""
    return _MASK.line(shown(text))


def masked_all(lines: Iterable[tuple[bool, str]]) -> list[str]:
    """Mask the lines of one session, in their order.

    Args:
        lines: whether CLIENT said it, and the line.
    """
    said = list(lines)
    words = _words({name for by_client, text in said if by_client for name in _locals(shown(text))})
    return [masked(text) if by_client or words is None else words.sub(_word, masked(text)) for by_client, text in said]


def _locals(text: str) -> Iterable[str]:
    """Yield the local parts of a MAIL or RCPT line."""
    if (path := _PATH.match(text)) is None:
        return
    mailbox = path["mailbox"]
    local = mailbox.rpartition("@")[0] if "@" in mailbox else mailbox
    for name in {local, local.strip('"')}:
        if len(name) >= SHORTEST and name.casefold() != _NOBODY:
            yield name


def _words(names: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds these names as words of a reply, not as labels of a host's name."""
    if not (longest_first := sorted(names, key=len, reverse=True)):
        return None
    return re.compile(rf"(?<![\w.@-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-]|\.\w)", re.IGNORECASE)


def _word(name: re.Match[str]) -> str:
    return f"{name[0][0] if name[0][0].isalnum() else ''}***"
