"""The demo before a real server: Postfix is sent no message."""

from collections.abc import Iterator

import pytest
import trustme

from smtpguard.config import Address
from smtpguard.demo.sessions import YOURS, sessions
from smtpguard.demo.stage import Options, staged
from tests.against.deadline import free_port
from tests.against.postfix import Postfix


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    """Postfix 3.7; nothing listens where it would deliver to."""
    certificate = trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.bytes()
    postfix = Postfix(free_port(), certificate)
    yield postfix
    postfix.close()


async def test_nothing_is_delivered(postfix: Postfix) -> None:
    """All sessions but the smuggler's are played, each finds its rule, and no message is begun or queued."""
    async with staged(Options(upstream=Address("127.0.0.1", postfix.port))) as stage:
        shown = await stage.play(stage.table())
    assert [each.played.session.rule for each in shown] == ["", "SG102", "SG104", "SG105", "SG101", "SG401"]
    assert sum(each.left_out != "" for each in sessions(YOURS)) == 1
    for each in shown:
        assert each.as_told, each.played
        assert each.upstream_saw is None
        assert not any(line.text.startswith("354") for line in each.played.transcript)
    log = postfix.log.read_text()
    assert "connect from" in log
    assert "message-id=" not in log
    assert ", size=" not in log
    queues = ("maildrop", "incoming", "active", "deferred", "hold")
    assert not [path for queue in queues for path in (postfix.folder / "queue" / queue).rglob("*") if path.is_file()]
