"""loguru is one per process: every test of this room gives it back as it was. And the clock of the network room."""

import sys
from collections.abc import Iterator

import pytest
from loguru import logger

from tests.net.conftest import jumping_clock

__all__ = ["jumping_clock"]


@pytest.fixture(autouse=True)
def _loguru_given_back() -> Iterator[None]:
    yield
    logger.remove()
    logger.add(sys.__stderr__ or sys.stderr)
