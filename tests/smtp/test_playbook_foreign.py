"""Foreign and forbidden: SG401 to SG405."""

from dataclasses import replace

import pytest

from smtpguard.smtp import FORBIDDEN_WORDS, Finding, Profile, Session, Side, policy_for

from .playbook import play
from .stages import EHLO, GREETED, MAIL, NO_PIPELINING, transaction

EVERY_PROFILE = pytest.mark.parametrize("profile", Profile)
EVERY_CUT = pytest.mark.parametrize("cut", [0, 1, 3])
HTTP = [
    "GET / HTTP/1.1",
    "POST /x?y=z HTTP/1.0",
    "HEAD /health HTTP/1.1",
    "OPTIONS * HTTP/1.0",
    "CONNECT a:25 HTTP/1.1",
    "PRI * HTTP/2.0",
]
OTHERS = [
    "SSH-2.0-OpenSSH_9.6",
    "INVITE sip:a@b SIP/2.0",
    "OPTIONS sip:nm SIP/2.0",
    "\\x03\\0\\0\\x13\\x0e\\xe0\\0\\0\\0\\0\\0\\x01",
    "\\x05\\x01\\0",
    "\\x05\\x02\\0\\x02",
    "\\x04\\x01\\0\\x19\\x7f\\0\\0\\x01\\0",
    "stats",
    "version",
    "DESCRIBE rtsp://x RTSP/1.0",
]


@EVERY_PROFILE
@pytest.mark.parametrize("line", HTTP)
def test_http(line: str, profile: Profile) -> None:
    """SG401: the first line is HTTP: closed in every profile, not SMTP, and its body never runs as commands."""
    session = play(
        GREETED
        + f"C> {line}\nC+ Host: x\nC+\nC+ MAIL FROM:<a@a.example>\n"
        + "G< 554 5.5.1 SG401\n! SG401 close forwarded=no\n= violation",
        profile,
    )
    assert session.ended().not_smtp


def test_http_of_a_health_check_names_the_cause() -> None:
    """SG401 tells a balancer's check from a scanner."""
    play(GREETED + "C> OPTIONS / HTTP/1.0\nG< 554 5.5.1 SG401\n! SG401 close cause=health-check\n= violation")
    play(GREETED + "C> POST /cgi-bin/x HTTP/1.1\nG< 554 5.5.1 SG401\n! SG401 close cause=scanner\n= violation")


def test_no_line_is_to_blame() -> None:
    """What is no SMTP has no command line: the finding shows none, not an empty one."""
    session = Session(policy_for(), session_id="0123456789AB")
    session.receive(Side.UPSTREAM, b"220 mx\r\n")
    (finding,) = session.receive(Side.CLIENT, b"GET / HTTP/1.1\r\n").events
    assert isinstance(finding, Finding)
    assert finding.line == b""


@EVERY_PROFILE
@pytest.mark.parametrize("hello", ["\\x16\\x03\\x01\\x02\\0\\x01\\0", "\\x16\\x03\\x03\\0\\x05"])
def test_tls_on_a_plain_port(hello: str, profile: Profile) -> None:
    """SG402: a TLS record needs no line end to be told."""
    session = play(GREETED + f"C> {hello}\\\nG< 554 5.5.1 SG402\n! SG402 close cause=scanner\n= violation", profile)
    assert session.ended().not_smtp


@EVERY_PROFILE
@pytest.mark.parametrize("line", OTHERS)
def test_other_protocols(line: str, profile: Profile) -> None:
    """SG403: SSH, SIP, RDP, SOCKS, memcached and others in the first line."""
    session = play(GREETED + f"C> {line}\nG< 554 5.5.1 SG403\n! SG403 close cause=scanner\n= violation", profile)
    assert session.ended().not_smtp


@EVERY_CUT
@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "SSH-2.0-x", "stats", "INVITE sip:a@b SIP/2.0"])
def test_other_protocols_in_pieces(line: str, cut: int) -> None:
    """The first line may come in any pieces."""
    rule = "SG401" if "HTTP" in line else "SG403"
    play(GREETED + f"C> {line}\nG< 554 5.5.1 {rule}\n! {rule} close\n= violation", cut=cut)


@EVERY_CUT
def test_other_protocols_before_the_greeting(cut: int) -> None:
    """They speak first, so they come before the greeting: closed instead of it where strict, else right behind it."""
    early = "C> GET / HTTP/1.1\nC+ Host: x\n"
    behind = "G< 554 5.5.1 SG401\n! SG201 note\n! SG401 close\n= violation"
    assert play(early + f"u>c 220 up\n{behind}", cut=cut).ended().not_smtp
    assert play(early + "u>c 220 up\nG< 554 5.5.1 SG401\n! SG401 close\n= violation", Profile.LENIENT, cut=cut).over
    strict = play(
        early + "u> 220 up\nG< 554 5.5.1 SG401\n! SG401 close\n! SG201 close\n= violation", Profile.STRICT, cut=cut
    )
    assert strict.ended().not_smtp


