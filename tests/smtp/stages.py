"""Beginnings of transcripts, so that a test starts at the stage it needs; each is a lawful session so far."""

from typing import Final


def ehlo(*keywords: str) -> str:
    """Return an EHLO that UPSTREAM accepts, offering `keywords`."""
    lines = ["up.example", *keywords]
    reply = [f"250{' ' if line is lines[-1] else '-'}{line}" for line in lines]
    return "\n".join(["C>U EHLO client.example", f"u>c {reply[0]}", *(f"u+c {line}" for line in reply[1:]), ""])


def transaction(parameters: str = "") -> str:
    """Return a MAIL that UPSTREAM accepts."""
    return f"C>U MAIL FROM:<a@a.example>{parameters}\nu>c 250 2.1.0 Ok\n"


ALL: Final = (
    "PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "BINARYMIME", "BURL imap", "ETRN",
    "AUTH PLAIN LOGIN", "STARTTLS",
)  # fmt: skip

GREETED: Final = "u>c 220 up.example ESMTP\n"
REFUSED: Final = "u>c 554 no service\n"
EHLO: Final = GREETED + ehlo(*ALL)
NO_PIPELINING: Final = GREETED + ehlo("8BITMIME")
HELO: Final = GREETED + "C>U HELO client.example\nu>c 250 up.example\n"
AUTHENTICATED: Final = EHLO + "C>U AUTH PLAIN SECRET\nu>c 235 2.7.0 Ok\n"
MAIL: Final = EHLO + transaction()
MAIL_REFUSED: Final = EHLO + "C>U MAIL FROM:<a@a.example>\nu>c 550 5.7.1 No\n"
ACCEPTED: Final = "C>U RCPT TO:<b@b.example>\nu>c 250 2.1.5 Ok\n"
RCPT: Final = MAIL + ACCEPTED
RCPT_REFUSED: Final = MAIL + "C>U RCPT TO:<x@b.example>\nu>c 550 5.1.1 Unknown\n"
DATA: Final = RCPT + "C>U DATA\nu>c 354 Go ahead\n"
DATA_REFUSED: Final = RCPT + "C>U DATA\nu>c 451 4.3.0 Not now\n"
DOT: Final = DATA + "C>U Subject: x\nC>U .\n"
DELIVERED: Final = DOT + "u>c 250 2.0.0 Queued\n"
CHUNKING: Final = RCPT + "C>U BDAT 3\nC>U abc\\\nu>c 250 2.0.0 3 octets\n"
