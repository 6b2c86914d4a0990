"""Runs a demo until it is through, or until a person or the system ends it.

SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal was closed) end it in order: the stage is cleared, and `run` returns
as if it were through.
"""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import trio


def run(demo: Callable[[], Awaitable[None]]) -> None:
    """Run a demo to its end.

    Raises:
        DemoError: it could not be given; bare, not in the group that trio's nurseries make of it.
        OSError: nobody reads what is printed any more; bare as well.
    """
    try:
        trio.run(_until_signal, demo)
    except BaseExceptionGroup as group:
        raise _only(group) from None


async def _until_signal(demo: Callable[[], Awaitable[None]]) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_at_first, signals, nursery.cancel_scope)
            await demo()
            nursery.cancel_scope.cancel()


async def _cancel_at_first(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    await anext(signals)
    scope.cancel()


def _only(error: BaseException) -> BaseException:
    """Take a lone exception out of the groups around it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
