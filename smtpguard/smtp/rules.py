"""The catalogue of findings: one rule, one row.

A rule has a stable id (never reused, never renumbered), a name, the situation in a few words, the RFC section it
stands on, a default verdict for each profile, the answer that smtpguard gives when policy says `refuse` or `close`,
and the cure for the sending side. README's table is printed from here and compared by a test.

`safe` marks the rules whose verdict holds in every mode and profile: there our view of the stream and UPSTREAM's
would part.
"""

from typing import Final

from smtpguard.smtp.replies import TOO_MANY_SESSIONS, Answer
from smtpguard.smtp.verdicts import CLOSE, NOTE, OFF, REFUSE, Profile, Rule, Section, Verdict

CATALOGUE: Final[dict[str, Rule]] = {}


def _rule(  # noqa: PLR0913 - a row of the table has as many columns as it has
    id: str,
    name: str,
    section: Section,
    situation: str,
    reference: str,
    verdicts: tuple[Verdict, Verdict, Verdict],
    answer: Answer | None,
    cure: str,
    *,
    safe: bool = False,
) -> Rule:
    CATALOGUE[id] = rule = Rule(
        id=id,
        name=name,
        section=section,
        situation=situation,
        reference=reference,
        verdicts=dict(zip(Profile, verdicts, strict=True)),
        answer=answer,
        cure=cure,
        safe=safe,
    )
    return rule


def _order(  # noqa: PLR0913 - as above
    id: str,
    name: str,
    situation: str,
    reference: str,
    verdicts: tuple[Verdict, Verdict, Verdict],
    text: str,
    cure: str,
    *,
    safe: bool = False,
) -> Rule:
    """Give a row of the order section: its answer is always 503 5.5.1."""
    return _rule(id, name, Section.ORDER, situation, reference, verdicts, Answer(503, "5.5.1", text), cure, safe=safe)


ALWAYS: Final = (REFUSE, REFUSE, REFUSE)
USUALLY: Final = (REFUSE, REFUSE, NOTE)
STRICTLY: Final = (REFUSE, NOTE, OFF)
WATCHED: Final = (NOTE, NOTE, OFF)
ALWAYS_CLOSE: Final = (CLOSE, CLOSE, CLOSE)
FACT: Final = (NOTE, NOTE, NOTE)

