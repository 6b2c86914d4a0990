"""A clock that jumps, but not over a loopback socket that is about to be readable."""

import pytest
from trio.testing import MockClock


@pytest.fixture
def jumping_clock() -> MockClock:
    """Virtual time for tests with real sockets: it jumps when nothing happened for 10 ms."""
    return MockClock(autojump_threshold=0.01)
