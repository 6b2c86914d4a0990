"""Segments -> the tables that all figures are asked of: DuckDB, in memory, straight over the files.

The files are read once, into as few columns as the figures need (`queries/events.sql`); all else is SQL over that
table, so that the same texts run where another engine holds the events. Nothing is written beside the audit: what does
not fit into memory, and a second copy of a damaged file, go to a folder of its own under TMPDIR. No extension is
loaded, nothing is fetched.

A line that is no event becomes a row without a time and is counted. A file that DuckDB will not read to its end (a
gzip stream cut short, a line without an end) is copied as far as it can be read; one that vanished is looked for once
more under its gzipped name, and is no loss if retention took it.
"""

import gzip
import os
import re
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib import resources
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final, Self

import duckdb

from smtpguard.evidence.period import Period, shifts
from smtpguard.evidence.store import IO_ERROR, StoreError, blames, cannot_read, opened

MEMORY: Final = "320MB"
"""What DuckDB may use; with Python around it the process stays below 500 MiB."""

THREADS: Final = 4
"""At most; each holds its buffers."""

LONGEST: Final = 1 << 20
"""Octets of a line; the longest that a guard writes is a sixteenth of it."""

ATTEMPTS: Final = 5
"""How often the files are read afresh after one was set right."""

_GLOB: Final = re.compile(r"([*?\[])")


class Tables:
    """The events of one period, asked by the names of `queries/*.sql`."""

    __slots__ = ("_connection", "_copies", "_folder", "lost")

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="smtpguard-report-")
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "threads": str(min(THREADS, os.cpu_count() or 1)),
                "memory_limit": MEMORY,
                "temp_directory": self._folder.name,
                "preserve_insertion_order": "false",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
        self._copies = 0
        self.lost = 0
        """Lines that no event could be made of."""

    def __enter__(self) -> Self:
        """Hand out itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget all."""
        self._connection.close()
        self._folder.cleanup()

    def load(self, segments: Sequence[Path], period: Period, middle: float) -> None:
        """Read the events of a period.

        Args:
            segments: the files.
            period: what is in it is kept.
            middle: seconds since the epoch; from here on an event is a late one.

        Raises:
            StoreError: a file cannot be read (74).
        """
        text = query("events").replace("{shift}", _shift(period))
        times = {"since": _naive(period.since), "until": _naive(period.until), "middle": _naive(middle)}
        # DuckDB takes what stands behind a question mark for no part of the name, and so sees no `.gz`.
        odd = {file for file in segments if "?" in str(file) and file.suffix == ".gz"}
        files = self._copied_if(odd, segments)
        for attempt in range(ATTEMPTS):
            try:
                self._connection.execute(text, {**times, "files": [_literal(file) for file in files]})
                return
            except (duckdb.IOException, duckdb.InvalidInputException) as error:
                files = self._mended(files, str(error), all_of_them=attempt == 1)
                if attempt + 1 == ATTEMPTS or not files:
                    raise _cannot(error) from error
            except duckdb.Error as error:
                raise _cannot(error) from error

    def only(self, host: IPv4Network | IPv6Network | None, rule: str | None) -> None:
        """Say whose sessions and which findings count, and make the tables of both."""
        ((unreadable,),) = self.ask("unreadable").fetchall()
        self.lost += unreadable
        self.ask("without_unreadable")
        addresses = [ip for (ip,) in self.ask("addresses").fetchall()]
        kept = [ip for ip in addresses if host is None or _inside(ip, host)]
        self._make("clients", {"ip": kept, "network": [_network(ip) for ip in kept]})
        if host is not None:
            self.ask("without_strangers")
        self.ask("others")
        self.ask("without_others")
        known = [each for (each,) in self.ask("rules").fetchall()]
        self._make("wanted", {"rule": [each for each in known if blames(each) and rule in (None, each)]})
        for name in ("ends", "begun", "capped", "findings", "sessions"):
            self.ask(name)

    def list_hosts(self, addresses: Iterable[str]) -> None:
        """Say which hosts the questions about single hosts are of."""
        self._make("listed", {"ip": list(addresses)})

    def ask(self, name: str, key: str = "") -> duckdb.DuckDBPyConnection:
        """Ask one of the questions; the answer is to be fetched before the next one."""
        return self._connection.execute(query(name).replace("{key}", key))

    def _make(self, name: str, columns: dict[str, list[str]]) -> None:
        made = ", ".join(f"unnest(cast(${column} as varchar[])) as {column}" for column in columns)
        self._connection.execute(f"create temporary table {name} as select {made}", columns)

    def _mended(self, files: Sequence[Path], complaint: str, *, all_of_them: bool) -> list[Path]:
        """Set right the file that DuckDB complains of, or, if that was not enough, every file."""
        named = [file for file in files if str(file) in complaint or _literal(file) in complaint]
        return self._copied_if(set(files if all_of_them or not named else named), files)

    def _copied_if(self, wrong: set[Path], files: Iterable[Path]) -> list[Path]:
        """Return the files, with copies in the place of some; what vanished is left out."""
        kept = [self._copied(file) if file in wrong else file for file in files]
        return [file for file in kept if file is not None]

    def _copied(self, file: Path) -> Path | None:
        """Return a copy of all whole lines that can be read; None: the file is gone."""
        folder = Path(self._folder.name)
        if file.parent == folder:
            return file
        self._copies += 1
        copy = folder / f"{self._copies}.jsonl"
        try:
            with opened(file) as lines, copy.open("wb") as kept:
                while line := lines.readline(LONGEST):
                    if line.endswith(b"\n") or len(line) < LONGEST:
                        kept.write(line)
                        continue
                    self.lost += 1
                    while line and not line.endswith(b"\n"):
                        line = lines.readline(LONGEST)
        except FileNotFoundError:
            return None
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self.lost += 1
        except OSError as error:
            raise cannot_read(file, error) from error
        return copy


def _cannot(error: duckdb.Error) -> StoreError:
    return StoreError(f"the audit cannot be read: {str(error).splitlines()[0]}", IO_ERROR)


def query(name: str) -> str:
    """Return the text of a query."""
    return (resources.files("smtpguard.evidence.report") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def _naive(at: float) -> datetime:
    """Return a time as the tables hold it: UTC, and no word of it."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)


def _shift(period: Period) -> str:
    """Return SQL for the seconds that the period's zone is ahead of UTC; the tz data are Python's, not the engine's."""
    *earlier, (_, last) = shifts(period.since, period.until, period.zone)
    ends = [begins for begins, _ in shifts(period.since, period.until, period.zone)[1:]]
    cases = [
        f"when \"@timestamp\" < timestamp '{_naive(end):%Y-%m-%d %H:%M:%S}' then {seconds}"
        for (_, seconds), end in zip(earlier, ends, strict=True)
    ]
    return f"case {' '.join(cases)} else {last} end" if cases else str(last)


def _literal(file: Path) -> str:
    """Return a path that means itself, whatever it has in its name that would be a pattern."""
    return _GLOB.sub(r"[\1]", str(file))


def _network(ip: str) -> str:
    """Return the /24 or /48 of an address; a text that is no address is its own."""
    if ":" not in ip:
        head, dot, _ = ip.rpartition(".")
        return f"{head}.0/24" if dot else ip
    try:
        return str(ip_network((ip, 48), strict=False))
    except ValueError:
        return ip


def _inside(ip: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(ip) in network
    except ValueError:
        return False
