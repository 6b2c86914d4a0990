"""What several files here need."""

from collections.abc import Iterator

import pytest

from tests.against.scripted import ScriptedStandIn


@pytest.fixture
def mx() -> Iterator[ScriptedStandIn]:
    """An upstream in a thread."""
    stand_in = ScriptedStandIn()
    yield stand_in
    stand_in.close()
