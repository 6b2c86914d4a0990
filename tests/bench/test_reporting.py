"""The bench of `report`, in small: what it writes is what it says, and what a report finds."""

import time
from pathlib import Path

import pytest

from tests.bench.many_events import write
from tests.bench.reporting import measured


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_the_report_agrees_with_the_writer(tmp_path: Path, packed: bool) -> None:
    """A few thousand events, half of a day of them in gzipped hours: every figure is the writer's own."""
    made = write(tmp_path, events=4000, days=1, until=time.time(), hosts=50, packed=packed, margin=600)
    assert made.sessions > 3000
    assert 0 < made.affected < made.sessions
    assert measured(tmp_path, made, 1, "--json").memory > 0


def test_a_difference_is_told(tmp_path: Path) -> None:
    """A figure that is not the writer's is an error that names both."""
    made = write(tmp_path, events=1000, days=1, until=time.time(), hosts=5, margin=600)
    made.sessions += 1
    with pytest.raises(ValueError, match="was written"):
        measured(tmp_path, made, 1, "--json")


def test_a_failure_is_told(tmp_path: Path) -> None:
    """A report that ends with a code other than 0 is an error with its command."""
    made = write(tmp_path, events=1000, days=1, until=time.time(), hosts=5, margin=600)
    with pytest.raises(ValueError, match="--by none ended with 2"):
        measured(tmp_path, made, 1, "--by", "none")
