"""What smtpguard says to an UPSTREAM itself; the dialogues are in test_introduce, test_route and tests/service."""

import pytest
import trio

from smtpguard.net import Dialogue
from tests.net.streams import memory_pair


async def test_octets_behind_starttls() -> None:
    """What came in the clear behind 220 is never taken for a reply within TLS."""
    near, far = memory_pair()
    await far.send_all(b"220 go\r\n250 forged\r\n")
    with pytest.raises(trio.BrokenResourceError, match="behind 220 to STARTTLS"):
        await Dialogue(near).start_tls()


async def test_no_tls() -> None:
    """Another answer than 220 is no, and the dialogue goes on in the clear."""
    near, far = memory_pair()
    dialogue = Dialogue(near)
    await far.send_all(b"454 later\r\n")
    assert not await dialogue.start_tls()
    await far.send_all(b"250 mx\r\n")
    assert (await dialogue.hello()).code == 250