# --- Order ---------------------------------------------------------------------------------------------------------
SG101 = _order(
    "SG101", "mail-before-hello",
    "MAIL with no accepted EHLO or HELO, or none since TLS came up",
    "RFC 5321 §4.1.1.1, §4.1.4; RFC 3207 §4.2", USUALLY,
    "Bad sequence of commands: send EHLO first",
    "Send EHLO (or HELO) and wait for its 250 before MAIL, again after STARTTLS.",
)  # fmt: skip
SG102 = _order(
    "SG102", "rcpt-without-mail",
    "RCPT with no transaction open",
    "RFC 5321 §3.3, §4.1.4", ALWAYS,
    "Bad sequence of commands: send MAIL first",
    "Send RCPT only after MAIL was answered 250; after a refused MAIL send MAIL again, RSET or QUIT.",
)  # fmt: skip
SG103 = _order(
    "SG103", "data-without-mail",
    "DATA, BDAT or BURL with no transaction open",
    "RFC 5321 §3.3; RFC 3030 §2; RFC 4468", ALWAYS,
    "Bad sequence of commands: send MAIL and RCPT first",
    "Send content only after MAIL and RCPT were answered 250; check the reply to MAIL.",
)  # fmt: skip
SG104 = _order(
    "SG104", "data-without-recipient",
    "DATA, BDAT or BURL with a transaction open and no recipient accepted",
    "RFC 5321 §3.3; RFC 2920 §3.1", ALWAYS,
    "Bad sequence of commands: send RCPT first",
    "When every RCPT was refused, send RSET or QUIT, not DATA.",
)  # fmt: skip
SG105 = _order(
    "SG105", "nested-mail",
    "MAIL while a transaction is open",
    "RFC 5321 §4.1.4", USUALLY,
    "Bad sequence of commands: a mail transaction is open, send RSET first",
    "Finish a transaction with DATA, or give it up with RSET, before the next MAIL.",
)  # fmt: skip
SG106 = _order(
    "SG106", "command-in-chunking",
    "MAIL, RCPT or DATA after a first BDAT or BURL",
    "RFC 3030 §2", ALWAYS,
    "Bad sequence of commands: only BDAT, BURL or RSET may follow BDAT",
    "After the first BDAT go on with BDAT up to LAST, or send RSET.",
)  # fmt: skip
SG107 = _order(
    "SG107", "chunking-not-offered",
    "BDAT where the last accepted hello offered no CHUNKING",
    "RFC 3030 §2", ALWAYS,
    "Bad sequence of commands: CHUNKING is not offered, send DATA",
    "Use BDAT only where the reply to the last EHLO names CHUNKING.",
    safe=True,
)  # fmt: skip
SG108 = _order(
    "SG108", "data-for-binarymime",
    "DATA for a MAIL with BODY=BINARYMIME",
    "RFC 3030 §3", ALWAYS,
    "Bad sequence of commands: BINARYMIME needs BDAT",
    "Send a BINARYMIME message by BDAT.",
)  # fmt: skip
SG109 = _order(
    "SG109", "starttls-in-tls",
    "STARTTLS while TLS is active",
    "RFC 3207 §4.2", ALWAYS,
    "Bad sequence of commands: TLS is active",
    "Do not send STARTTLS inside TLS.",
)  # fmt: skip
SG110 = _order(
    "SG110", "starttls-in-transaction",
    "STARTTLS while a transaction is open",
    "RFC 3207 §4.2", WATCHED,
    "Bad sequence of commands: a mail transaction is open",
    "Send STARTTLS before MAIL: it makes the server forget the transaction.",
)  # fmt: skip
SG111 = _order(
    "SG111", "auth-in-transaction",
    "AUTH while a transaction is open",
    "RFC 4954 §4", USUALLY,
    "Bad sequence of commands: AUTH is not allowed in a mail transaction",
    "Log in before MAIL.",
)  # fmt: skip
SG112 = _order(
    "SG112", "auth-twice",
    "AUTH after a successful AUTH",
    "RFC 4954 §4", USUALLY,
    "Bad sequence of commands: already authenticated",
    "Log in once per session; open a new one for another user.",
)  # fmt: skip
SG113 = _order(
    "SG113", "auth-before-ehlo",
    "AUTH with no accepted EHLO, or after HELO",
    "RFC 4954 §4", STRICTLY,
    "Bad sequence of commands: send EHLO first",
    "Say EHLO, not HELO, where you want to log in.",
)  # fmt: skip
SG114 = _order(
    "SG114", "starttls-before-ehlo",
    "STARTTLS with no accepted EHLO, or after HELO",
    "RFC 3207 §4", STRICTLY,
    "Bad sequence of commands: send EHLO first",
    "Say EHLO, not HELO, where you want TLS.",
)  # fmt: skip
SG115 = _order(
    "SG115", "command-after-refused-greeting",
    "anything but QUIT after a 4yz or 5yz greeting",
    "RFC 5321 §3.1", ALWAYS,
    "Bad sequence of commands: no service here, send QUIT",
    "Read the greeting; after 554 or 4yz send QUIT and try later or elsewhere.",
)  # fmt: skip
SG116 = _order(
    "SG116", "etrn-in-transaction",
    "ETRN while a transaction is open",
    "practice of Postfix and Exim", WATCHED,
    "Bad sequence of commands: a mail transaction is open",
    "Send ETRN outside a mail transaction.",
)  # fmt: skip

# --- Timing --------------------------------------------------------------------------------------------------------
SYNCHRONISATION: Final = Answer(554, "5.5.0", "SMTP protocol synchronisation error")
SG201 = _rule(
    "SG201", "early-talker", Section.TIMING,
    "octets before the greeting was sent",
    "RFC 5321 §3.1, §4.3.1", (CLOSE, NOTE, OFF),
    SYNCHRONISATION,
    "Wait for the 220 greeting before the first command.",
)  # fmt: skip
SG202 = _rule(
    "SG202", "pipelining-not-offered", Section.TIMING,
    "a second command before the first one's reply, PIPELINING not offered or HELO used",
    "RFC 2920 §3.1; RFC 5321 §4.3.1", (CLOSE, NOTE, OFF),
    SYNCHRONISATION,
    "Wait for each reply, or say EHLO and look for PIPELINING.",
)  # fmt: skip
SG203 = _rule(
    "SG203", "input-behind-group-end", Section.TIMING,
    "input behind EHLO, VRFY, EXPN or NOOP, which end a command group, or behind HELO or AUTH",
    "RFC 2920 §3.1", WATCHED,
    SYNCHRONISATION,
    "Wait for the reply to EHLO, VRFY, EXPN, NOOP and AUTH before the next line.",
)  # fmt: skip
SG204 = _rule(
    "SG204", "content-without-354", Section.TIMING,
    "content before DATA was answered, or behind a refused DATA",
    "RFC 5321 §3.3, §4.3.2; RFC 2920 §3.1", (CLOSE, NOTE, NOTE),
    SYNCHRONISATION,
    "Wait for 354 before the content; after a refused DATA send RSET or QUIT.",
)  # fmt: skip
SG205 = _rule(
    "SG205", "octets-behind-starttls", Section.TIMING,
    "anything in the clear behind STARTTLS or behind UPSTREAM's 220 to it",
    "RFC 3207 §4, §4.2", ALWAYS_CLOSE,
    SYNCHRONISATION,
    "Send nothing between STARTTLS and the TLS handshake.",
    safe=True,
)  # fmt: skip
SG206 = _rule(
    "SG206", "input-behind-quit", Section.TIMING,
    "anything read behind an accepted QUIT",
    "RFC 5321 §4.1.1.10; RFC 2920 §3.1", FACT,
    None,
    "Send nothing after QUIT.",
)  # fmt: skip

