"""What is left of addresses: everything, a token, nothing, or a first letter."""

import hashlib
import hmac
import re
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from smtpguard.record.escape import printable
from smtpguard.record.privacy import KEY_FILE, Privacy, read_key

KEY = b"k" * 32
KEEP, HASH, DROP, MASK = (Privacy(addresses, "keep", KEY) for addresses in ("keep", "hash", "drop", "mask"))


def token(mailbox: str) -> str:
    """Return what stands for a mailbox, by another way than the product's."""
    return "h:" + hmac.new(KEY, mailbox.encode(), hashlib.sha256).hexdigest()[:12]


BOB = token("bob@example.net") + "@example.net"

LINES = {
    # commands
    "MAIL FROM:<bob@example.net> SIZE=10": (f"MAIL FROM:<{BOB}> SIZE=10", "MAIL FROM:<...> SIZE=10"),
    "mail from: <bob@example.net>": (f"mail from: <{BOB}>", "mail from: <...>"),
    "MAIL FROM:<>": ("MAIL FROM:<>", "MAIL FROM:<>"),
    "RCPT TO:<bob>": (f"RCPT TO:<{token('bob@')}>", "RCPT TO:<...>"),
    "RCPT TO:bob@example.net NOTIFY=NEVER": (f"RCPT TO:{BOB} NOTIFY=NEVER", "RCPT TO:[...] NOTIFY=NEVER"),
    "RCPT bob@example.net": (f"RCPT {BOB}", "RCPT [...]"),
    "RCPT TO:": ("RCPT TO:", "RCPT TO:"),
    "RCPT": ("RCPT", "RCPT"),
    "RCPT TO:<@x.net,@y.net:bob@example.net>": (
        f"RCPT TO:<@x.net,@y.net:{BOB}>",
        "RCPT TO:<@x.net,@y.net:...>",
    ),
    'RCPT TO:<"bob"@example.net>': (f"RCPT TO:<{BOB}>", "RCPT TO:<...>"),
    "RCPT TO:<BOB@example.net>": (f"RCPT TO:<{BOB}>", "RCPT TO:<...>"),
    'RCPT TO:<"a>b c"@x.net> ORCPT=rfc822;bob@example.net': (
        f"RCPT TO:<{token('a>b c@x.net')}@x.net> ORCPT=rfc822;{BOB}",
        "RCPT TO:<...> ORCPT=rfc822;[...]",
    ),
    'RCPT TO:<"bob@example.net> NOTIFY=NEVER': (
        f"RCPT TO:<{token(chr(34) + 'bob@example.net')}@example.net> NOTIFY=NEVER",
        "RCPT TO:<...> NOTIFY=NEVER",
    ),
    "RCPT TO:<bob@example.net": (f"RCPT TO:<{BOB}", "RCPT TO:<[...]"),
    "RCPT TO:Bob Smith <bob@example.net>": (f"RCPT TO:[...] <{BOB}>", "RCPT TO:[...] <...>"),
    "MAIL FROM:<> AUTH=<> ENVID=QQ31 SMTPUTF8": ("MAIL FROM:<> AUTH=<> ENVID=QQ31 SMTPUTF8",) * 2,
    "MAIL FROM:<> AUTH=bob+40example.net ENVID=bob+40example.net": (
        f"MAIL FROM:<> AUTH={BOB} ENVID={BOB}",
        "MAIL FROM:<> AUTH=[...] ENVID=[...]",
    ),
    "RCPT TO:<bob@[192.0.2.1]>": (f"RCPT TO:<{token('bob@[192.0.2.1]')}@[192.0.2.1]>", "RCPT TO:<...>"),
    # replies
    "550 5.1.1 <bob@example.net>: Recipient address rejected": (
        f"550 5.1.1 <{BOB}>: Recipient address rejected",
        "550 5.1.1 <...>: Recipient address rejected",
    ),
    "550 5.1.1 <bob>: User unknown": (f"550 5.1.1 <{token('bob@')}>: User unknown", "550 5.1.1 <...>: User unknown"),
    "550 no bob@example.net, 'bob@example.net' or \"bob@example.net\".": (
        f"550 no {BOB}, '{BOB}' or \"{BOB}\".",
        "550 no [...], '[...]' or \"[...]\".",
    ),
    "550 mailto:bob@example.net.": (f"550 mailto:{BOB}.", "550 mailto:[...]."),
    "550 see http://www.open-spf.org/Why?id=bob%40example.net&ip=192.0.2.1": (
        f"550 see http://www.open-spf.org/Why?id={BOB}&ip=192.0.2.1",
        "550 see http://www.open-spf.org/Why?id=[...]&ip=192.0.2.1",
    ),
    "550 see <https://x.net/?a=bob%40example.net>": (
        f"550 see <https://x.net/?a={BOB}>",
        "550 see <https://x.net/?a=[...]>",
    ),
    '550 b"@x.net': (f"550 {token('b' + chr(34) + '@x.net')}@x.net", "550 [...]"),
    "550 5.1.1 <bob@exa": (f"550 5.1.1 <{token('bob@exa')}@exa", "550 5.1.1 <[...]"),
    "354 End data with <CR><LF>.<CR><LF>": ("354 End data with <CR><LF>.<CR><LF>",) * 2,
    "250 mx at your service @ 5 pm, @example.net": ("250 mx at your service @ 5 pm, @example.net",) * 2,
    # whatever else
    "EHLO mail.example.net": ("EHLO mail.example.net",) * 2,
    "EHLO <mail.example.net>": ("EHLO <mail.example.net>",) * 2,
    "EHLO bob@example.net": (f"EHLO {BOB}", "EHLO [...]"),
    "AUTH [redacted]": ("AUTH [redacted]",) * 2,
    "[14 octets]": ("[14 octets]",) * 2,
    "": ("",) * 2,
}


