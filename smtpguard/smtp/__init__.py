"""The protocol room: SMTP between two sides, sans-IO, standard library only.

No clock, no socket, no logger, no trio. Octets go into a `Session`, octets and events come out; a `Policy` handed in
at accept says what each finding leads to.

    session      the door: octets, ends, deadlines
    reading      CLIENT's octets, one step per phase      hearing   UPSTREAM's replies
    desk         the state of a session and the acts that every step is made of
    judgement    one line, all its findings, one verdict  ledger    counters and events of a session
    order        THE TABLES: what is legal, and what a reply makes of the state
    flight       what is in flight; which finding is a consequence
    policy       finding -> verdict                       rules     the catalogue (verdicts: its columns)
    causes       the patterns behind the findings         events    what happened, as frozen values
    framing      lines and whole replies                  content   message content and the dot guard
    syntax       one line -> Command or Reply             foreign   other protocols, by their first octets
    replies      what smtpguard itself says               transcript  the latest lines, kept for a bad day
    vocabulary   words and limits                         recorded    the engine, playing a record
    own_answers  what a guard said, known by its words
"""

from smtpguard.smtp.causes import Cause
from smtpguard.smtp.desk import Ending
from smtpguard.smtp.events import (
    TLS_OF_SOME_KIND,
    Close,
    Declined,
    Event,
    Finding,
    InspectionEnded,
    Link,
    Previous,
    SessionEnded,
    SessionStarted,
)
from smtpguard.smtp.framing import MalformedReply, ReplyReader
from smtpguard.smtp.own_answers import spoken_by_guard
from smtpguard.smtp.policy import Limits, Policy, Ruling, policy_for, table
from smtpguard.smtp.recorded import RecordedSession, Terms, terms_of
from smtpguard.smtp.replies import (
    INTERNAL_ERROR,
    SHUTTING_DOWN,
    TOO_MANY_SESSIONS,
    UNIDENTIFIED_CLIENT,
    UNRECORDED,
    Answer,
)
from smtpguard.smtp.rules import CATALOGUE
from smtpguard.smtp.session import Output, Session
from smtpguard.smtp.syntax import Command, Reply, keywords, parse_command
from smtpguard.smtp.transcript import Transcript, TranscriptLine, Voice
from smtpguard.smtp.verdicts import Profile, Rule, Section, Verdict
from smtpguard.smtp.vocabulary import (
    COMMAND_LINE,
    FORBIDDEN_WORDS,
    READ_SIZE,
    SASL_LINE,
    ReplyClass,
    Side,
    State,
    TlsMode,
    TranscriptMode,
    Verb,
    Waiting,
)

__all__ = [
    "CATALOGUE",
    "COMMAND_LINE",
    "FORBIDDEN_WORDS",
    "INTERNAL_ERROR",
    "READ_SIZE",
    "SASL_LINE",
    "SHUTTING_DOWN",
    "TLS_OF_SOME_KIND",
    "TOO_MANY_SESSIONS",
    "UNIDENTIFIED_CLIENT",
    "UNRECORDED",
    "Answer",
    "Cause",
    "Close",
    "Command",
    "Declined",
    "Ending",
    "Event",
    "Finding",
    "InspectionEnded",
    "Limits",
    "Link",
    "MalformedReply",
    "Output",
    "Policy",
    "Previous",
    "Profile",
    "RecordedSession",
    "Reply",
    "ReplyClass",
    "ReplyReader",
    "Rule",
    "Ruling",
    "Section",
    "Session",
    "SessionEnded",
    "SessionStarted",
    "Side",
    "State",
    "Terms",
    "TlsMode",
    "Transcript",
    "TranscriptLine",
    "TranscriptMode",
    "Verb",
    "Verdict",
    "Voice",
    "Waiting",
    "keywords",
    "parse_command",
    "policy_for",
    "spoken_by_guard",
    "table",
    "terms_of",
]