# --- Framing -------------------------------------------------------------------------------------------------------
SG301 = _rule(
    "SG301", "bare-lf-in-command", Section.FRAMING,
    "a command line that ends in a bare LF",
    "RFC 5321 §2.3.8", STRICTLY,
    Answer(500, "5.5.2", "Bare LF received: end every line with CRLF"),
    "End every line with CRLF.",
)  # fmt: skip
SG302 = _rule(
    "SG302", "control-octet-in-command", Section.FRAMING,
    "CR, NUL or another control octet but HT inside a command line",
    "RFC 5321 §4.1.2, §4.5.3.1.4", ALWAYS,
    Answer(500, "5.5.2", "Control character in command line"),
    "Send no control characters in commands; look for input taken over unchecked.",
    safe=True,
)  # fmt: skip
SG303 = _rule(
    "SG303", "command-too-long", Section.FRAMING,
    "a command line over the limit",
    "RFC 5321 §4.5.3.1.4, §4.3.2; RFC 4954 §4", ALWAYS_CLOSE,
    Answer(500, "5.5.2", "Line too long"),
    "Keep command lines under 4096 octets, AUTH and SASL lines under 12288.",
    safe=True,
)  # fmt: skip
SG304 = _rule(
    "SG304", "hidden-end-of-content", Section.FRAMING,
    "a lone dot between line ends that is not CRLF.CRLF",
    "RFC 5321 §2.3.8, §4.1.1.4", ALWAYS_CLOSE,
    Answer(550, "5.5.2", "Message content holds an end of content that is not CRLF.CRLF"),
    "End lines with CRLF and double a dot at the start of a line; look for an injected end of message.",
    safe=True,
)  # fmt: skip
SG305 = _rule(
    "SG305", "bare-newline-in-content", Section.FRAMING,
    "bare LF or bare CR in DATA content",
    "RFC 5321 §2.3.8", (CLOSE, NOTE, OFF),
    Answer(550, "5.5.2", "Bare LF or CR in message content: end every line with CRLF"),
    "End every line with CRLF.",
)  # fmt: skip
SG306 = _rule(
    "SG306", "malformed-bdat", Section.FRAMING,
    "a BDAT line that is not exactly BDAT SP size [SP LAST] CRLF",
    "RFC 3030 §2", ALWAYS_CLOSE,
    Answer(501, "5.5.4", "Syntax: BDAT size [LAST]"),
    "Send BDAT, one blank, the size in digits, then nothing or one blank and LAST.",
    safe=True,
)  # fmt: skip

# --- Foreign and forbidden -----------------------------------------------------------------------------------------
NOT_SMTP: Final = Answer(554, "5.5.1", "This is an SMTP service")
SG401 = _rule(
    "SG401", "http-request", Section.FOREIGN,
    "the first line is HTTP",
    "RFC 5321 §3.1", ALWAYS_CLOSE, NOT_SMTP,
    "Speak SMTP to this port.",
)  # fmt: skip
SG402 = _rule(
    "SG402", "tls-on-plain", Section.FOREIGN,
    "the first octets are a TLS record",
    "RFC 8314 §3.3; RFC 3207", ALWAYS_CLOSE, NOT_SMTP,
    "Use STARTTLS here, or the implicit TLS port.",
)  # fmt: skip
SG403 = _rule(
    "SG403", "other-protocol", Section.FOREIGN,
    "the first line is of another protocol (SSH, SIP, RDP, SOCKS, memcached, ...)",
    "RFC 5321 §3.1", ALWAYS_CLOSE, NOT_SMTP,
    "Speak SMTP to this port.",
)  # fmt: skip
SG404 = _rule(
    "SG404", "unexpected-proxy-header", Section.FOREIGN,
    "a PROXY header where none is expected",
    "the PROXY protocol, §2", ALWAYS_CLOSE,
    Answer(554, "5.5.1", "PROXY header not expected from this address"),
    "Send no PROXY header here, or have this peer listed in identity.accept-proxy-from.",
)  # fmt: skip
SG405 = _rule(
    "SG405", "forbidden-verb", Section.FOREIGN,
    "XCLIENT, XFORWARD, XPROXY, XPROXYFROM, XPROXYTO, PROXY, TURN, ATRN, XEXCH50 or LHLO",
    "Postfix XCLIENT_README; RFC 2645; RFC 2033 §4.1", ALWAYS,
    Answer(502, "5.5.1", "Command not allowed here"),
    "Do not send this command to this host.",
    safe=True,
)  # fmt: skip

