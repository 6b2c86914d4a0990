"""The replies that smtpguard itself speaks: 4yz and 5yz only, never a 2yz or 3yz to a mail command.

An `Answer` is a value (code, enhanced status code of RFC 3463, text); `spoken` makes its octets. The text tells the
cure; rule id and session id stand at its end, so that a sending postmaster can quote them and ours can find them.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply of ours, without its line end."""

    code: int
    enhanced: str
    text: str

    def spoken(self, rule_id: str, session_id: str) -> bytes:
        """Return the octets of the reply; `rule_id` and `session_id` are left out where they are empty."""
        reference = " ".join(word for word in (rule_id, session_id) if word)
        tail = f" [{reference}]" if reference else ""
        return f"{self.code} {self.enhanced} {self.text}{tail}\r\n".encode("ascii")


NO_VALID_RECIPIENTS: Final = Answer(554, "5.5.1", "No valid recipients")
"""SG104 as a consequence: RFC 2920 §3.1 lets the server answer 554 to a pipelined DATA when every RCPT was refused."""

STARTTLS_HIDDEN: Final = Answer(502, "5.5.1", "Command not implemented")
"""STARTTLS where `tls.mode` is `hide`."""

STARTTLS_REFUSED: Final = Answer(454, "4.7.0", "TLS not available")
"""STARTTLS where `tls.mode` is `refuse`: "454 TLS not available due to temporary reason" (RFC 3207 §4)."""

INTERNAL_ERROR: Final = Answer(421, "4.3.0", "Internal error, try again later")
"""A bug of ours: it ends one session, never the service."""

SHUTTING_DOWN: Final = Answer(421, "4.3.2", "Service shutting down, try again later")
"""RFC 5321 §3.8: "421 ... if the service must shut down"."""

TOO_MANY_SESSIONS: Final = Answer(421, "4.7.0", "Too many sessions, try again later")
"""SG606, said before there is a session."""

UNRECORDED: Final = Answer(421, "4.3.0", "Service not available for now, try again later")
"""Where `audit.on-failure` is `refuse` and the audit cannot be written, before there is a session. What is wrong
is told to the administrator, not to strangers."""

UNIDENTIFIED_CLIENT: Final = Answer(421, "4.3.0", "No PROXY header: this port is for the balancers of this site")
"""To a peer that had to say who the client is and did not, before there is a session."""
