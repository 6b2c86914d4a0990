"""The local syslog daemon as a sink, by the standard library's handler: facility mail, one datagram a line.

Lines come with journald's `<N>` in front, which becomes the datagram's severity. A daemon that is restarted is found
again by the handler; what it does not take meanwhile is counted. Blocks while its queue is full, so it is called from
threads only."""

import logging
import os
from logging.handlers import SysLogHandler
from typing import Final

from smtpguard.record.append import Loss
from smtpguard.record.lane import Batch

SOCKET: Final = "/dev/log"

_LEVELS: Final = {"7": logging.DEBUG, "6": logging.INFO, "4": logging.WARNING, "3": logging.ERROR}


class _Handler(SysLogHandler):
    """Counts what it cannot send, where the standard one prints a traceback to stderr."""

    lost = 0

    def handleError(self, record: logging.LogRecord) -> None:
        self.lost += 1


class Syslog:
    """A connection to the daemon."""

    __slots__ = ("_handler",)

    def __init__(self, tag: str, address: str = SOCKET) -> None:
        """Connect; a daemon that is not there yet is looked for again at each line."""
        self._handler = _Handler(address=address, facility=SysLogHandler.LOG_MAIL)
        self._handler.ident = f"{tag}[{os.getpid()}]: "

    def write(self, batch: Batch) -> Loss:
        """Send each line; return those that were not taken."""
        before = self._handler.lost
        for _, lines in batch:
            for line in lines.decode("ascii").splitlines():
                level = _LEVELS[line[1]]
                attributes = {"msg": line[3:], "levelno": level, "levelname": logging.getLevelName(level)}
                self._handler.emit(logging.makeLogRecord(attributes))
        lost = self._handler.lost - before
        return Loss(lost, "syslog does not take it" if lost else "")

    def close(self) -> None:
        """Close the socket."""
        self._handler.close()