# --- Upstream: CLIENT is not blamed --------------------------------------------------------------------------------
SG501 = _rule(
    "SG501", "upstream-unreachable", Section.UPSTREAM,
    "UPSTREAM could not be reached, or sent no greeting in time",
    "RFC 5321 §3.8", FACT,
    Answer(421, "4.3.2", "Service not available, try again later"),
    "Nothing: the fault is on our side.",
)  # fmt: skip
SG502 = _rule(
    "SG502", "upstream-out-of-step", Section.UPSTREAM,
    "a reply of UPSTREAM that is malformed, unsolicited or of the wrong class",
    "RFC 5321 §4.2, §4.3.2", FACT,
    Answer(421, "4.3.0", "Service not available, try again later"),
    "Nothing: the fault is on our side.",
)  # fmt: skip
SG503 = _rule(
    "SG503", "upstream-closed", Section.UPSTREAM,
    "UPSTREAM closed, or stayed silent past the deadline, while it owed a reply",
    "RFC 5321 §3.8, §4.5.3.2", FACT,
    Answer(421, "4.3.0", "Service not available, try again later"),
    "Nothing: the fault is on our side.",
)  # fmt: skip
SG504 = _rule(
    "SG504", "delivery-uncertain", Section.UPSTREAM,
    "UPSTREAM may have accepted a message and CLIENT could not be told",
    "RFC 1047; RFC 5321 §6.1", FACT,
    None,
    "Expect the message a second time: wait 10 minutes for the reply to the final dot.",
)  # fmt: skip
SG505 = _rule(
    "SG505", "upstream-surprise", Section.UPSTREAM,
    "UPSTREAM accepted what the order forbids, or answered 500, 502 or 503 to what is legal",
    "RFC 5321 §4.1.4", FACT,
    None,
    "Nothing: a fact about the upstream worth knowing.",
)  # fmt: skip

# --- Limits --------------------------------------------------------------------------------------------------------
SG601 = _rule(
    "SG601", "too-many-violations", Section.LIMITS,
    "one more refused command than limits.violations",
    "RFC 5321 §7.8", ALWAYS_CLOSE,
    Answer(421, "4.7.0", "Too many errors"),
    "Mend the commands that were refused before.",
)  # fmt: skip
SG602 = _rule(
    "SG602", "too-many-empty-commands", Section.LIMITS,
    "more NOOP, RSET, HELP, VRFY and unknown commands than limits.empty-commands since the last accepted message",
    "RFC 5321 §7.8", ALWAYS_CLOSE,
    Answer(421, "4.7.0", "Too many commands without mail"),
    "Close idle sessions with QUIT instead of keeping them up with NOOP.",
)  # fmt: skip
SG603 = _rule(
    "SG603", "command-deadline", Section.LIMITS,
    "no whole command within timeouts.command",
    "RFC 5321 §4.5.3.2.7", ALWAYS_CLOSE,
    Answer(421, "4.4.2", "Timeout waiting for a command"),
    "Send the next command in time, or QUIT.",
)  # fmt: skip
SG604 = _rule(
    "SG604", "content-stalled", Section.LIMITS,
    "content slower than 4 KiB within timeouts.content",
    "RFC 5321 §4.5.3.2.5", ALWAYS_CLOSE,
    Answer(421, "4.4.2", "Timeout in message content"),
    "Look at the network path: a stalled content often is a path MTU fault.",
)  # fmt: skip
SG605 = _rule(
    "SG605", "session-too-long", Section.LIMITS,
    "a session longer than timeouts.session",
    "RFC 5321 §4.5.3.2.7", ALWAYS_CLOSE,
    Answer(421, "4.4.2", "Session too long"),
    "Open a new session for further mail.",
)  # fmt: skip
SG606 = _rule(
    "SG606", "too-many-sessions", Section.LIMITS,
    "more sessions at once than limits.sessions or limits.sessions-per-client",
    "RFC 5321 §7.8", ALWAYS_CLOSE,
    TOO_MANY_SESSIONS,
    "Open fewer sessions at a time.",
)  # fmt: skip
SG607 = _rule(
    "SG607", "penalised", Section.LIMITS,
    "a session of a client under penalty",
    "RFC 5321 §7.8", ALWAYS_CLOSE,
    Answer(421, "4.7.0", "Try again later"),
    "Mend the commands that were refused before.",
)  # fmt: skip