@pytest.mark.parametrize("line", LINES)
def test_lines(line: str) -> None:
    """A line as the wire had it, with tokens, and with dots; and untouched where nothing is kept back."""
    assert KEEP.line(line) == line
    assert (HASH.line(line), DROP.line(line)) == LINES[line]


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("RCPT TO:<bob@example.net>", "RCPT TO:<b***@example.net>"),
        ("RCPT TO:<b***@example.net>", "RCPT TO:<b***@example.net>"),
        ('550 "b c"@x.net or _x@x.net', "550 ***@x.net or ***@x.net"),
        ("RCPT TO:<bob>", "RCPT TO:<b***>"),
        ("RCPT TO:<Postmaster>", "RCPT TO:<Postmaster>"),
    ],
)
def test_masks(line: str, masked: str) -> None:
    """For a letter: the first character where it is a letter or a digit; postmaster, whom everybody has, stays."""
    assert MASK.line(line) == masked


# --- whatever local part -------------------------------------------------------------------------------------------

_ATEXT = "abcxyzABC0189!#$%&'*+-/=?^_`{|}~"
_ATOMS = st.text(st.sampled_from(_ATEXT), min_size=3, max_size=12)
_DOTTED = st.lists(_ATOMS, min_size=1, max_size=3).map(".".join)
_UNICODE = st.text(st.sampled_from("äößя例"), min_size=2, max_size=5)
_QUOTED = st.text(st.sampled_from("abc019 <>@:;,()[]\\\"ö.'"), min_size=3, max_size=20).map(
    lambda text: '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
)
LOCALS = st.one_of(_DOTTED, _QUOTED, _UNICODE).map(lambda local: local.encode())

PATHS = [
    b"MAIL FROM:<%s@mail.example.net> SIZE=1000",
    b"RCPT TO: <%s@mail.example.net> NOTIFY=NEVER ORCPT=rfc822;x@y",
    b"RCPT TO:%s@mail.example.net",
    b"rcpt to:<@a.net,@b.net:%s@mail.example.net>",
    b"MAIL FROM:<%s>",
    b"RCPT TO:<%s@mail.example.net",
    b"550 5.1.1 <%s@mail.example.net>: Recipient address rejected",
    b"550 5.1.1 <%s@mail.example.net>... User unknown",
]
BARE = [
    b"550 user %s@mail.example.net unknown",
    b"550-%s@mail.example.net",
    b"250 ok, %s@mail.example.net, go on",
    b"EHLO %s@mail.example.net",
]


def left(local: bytes, line: str) -> bool:
    """Tell whether a local part is still to be read in a line; of a quoted one, what is between the quotes."""
    inside = printable(local.strip(b'"'), 10_000)
    return inside in re.sub(r"h:[0-9a-f]{12}|(?<=[<:\[])\.\.\.(?=[>\]]|$)", "", line)


@given(local=LOCALS, wire=st.sampled_from(PATHS))
@example(local=b'"a\\"b>c"', wire=PATHS[0])
def test_no_local_part_is_left_of_a_path(local: bytes, wire: bytes) -> None:
    """Quoted, in Unicode, with brackets and blanks in it: what stands in a path is gone."""
    assume(not left(local, printable(wire % b"", 1000)))
    text = printable(wire % local, 10_000)
    for privacy in (HASH, DROP):
        assert not left(local, privacy.line(text))
        assert not left(local, privacy.shown(wire % local, 512))
    assert "mail.example.net" in HASH.line(text) or b"%s>" in wire


