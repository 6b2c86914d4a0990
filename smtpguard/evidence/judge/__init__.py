"""A recorded conversation, judged by the engine itself.

judge        pieces of a record -> findings
pieces       what a record is made of
judged       what comes of it
explained    a pasted transcript, judged line by line, for a person
"""
