"""Kinds of sessions that break rules, with what the catalogue says of each: rule, cause, how often.

The verdicts are those of profile standard in mode enforce: what is noted goes on to Postfix, what is refused is
answered 503 (or what the catalogue says), what closes ends the session behind its answer.
"""

from typing import Final

from tests.against.day.kinds import (
    FRESH,
    HI,
    HI_OLD,
    MESSAGE,
    NO,
    REFUSED_MAIL,
    TLS,
    D,
    Found,
    Kind,
    M,
    Q,
    R,
    Say,
    T,
    again,
)
from tests.against.sessions import ANN, DATA, EHLO, LATE, MAIL, NOOP, PART, QUIT, RCPT, REST, TEXT, bdat

BAD_MAIL, BAD_RCPT, BAD_DATA = Say(MAIL, "503"), Say(RCPT, "503"), Say(DATA, "503")
LATE_DATA = (M, Say(LATE, "250"), Say(DATA, "550"))
LF_TEXT = TEXT.replace(b"text", b"te\nxt")
NO_HELLO, HELO_ESMTP, IGNORED = "no-hello-at-all", "helo-then-esmtp", "ignored-refusal"
NOBODY_LEFT, EARLY, BARE = "all-recipients-refused", "did-not-wait-for-greeting", "bare-lf-client"


def lf(step: Say) -> Say:
    """Return a step whose line ends in a bare LF."""
    return Say(step.octets.replace(b"\r\n", b"\n"), step.codes)


def closed(octets: bytes, code: str) -> Say:
    """Return a step whose one answer closes the session."""
    return Say(octets, code)


