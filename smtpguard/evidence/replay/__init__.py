"""Recorded sessions under other rules.

replay       what was ruled, and what would be
sources      what a file is
audit        sessions of the audit
captures     sessions of a capture
transcript   a stored transcript -> what a judge hears
sums         by host, rule and verdict
"""
