"""What came from either side and when: the schedule of a session as two tapes.

A session is a list of `Step`s, each one read: the octets of one side, or its end. Step numbers are the only clock. A
`Tape` holds all octets of one side and the step in which each was read, so that "had this octet been read when that
reply was given out?" is a comparison of two numbers.
"""

from dataclasses import dataclass

CLIENT, UPSTREAM = "client", "upstream"

NEVER = 10**9
"""The step number of what is not on the tape."""

REPLY_LINE, REPLY_SIZE, REPLY_LINES = 4096, 65536, 500


@dataclass(frozen=True)
class Step:
    """One read."""

    side: str
    octets: bytes
    """Empty: the side closed."""


class Tape:
    """All octets of one side."""

    def __init__(self, steps: list[Step], side: str) -> None:
        self.octets = b""
        self.times: list[int] = []
        self.closed = NEVER
        for number, step in enumerate(steps):
            if step.side != side:
                continue
            if not step.octets:
                self.closed = min(self.closed, number)
            self.octets += step.octets
            self.times += [number] * len(step.octets)

    def time(self, index: int) -> int:
        """Return the step in which octet `index` was read."""
        return self.times[index] if index < len(self.times) else NEVER

    def read_by(self, now: int) -> int:
        """Return how many octets had been read when step `now` was done."""
        return sum(1 for time in self.times if time <= now)


@dataclass(frozen=True)
class Heard:
    """One whole reply of UPSTREAM."""

    octets: bytes
    code: int
    lines: tuple[bytes, ...]
    """Each line's text behind its code."""


class Malformed(Exception):
    """What UPSTREAM said is no reply."""


def first_reply(octets: bytes) -> Heard | None:
    """Read the reply that `octets` begin with; None while it is incomplete.

    Raises:
        Malformed: it can no longer become one (RFC 5321 §4.2, design rule 16).
    """
    start, code = 0, b""
    texts: list[bytes] = []
    while True:
        end = octets.find(b"\n", start)
        line = octets[start : end + 1] if end >= 0 else octets[start:]
        if len(line) > REPLY_LINE or len(texts) >= REPLY_LINES or start + len(line) > REPLY_SIZE:
            raise Malformed
        if end < 0:
            return None
        if line[-2:] != b"\r\n" or any(octet in (0, 10, 13) for octet in line[:-2]) or len(line) < 5:
            raise Malformed
        digits, mark = line[:3], line[3:4]
        if any(octet not in b"0123456789" for octet in digits) or digits[0] not in b"2345":
            raise Malformed
        if mark not in (b" ", b"-", b"\r") or (code and digits != code):
            raise Malformed
        code = digits
        texts.append(line[4:-2])
        start = end + 1
        if mark != b"-":
            return Heard(octets[:start], int(digits), tuple(texts))