ORDER: Final[dict[str, Kind]] = {
    "no hello": Kind(steps=(BAD_MAIL, Q), found=(Found("SG101", NO_HELLO),)),
    "no hello, goes on": Kind(
        steps=(BAD_MAIL, BAD_RCPT, BAD_DATA, Q),
        found=(Found("SG101", NO_HELLO), Found("SG102", IGNORED), Found("SG103", IGNORED))),
    "rcpt first of all": Kind(steps=(BAD_RCPT, Q), found=(Found("SG102", NO_HELLO),)),
    "data first of all": Kind(steps=(BAD_DATA, Q), found=(Found("SG103", NO_HELLO),)),
    "chunk refused, then mail": Kind(
        steps=(HI, M, NO, Say(bdat(PART, True), "503"), BAD_MAIL, FRESH, Q),
        found=(Found("SG104", NOBODY_LEFT), Found("SG105", "no-rset-after-refused-data"))),
    "hello refused and ignored": Kind(
        steps=(Say(b"EHLO\r\n", "501"), BAD_MAIL, HI, *MESSAGE, Q), messages=1,
        found=(Found("SG101", "hello-refused-and-ignored"),)),
    "rcpt before mail": Kind(steps=(HI, BAD_RCPT, *MESSAGE, Q), messages=1, found=(Found("SG102"),)),
    "three rcpts without mail": Kind(steps=(HI, *again(BAD_RCPT, 3), Q), found=(Found("SG102", count=3),)),
    "mail refused and ignored": Kind(
        steps=(HI, REFUSED_MAIL, BAD_RCPT, BAD_DATA, Q), found=(Found("SG102", IGNORED), Found("SG103", IGNORED))),
    "data without mail": Kind(steps=(HI, BAD_DATA, Q), found=(Found("SG103"),)),
    "chunk without mail": Kind(steps=(HI, Say(bdat(PART, True), "503"), Q), found=(Found("SG103"),)),
    "data although all recipients were refused": Kind(
        steps=(HI, M, NO, NO, BAD_DATA, FRESH, Q), found=(Found("SG104", NOBODY_LEFT),)),
    "data without rcpt": Kind(steps=(HI, M, BAD_DATA, R, D, T, Q), messages=1, found=(Found("SG104"),)),
    "no rset behind a refused data": Kind(
        steps=(HI, *LATE_DATA, BAD_MAIL, FRESH, *MESSAGE, Q), messages=1,
        found=(Found("SG105", "no-rset-after-refused-data"),)),
    "a loop without rset": Kind(
        steps=(HI, M, NO, *again(BAD_MAIL, 4), Q), found=(Found("SG105", NOBODY_LEFT, 4),)),
    "pooled connection": Kind(
        steps=(HI, *MESSAGE, M, R, BAD_MAIL, Q), messages=1, found=(Found("SG105", "pooled-connection"),)),
    "mail twice": Kind(steps=(HI, M, BAD_MAIL, R, D, T, Q), messages=1, found=(Found("SG105"),)),
    "mail between chunks": Kind(
        steps=(HI, M, R, Say(bdat(PART), "250"), BAD_MAIL, Say(bdat(REST, True), "250"), Q), messages=1,
        found=(Found("SG106"),)),
    "data between chunks": Kind(
        steps=(HI, M, R, Say(bdat(PART), "250"), BAD_DATA, FRESH, Q), found=(Found("SG106"),)),
    "chunk behind helo": Kind(
        steps=(HI_OLD, M, R, Say(bdat(REST, True), "503"), D, T, Q), messages=1, found=(Found("SG107", HELO_ESMTP),)),
    # Postfix takes these three all the same, which the audit calls a surprise.
    "starttls in a transaction": Kind(
        steps=(HI, M, *TLS, HI, Q), visible="until-starttls", close="", found=(Found("SG110"),),
        facts=(Found("SG505"),)),
    "auth behind helo": Kind(
        steps=(HI_OLD, Say(b"AUTH PLAIN " + ANN, "235"), *MESSAGE, Q), messages=1, found=(Found("SG113", HELO_ESMTP),),
        facts=(Found("SG505"),)),
    "starttls behind helo": Kind(
        steps=(HI_OLD, *TLS, HI, *MESSAGE, Q), visible="until-starttls", close="",
        found=(Found("SG114", HELO_ESMTP),), facts=(Found("SG505"),)),
    "auth in a transaction": Kind(
        steps=(HI, M, Say(b"AUTH PLAIN " + ANN, "503"), R, D, T, Q), messages=1, found=(Found("SG111"),)),
    "auth twice": Kind(
        steps=(HI, Say(b"AUTH PLAIN " + ANN, "235"), Say(b"AUTH PLAIN " + ANN, "503"), *MESSAGE, Q), messages=1,
        found=(Found("SG112", "second-login"),)),
    "etrn in a transaction": Kind(
        steps=(HI, M, Say(b"ETRN up.example\r\n", "503"), R, D, T, Q), messages=1, found=(Found("SG116"),)),
}  # fmt: skip

TIMING: Final[dict[str, Kind]] = {
    "early talker": Kind(
        steps=(Say(EHLO, "220 250"), *MESSAGE, Q), early=True, messages=1, found=(Found("SG201", EARLY),)),
    "pipelines behind helo": Kind(
        steps=(HI_OLD, Say(MAIL + RCPT + RCPT, "250 250 250"), D, T, Q), messages=1, found=(Found("SG202", count=2),)),
    "input behind noop": Kind(
        steps=(HI, Say(NOOP + MAIL, "250 250"), R, D, T, Q), messages=1, found=(Found("SG203"),)),
    "content without 354": Kind(
        steps=(HI, M, R, Say(DATA + TEXT, "354 250"), Q), messages=1, found=(Found("SG204", "did-not-wait-for-354"),)),
    "content behind a refused data": Kind(
        steps=(HI, M, NO, Say(DATA + TEXT, "503 554")), close="violation",
        found=(Found("SG104", NOBODY_LEFT), Found("SG204", "did-not-wait-for-354"))),
    "content after a refused data": Kind(
        steps=(HI, *LATE_DATA, closed(TEXT, "554")), close="violation", found=(Found("SG204", IGNORED),)),
    "octets behind starttls": Kind(
        steps=(HI, closed(b"STARTTLS\r\n" + NOOP, "554")), close="violation", found=(Found("SG205"),)),
    "input behind quit": Kind(steps=(HI, *MESSAGE, Say(QUIT + NOOP, "221")), messages=1, found=(Found("SG206"),)),
}  # fmt: skip

