r"""Mail addresses and clients' addresses that the audit must not hold: kept, made into tokens, or dropped.

What comes in is a line as `escape` made it: printable ASCII, all else and the backslash as `\xNN`. What looks like
`local@domain` does not come out of `hash` and `drop`, however badly it is written:

    RCPT TO:<bob@example.net> NOTIFY=NEVER      <h:1a2b3c4d5e6f@example.net>      <...>
    RCPT TO:bob@example.net                     h:1a2b3c4d5e6f@example.net        [...]
    550 5.1.1 <bob@example.net>: unknown        as in commands
    RCPT TO:<bob>, 550 <bob>: unknown           <h:0f9e8d7c6b5a>                  <...>

In MAIL and RCPT everything up to the parameters is the path (RFC 5321 §4.1.2), quoted or not, closed or not; a source
route in front of it and `<>` stay, and so do all parameters but the values of ORCPT and AUTH, which are addresses too
(RFC 3461 §4.2, RFC 4954 §5). In anything else an address is what stands around an `@` (or `%40`, as in links), or in
angle brackets. Where it is doubtful how far it goes, more is taken away than needed.

A token is made with a key (HMAC, 48 bits), so that nobody without the key can try names. Quotes and the case of
letters make no difference: the same mailbox is the same token, on every day and in every file, for as long as the key
lives. The domain stays: it is what a postmaster is told by. Host names and HELO are no addresses here.

For what leaves the house there is a fourth way, which is no setting: `mask`, `b***@example.net`.
"""

import hmac
import os
import re
import secrets
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final, Literal

from smtpguard.record.escape import ELLIPSIS, cut, printable

KEY_FILE: Final = "privacy.key"
"""In the audit's directory, mode 0600."""

_KEY_SIZE: Final = 32
"""Octets."""

_TOKEN: Final = 12
"""Hexadecimal digits."""

_PREFIXES: Final = {4: 24, 6: 48}
"""IP version -> bits that are kept: what one site usually holds."""

_QUOTED: Final = r'"(?:\\x5c(?:\\x[0-9a-f]{2}|[^\\])|\\x(?!5c)[0-9a-f]{2}|[^"\\]){0,128}+"'
"""A quoted string; its backslash is written `\\x5c`. Twice as long as a local part may be (RFC 5321 §4.5.3.1.1), and no
more, so that a thousand quotes cost no thousand long looks."""

_LABEL: Final = r"(?:[A-Za-z0-9_-]|\\x[89a-f][0-9a-f])+"
_DOMAIN: Final = rf"(?:\[[^\]\s<>@]*\]|{_LABEL}(?:\.{_LABEL})*)"
_PLAIN: Final = r'[^\s<>()\[\],;:"]'
_WORDS: Final = rf'(?:{_PLAIN}|{_QUOTED}(?=@|\.\S)|"(?=@)|(?<={_PLAIN})"(?={_PLAIN}))++'
"""A run of what may stand in `local@domain` without angle brackets, as long as it can be; a quotation mark where it is
none of a reply's own."""

_ENVELOPE: Final = re.compile(r"(\s*(?:MAIL|RCPT)(?![^\s:<])\s*(?:(?:FROM|TO)(?![^\s:<])\s*)?:?\s*)(.*)", re.I | re.S)
_HELLO: Final = re.compile(r"\s*(?:EHLO|HELO|LHLO)(?!\S)", re.I)
_PATH: Final = re.compile(rf"<(?:{_QUOTED}|[^<>\"])*(?:>|\Z)|<[^>]*>")
_WORD: Final = re.compile(rf"\s++|(?:{_QUOTED}|\S)++")
_ROUTE: Final = re.compile(rf"@{_DOMAIN}(?:,@{_DOMAIN})*:")
_PARAMETER: Final = re.compile(r"(ORCPT=[^;\s]*;|ORCPT=|AUTH=|[A-Z0-9-]+=(?=.*\+40))(.+)", re.I | re.S)
_FOUND: Final = re.compile(
    rf"(<(?:{_QUOTED}|[^<>\"])*(?:>|\Z)|<[^<>]*(?:>|\Z))|({_WORDS}(?:(?<=@)\[[^\]\s<>@]*\])?)"
)  # fmt: skip
_LINK: Final = re.compile(r"(?:[A-Za-z0-9._+~!'*-]|%(?!40)[0-9A-Fa-f]{2})++%40[A-Za-z0-9.-]*")
_ADDRESS: Final = re.compile(rf"(.*)@({_DOMAIN})", re.S)
_AT: Final = re.compile("@|%40")
_SUSPECT: Final = re.compile("[@<]|%40")

