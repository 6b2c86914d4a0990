"""Tests of the service room: what must be right before the start, the probe, and one whole guard on loopback."""
