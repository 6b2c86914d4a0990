"""Ids of audit events: sortable, unique, and a hole shows."""

import re

from smtpguard.record.identity import Numbering
from tests.record.samples import NOW

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def test_parts() -> None:
    """Ten characters are the milliseconds in base 32, six the boot, ten the sequence in decimal digits."""
    numbering = Numbering("GM7DCF")
    first, second = numbering.next_id(NOW), numbering.next_id(NOW + 60)
    milliseconds = 0
    for character in first[:10]:
        milliseconds = milliseconds * 32 + CROCKFORD.index(character)
    assert milliseconds == 1795458001482
    assert first[10:] == "GM7DCF0000000001"
    assert second[10:] == "GM7DCF0000000002"
    assert numbering.sequence == 2


def test_sorts_by_time_then_by_sequence() -> None:
    """Ids in the order of their birth are in the order of the alphabet."""
    numbering = Numbering()
    times = [NOW, NOW, NOW + 0.001, NOW + 0.001, NOW + 1, NOW + 86400, NOW + 1e8]
    ids = [numbering.next_id(at) for at in times]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_boots_differ() -> None:
    """Every run draws a boot id of six characters of Crockford's alphabet."""
    boots = {Numbering().boot for _ in range(50)}
    assert len(boots) > 45
    assert all(re.fullmatch(f"[{CROCKFORD}]{{6}}", boot) for boot in boots)
