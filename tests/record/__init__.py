"""Tests of the record room: golden lines and objects, sinks that stall or are full, and their readers."""
