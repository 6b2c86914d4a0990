"""Transcripts as people have them: pasted, printed, logged. One reader for each form; the form is found by itself.

clean       octets -> lines of text          shapes      what a reader gives
marked      swaks, [rx]/[tx], In:/Out:, C:/S:, arrows
terminal    telnet, netcat, openssl s_client          smtplib     Python's debug output
ours        `smtpguard show`, its JSON, the audit
dialogue    lines -> commands, content, replies        reading     text -> `Transcript`
record      `Transcript` -> the record that is judged
"""

from smtpguard.evidence.transcripts.dialogue import Part, Said
from smtpguard.evidence.transcripts.reading import FORMS, Transcript, read
from smtpguard.evidence.transcripts.record import Recorded, record
from smtpguard.evidence.transcripts.shapes import Form, NoTranscriptError

__all__ = ["FORMS", "Form", "NoTranscriptError", "Part", "Recorded", "Said", "Transcript", "read", "record"]
