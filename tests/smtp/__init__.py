"""Tests of the protocol room: sessions as transcripts, the order tables by hand, framing cases in every cut."""