_NO_PATHS: Final = frozenset({"", "cr", "lf", "crlf", "crlf.crlf", "."})
"""What servers write in angle brackets that is no path: "end with <CRLF>.<CRLF>"."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """What of a client and its mail stands in the audit."""

    addresses: Literal["keep", "hash", "drop", "mask"] = "keep"
    client_ip: Literal["keep", "truncate"] = "keep"
    key: bytes = b""
    """For `hash`."""

    def line(self, text: str) -> str:
        """Return an escaped line of a command or a reply without the addresses that must not be in it."""
        if self.addresses == "keep":
            return text
        envelope = _ENVELOPE.fullmatch(text)
        if envelope:
            return envelope[1] + self._path(envelope[2])
        return self._text(text, hello=_HELLO.match(text) is not None)

    def shown(self, octets: bytes, limit: int) -> str:
        """Return what `printable` returns, without the addresses: cut behind that, never inside one."""
        if self.addresses == "keep":
            return printable(octets, limit)
        room = 2 * limit
        text = printable(octets[:room], 4 * room)
        if len(octets) > room:
            # The last word was cut: it may be the beginning of an address.
            text = re.sub(r"\S+\Z", ELLIPSIS, text)
        return cut(self.line(text), limit)

    def client(self, ip: str, port: int) -> tuple[str, int]:
        """Return address and port of a client as the audit holds them: all of it, or its /24 or /48 and port 0."""
        if self.client_ip == "keep" or not ip:
            return ip, port
        prefix = _PREFIXES[ip_address(ip).version]
        return str(ip_network((ip, prefix), strict=False).network_address), 0

    # --- commands ----------------------------------------------------------------------------------------------------

    def _path(self, rest: str) -> str:
        """Read what stands behind `RCPT TO:`: a path, then parameters."""
        bracketed = _PATH.match(rest)
        if bracketed:
            end = bracketed.end()
            return self._bracketed(bracketed[0]) + self._parameters(rest[end:])
        if rest.startswith("<"):
            return "<" + self._bare(rest[1:])
        # No bracket in front: a name before one, or a path that ends at the first blank.
        name = re.match(r"[^<=]*\s(?=<)", rest)
        if name:
            return "[...] " + self._path(rest[name.end() :])
        word = _WORD.match(rest)
        end = word.end() if word else 0
        return self._bare(rest[:end]) + self._parameters(rest[end:])

    def _parameters(self, text: str) -> str:
        return "".join(word[0] if word[0].isspace() else self._parameter(word[0]) for word in _WORD.finditer(text))

    def _parameter(self, word: str) -> str:
        found = _PARAMETER.fullmatch(word)
        if found is None or found[2] == "<>":
            return self._text(word)
        return found[1] + self._bare(_plain(found[2]))

    # --- replies, and whatever else ----------------------------------------------------------------------------------

    def _text(self, text: str, *, hello: bool = False) -> str:
        if not _SUSPECT.search(text):
            return text
        made, place = [], 0
        for found in _FOUND.finditer(text):
            made.append(text[place : found.start()])
            made.append(self._brackets(found[1], hello=hello) if found[1] else self._words(found[2]))
            place = found.end()
        return "".join(made) + text[place:]

    def _brackets(self, text: str, *, hello: bool) -> str:
        inside = text[1:].removesuffix(">")
        if "://" in inside:
            return f"<{self._text(inside)}{text[1 + len(inside) :]}"
        is_none = inside.lower() in _NO_PATHS or (hello and "@" not in inside)
        return text if is_none else self._bracketed(text)

    def _words(self, text: str) -> str:
        if not _AT.search(text):
            return text
        local, at, rest = text.rpartition("@")
        if not at:
            return _LINK.sub(lambda found: self._bare(found[0].replace("%40", "@")), text)
        if not local:
            return text
        domain = re.match(_DOMAIN, rest)
        end = domain.end() if domain else 0
        # Quotation marks on both sides are somebody's own, and no part of the address.
        quoted = rest[end : end + 1] in ("'", "`")
        name = (local.lstrip("'`") or local) if quoted else local
        return local[: len(local) - len(name)] + self._bare(f"{name}@{rest[:end]}") + rest[end:]

    # --- one address -------------------------------------------------------------------------------------------------

    def _bracketed(self, path: str) -> str:
        inside = path[1:].removesuffix(">")
        route = _ROUTE.match(inside)
        kept, address = (route[0], inside[route.end() :]) if route else ("", inside)
        if not address.strip():
            return path
        if not path.endswith(">"):
            # Dots at the end of a line say that it was cut.
            return path[0] + kept + self._bare(address)
        return f"<{kept}{self._address(address)}>"

    def _bare(self, text: str) -> str:
        if not text:
            return ""
        return "[...]" if self.addresses == "drop" else self._address(text)

    def _address(self, text: str) -> str:
        """Return what stands for an address: token and domain, dots, or a first letter and the domain."""
        if self.addresses == "drop":
            return "..."
        found = _ADDRESS.fullmatch(text.strip())
        local, domain = (found[1], found[2]) if found else (text.strip(), "")
        if self.addresses == "mask":
            return _masked(local, domain)
        token = self._token(f"{_unquoted(local)}@{domain}".lower())
        return f"h:{token}@{domain}" if domain else f"h:{token}"

    def _token(self, mailbox: str) -> str:
        return hmac.digest(self.key, mailbox.encode("ascii", "backslashreplace"), "sha256").hex()[:_TOKEN]


PRIVACY: Final = Privacy()
"""Nothing is kept back."""


def _masked(local: str, domain: str) -> str:
    if not domain and local.lower() == "postmaster":
        # Everybody has one (RFC 5321 §4.5.1).
        return local
    first = local[0] if local[:1].isalnum() else ""
    return f"{first}***@{domain}" if domain else f"{first}***"


def _unquoted(local: str) -> str:
    """Return a local part as it would stand without quotes, so that both spellings make one token."""
    if re.fullmatch(_QUOTED, local):
        return re.sub(r"\\x5c(\\x[0-9a-f]{2}|.)", r"\1", local[1:-1])
    return local


def _plain(xtext: str) -> str:
    """Decode xtext (RFC 3461 §4), so that `bob+40example.net` and `bob@example.net` make one token."""
    return re.sub(r"\+([2-7][0-9A-F])", lambda found: chr(int(found[1], 16)), xtext)


def read_key(directory: Path, *, make: bool = True) -> bytes:
    """Return the key of an audit directory; with `make` one is made where there is none.

    Raises:
        OSError: it cannot be read or made.
        ValueError: what is there is no key.
    """
    path = directory / KEY_FILE
    if make and not path.exists():
        _make_key(path)
    try:
        key = bytes.fromhex(path.read_text("ascii"))
    except ValueError:
        key = b""
    if len(key) != _KEY_SIZE:
        raise ValueError(f"{path} holds no key of {_KEY_SIZE} octets in hexadecimal")
    return key


def _make_key(path: Path) -> None:
    """Make a key in one step: of two processes that start together both get the same one."""
    made = path.with_name(f"{KEY_FILE}.{secrets.token_hex(8)}")
    fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, secrets.token_hex(_KEY_SIZE).encode() + b"\n")
        os.fsync(fd)
        os.link(made, path)
    except FileExistsError:
        # The other one was first.
        return
    finally:
        os.close(fd)
        made.unlink()
