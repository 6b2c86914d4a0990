"""loguru is one per process: every test of this room gives it back as it was."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from tests.record.desk import Desk, Disk


@pytest.fixture(autouse=True)
def _loguru_given_back() -> Iterator[None]:
    yield
    logger.remove()
    logger.add(sys.__stderr__ or sys.stderr)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Hand out a desk and close its recorders."""
    desk = Desk(tmp_path)
    yield desk
    for recorder in desk.recorders:
        recorder.close()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Hand out a disk with room."""
    return Disk(monkeypatch)