@EVERY_PROFILE
@pytest.mark.parametrize("line", [*HTTP[:2], "SSH-2.0-OpenSSH", "stats", "PROXY TCP4 1.2.3.4 5.6.7.8 1 25"])
def test_only_the_first_line_is_looked_at(line: str, profile: Profile) -> None:
    """Behind the first line they are unknown verbs, and PROXY is a forbidden one."""
    if line.startswith("PROXY"):
        play(NO_PIPELINING + f"C> {line}\nG< 502 5.5.1 SG405\n! SG405 refuse", profile)
    else:
        play(NO_PIPELINING + f"C>U {line}\nu>c 500 What?", profile)


def test_http_in_observe() -> None:
    """SG401 is not safe: observe forwards it, and the session still is no SMTP."""
    session = play(
        GREETED
        + "C>U GET / HTTP/1.1\n! SG401 note enforced=close forwarded=yes\nu>c 500 What?\nC>U Host: x\nu>c 500 What?",
        observing=True,
    )
    assert session.ended().not_smtp


PROXY_V2 = "\\r\\n\\r\\n\\0\\r\\nQUIT\\n\\x21\\x11\\0\\x0c\\x7f\\0\\0\\x01\\x7f\\0\\0\\x01\\0\\x01\\0\\x19\\"


@EVERY_PROFILE
@pytest.mark.parametrize(
    "header", ["PROXY TCP4 1.2.3.4 5.6.7.8 1 25", "PROXY TCP6 ::1 ::1 1 25", "PROXY UNKNOWN", PROXY_V2]
)
def test_unexpected_proxy_header(header: str, profile: Profile) -> None:
    """SG404: a PROXY header where none is expected; it is SMTP all the same."""
    session = play(GREETED + f"C> {header}\nG< 554 5.5.1 SG404\n! SG404 close\n= violation", profile)
    assert not session.ended().not_smtp


@pytest.mark.parametrize("cut", [3, 5, 12, 20])
def test_proxy_v2_in_pieces_runs_no_empty_line_and_no_quit(cut: int) -> None:
    """A v2 header begins with CRLF CRLF: from its third octet on it is waited for, not forwarded line by line."""
    play(GREETED + f"C> {PROXY_V2}\nG< 554 5.5.1 SG404\n! SG404 close\n= violation", cut=cut)


@pytest.mark.parametrize("cut", [0, 1])
def test_empty_lines_at_the_beginning_are_unknown_verbs(cut: int) -> None:
    """An empty first line is no PROXY header."""
    play(GREETED + "C>U\nu>c 500 What?\nC>U NOOP\nu>c 250 Ok", cut=cut)


@EVERY_PROFILE
@pytest.mark.parametrize("observing", [False, True])
@pytest.mark.parametrize(
    "word",
    ["XCLIENT", "XFORWARD", "XPROXY", "XPROXYFROM", "XPROXYTO", "PROXY", "TURN", "ATRN", "XEXCH50", "LHLO", "xclient"],
)
def test_forbidden_verbs(word: str, profile: Profile, *, observing: bool) -> None:
    """SG405 is safe: refused 502 in every profile and mode, with any argument; the session goes on."""
    for line in (word, f"{word} ADDR=1.2.3.4", f"\\t{word} x"):
        play(
            EHLO + f"C> {line}\nG< 502 5.5.1 SG405\n! SG405 refuse forwarded=no verb=FORBIDDEN\n" + transaction(),
            profile,
            observing=observing,
        )


def test_the_list_of_forbidden_words_is_the_catalogue_s() -> None:
    """The ten words of rules.md, no more."""
    words = b"XCLIENT XFORWARD XPROXY XPROXYFROM XPROXYTO PROXY TURN ATRN XEXCH50 LHLO"
    assert frozenset(words.split()) == FORBIDDEN_WORDS


def test_a_forbidden_verb_let_through() -> None:
    """Each is switchable: a word that the administrator lets through is UPSTREAM's to answer, the others are not."""
    policy = replace(policy_for(), forwarded_words=frozenset({b"XCLIENT"}))
    play(EHLO + "C>U xclient ADDR=1.2.3.4\nu>c 250 Ok\nC> XFORWARD x\nG< 502 5.5.1 SG405\n! SG405 refuse", policy)


def test_a_forbidden_verb_is_redacted() -> None:
    """Rule 22: its arguments are not kept."""
    refused = "G< 502 5.5.1 SG405\n! SG405 refuse state=envelope line=XCLIENT [redacted]"
    play(MAIL + f"C> XCLIENT LOGIN=SECRET\n{refused}")


def test_a_forbidden_verb_speaks_before_the_order() -> None:
    """Among equals Foreign, Framing, Timing, Order: a forbidden verb with a NUL is refused as forbidden."""
    play(EHLO + "C> XCLIENT \\0\nG< 502 5.5.1 SG405\n! SG405 refuse\n! SG302 refuse")
