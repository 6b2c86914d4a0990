"""The record room: what happened becomes an operator log in Postfix's shape and an audit in ECS names.

    recorder  the one object: takes events, ticks, flushes     lane      bounded way to a sink that may stall
    lines     event -> line of the operator log                audit     event -> audit object
    log       settings, form of a line, loguru                 shapes    the audit's names, one by one
    syslog    the local syslog daemon                          segments  the audit's files, by hour
    escape    wire text -> printable ASCII                     append    whole lines into a descriptor
    clock     seconds -> text                                  identity  ULIDs that show a hole
    transcript  a session's latest lines for its end       archive   old files: gzipped, thrown away
    privacy   addresses that the audit must not hold       tally     how much one session may write
    schema    the audit's JSON Schema

Never imports the network room, nor it this one: it is handed `Recorder.observe` as a callable.
"""

from smtpguard.record.archive import Retention
from smtpguard.record.escape import cut, printable
from smtpguard.record.log import LogSettings
from smtpguard.record.privacy import Privacy, read_key
from smtpguard.record.recorder import Recorder
from smtpguard.record.schema import audit_schema
from smtpguard.record.segments import make_directory
from smtpguard.record.shapes import FindingRecord, SessionEndRecord, TranscriptRecord

__all__ = [
    "FindingRecord",
    "LogSettings",
    "Privacy",
    "Recorder",
    "Retention",
    "SessionEndRecord",
    "TranscriptRecord",
    "audit_schema",
    "cut",
    "make_directory",
    "printable",
    "read_key",
]
