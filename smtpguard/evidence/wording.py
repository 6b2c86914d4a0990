"""Text of the audit -> text that a terminal, a mail and a person can take.

What the audit holds was escaped when it was written. A file can be altered, and names of the DNS were never ours: so
all text passes `shown` once more on its way out.
"""

import re
from datetime import datetime, tzinfo
from typing import Final

from smtpguard.record import cut

COLUMNS: Final = 72
"""Of a letter: what survives being quoted twice in 80."""

_HOSTILE: Final = re.compile(r"[^ -~]")


def shown(text: str) -> str:
    """Return text as printable ASCII; what is none is spelt as the `\\xNN` of its UTF-8 octets."""
    return _HOSTILE.sub(_spelt, text)


def _spelt(character: re.Match[str]) -> str:
    return "".join(f"\\x{octet:02x}" for octet in character[0].encode("utf-8", "surrogatepass"))


def moment(at: float, zone: tzinfo, *, digits: int = 3) -> str:
    """Return `2026-11-23 19:20:01.482 +01:00`: a time in a zone, with 3 or 0 digits of its second."""
    text = datetime.fromtimestamp(at, zone).isoformat(" ", "milliseconds" if digits else "seconds")
    # `+01:00` has six characters; RFC 3339 puts no blank before it, but eyes are helped by one.
    return f"{text[:-6]} {text[-6:]}"


def counted(number: int, one: str, many: str = "") -> str:
    """Return `1 session` or `3 sessions`."""
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"


def shortened(text: str, limit: int) -> str:
    """Cut printable text to `limit` characters with the `...` that says so; never inside `\\xNN`."""
    return text if len(text) <= limit else cut(text, limit - 3)