@given(local=st.one_of(_DOTTED, _UNICODE, st.just('"a b"'), st.just('"a@b>c"')), wire=st.sampled_from(BARE))
def test_no_local_part_is_left_in_a_text(local: str, wire: bytes) -> None:
    """Without brackets too, where a dot-atom, Unicode or a quoted string stands before the `@`."""
    assume(not left(local.encode(), printable(wire % b"", 1000)))
    octets = wire % local.encode()
    for privacy in (HASH, DROP):
        assert not left(local.encode(), privacy.line(printable(octets, 10_000)))


@given(st.binary(max_size=200))
def test_anything_at_all(octets: bytes) -> None:
    """Whatever comes, the line stays printable ASCII, and what stood before an `@` is no longer there."""
    for prefix in (b"", b"RCPT TO:<", b"550 "):
        text = printable(prefix + octets, 10_000)
        for privacy in (HASH, DROP, MASK):
            made = privacy.line(text)
            assert made.isascii()
            assert made.isprintable()
            assert not re.search(r"[A-Za-z0-9]{3}@", re.sub(r"h:[0-9a-f]{12}@", "", made))


# --- cut -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", [b"RCPT TO:<%s@x.net>", b"550 no such user %s@x.net", b"550 <%s@x.net>"])
def test_an_address_is_not_cut_into_the_open(wire: bytes) -> None:
    """A line is cut behind the redaction, so an address across the limit is a token too; one beyond reach is gone."""
    for length in (20, 100, 5000):
        octets = wire % (b"secret" * length)
        assert "secret" not in HASH.shown(octets, 64)
        assert "secret" not in DROP.shown(octets, 64)
        assert len(HASH.shown(octets, 64)) <= 64 + len("...")
    assert KEEP.shown(b"RCPT TO:<secret@x.net>", 14) == "RCPT TO:<secre..."


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO " + b"a" * 4000 + b" @",
        b'EHLO "' + b'\\"' * 2000,
        b'RCPT TO:<"' + b'\\"' * 2000,
        b"550 " + b'<"' * 2000,
        b"550 " + b"a@" * 2000,
        b"550 " + b"%40" * 2000,
        b"RCPT TO:<" + b"@a," * 1500,
        b"RCPT TO:x " + b"A=+40" * 800,
    ],
    ids=lambda octets: octets[:12].decode(),
)
def test_no_line_takes_long(octets: bytes) -> None:
    """No client can keep the loop busy with a line: a hundredth of a second at the most, measured by the best of
    three."""
    seconds = []
    for _ in range(3):
        began = time.process_time()
        HASH.shown(octets, 1024)
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.05


# --- clients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ip", "network"),
    [("198.51.100.7", "198.51.100.0"), ("2001:db8:1:2:3::7", "2001:db8:1::"), ("::1", "::"), ("", "")],
)
def test_clients(ip: str, network: str) -> None:
    """Of a client's address the site's part is left, and no port; or all of it."""
    assert Privacy(client_ip="truncate").client(ip, 43122) == (network, 0 if ip else 43122)
    assert Privacy().client(ip, 43122) == (ip, 43122)


# --- the key ---------------------------------------------------------------------------------------------------------


def test_the_key_is_made_once(tmp_path: Path) -> None:
    """Mode 0600, 32 octets, the same ever after, nothing else left in the directory."""
    key = read_key(tmp_path)
    assert len(key) == 32
    assert read_key(tmp_path) == read_key(tmp_path, make=False) == key
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    """Whoever is first makes it, all others take it."""
    keys: list[bytes] = []
    together = threading.Barrier(8)

    def start() -> None:
        together.wait(30)
        keys.append(read_key(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("text", ["", "secret", "00" * 31, "ü" * 32])
def test_what_is_no_key(tmp_path: Path, text: str) -> None:
    """A file that holds something else is no key, and is not written over."""
    (tmp_path / KEY_FILE).write_text(text)
    with pytest.raises(ValueError, match=r"privacy.key holds no key of 32 octets"):
        read_key(tmp_path)
    assert (tmp_path / KEY_FILE).read_text() == text


def test_no_key_is_made_where_none_is_wanted(tmp_path: Path) -> None:
    """Who only looks leaves nothing behind."""
    with pytest.raises(FileNotFoundError):
        read_key(tmp_path, make=False)
    assert list(tmp_path.iterdir()) == []