FRAMING: Final[dict[str, Kind]] = {
    "bare lf": Kind(
        steps=(lf(HI), lf(M), lf(R), lf(D), T, lf(Q)), messages=1, found=(Found("SG301", BARE, 5),)),
    "bare lf everywhere": Kind(
        steps=(lf(HI), lf(M), lf(R), lf(D), Say(LF_TEXT, "250"), lf(Q)), messages=1,
        found=(Found("SG301", BARE, 5), Found("SG305", BARE))),
    # Of what is only noted 20 of a rule become events in a session; the counters go on.
    "thirty lines in bare lf": Kind(
        steps=(HI, *again(lf(Say(NOOP, "250")), 30), *MESSAGE, Q), messages=1, found=(Found("SG301", BARE, 30),)),
    "nul in a command": Kind(
        steps=(HI, Say(b"MAIL FROM:<ann\0@client.example>\r\n", "500"), *MESSAGE, Q), messages=1,
        found=(Found("SG302"),)),
    "line of five thousand": Kind(
        steps=(HI, closed(b"NOOP " + b"x" * 5000 + b"\r\n", "500")), close="violation", found=(Found("SG303"),)),
    "hidden end": Kind(
        steps=(HI, M, R, D, closed(b"Subject: x\r\n\r\na\r\n\0.\r\n" + MAIL + RCPT, "550")), close="violation",
        found=(Found("SG304"),)),
    "bare lf in content": Kind(steps=(HI, M, R, D, Say(LF_TEXT, "250"), Q), messages=1, found=(Found("SG305"),)),
    "malformed bdat": Kind(
        steps=(HI, M, R, closed(b"BDAT  5 LAST\r\nQUIT\r\n", "501")), close="violation", found=(Found("SG306"),)),
}  # fmt: skip

FOREIGN: Final[dict[str, Kind]] = {
    "http": Kind(
        steps=(closed(b"GET /index.php HTTP/1.1\r\nHost: up.example\r\n\r\n", "554"),), visible="none",
        close="violation", found=(Found("SG401", "scanner"),)),
    "http health check": Kind(
        steps=(closed(b"GET /health HTTP/1.1\r\nHost: up.example\r\n\r\n", "554"),), visible="none",
        close="violation", found=(Found("SG401", "health-check"),)),
    "http, speaks first": Kind(
        steps=(closed(b"POST /x HTTP/1.0\r\n\r\n", "220 554"),), early=True, visible="none", close="violation",
        found=(Found("SG201", EARLY), Found("SG401", "scanner"))),
    "tls": Kind(
        steps=(closed(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160), "554"),),
        visible="none", close="violation", found=(Found("SG402", "scanner"),)),
    "ssh": Kind(
        steps=(closed(b"SSH-2.0-OpenSSH_9.2\r\n", "554"),), visible="none", close="violation",
        found=(Found("SG403", "scanner"),)),
    "proxy header": Kind(
        steps=(closed(b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 25\r\n", "554"),), close="violation",
        found=(Found("SG404"),)),
    "xclient": Kind(
        steps=(HI, Say(b"XCLIENT ADDR=192.0.2.1\r\n", "502"), *MESSAGE, Q), messages=1, found=(Found("SG405"),)),
}  # fmt: skip

LIMITS: Final[dict[str, Kind]] = {
    # 20 refusals are answered, the 21st hears 421 instead: it is a finding like the others, and the limit is one more.
    "never gives up": Kind(
        steps=(HI, *again(BAD_RCPT, 20), closed(RCPT, "421")), close="limit",
        found=(Found("SG102", count=21),), facts=(Found("SG601"),)),
    "noop for ever": Kind(
        steps=(HI, *again(Say(NOOP, "250"), 100), closed(NOOP, "421")), close="limit", facts=(Found("SG602"),)),
}  # fmt: skip

BAD: Final = ORDER | TIMING | FRAMING | FOREIGN | LIMITS
