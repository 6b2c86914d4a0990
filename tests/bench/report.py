"""The table: a line for each row, a column for each peer, the ratio to the row's base with its spread, a verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.campaign import Plan, Result
from tests.bench.figures import Figure, figure, paired_ratio
from tests.bench.peers import SMTPGUARD
from tests.bench.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row with its figures: of each peer, and of smtpguard what is judged (a ratio, or the figure itself)."""

    row: Row
    peers: dict[str, Figure]
    judged: Figure | None

    @property
    def verdict(self) -> str:
        """Say which mark was reached; a row without marks has none."""
        if self.judged is None or self.row.must is None:
            return "-"
        if self.row.goal is not None and self.judged.median <= self.row.goal:
            return "goal"
        return "must" if self.judged.median <= self.row.must else "MISSED"


def line(row: Row, plan: Plan, result: Result) -> Line:
    """Sum up one row."""
    values = {peer: result.values(row, peer) for peer in plan.peers}
    figures = {peer: figure(samples) for peer, samples in values.items() if samples}
    judged = None
    if SMTPGUARD in figures and row.against is None:
        judged = figures[SMTPGUARD]
    elif SMTPGUARD in figures and row.against in figures:
        judged = paired_ratio(values[SMTPGUARD], values[row.against])
    return Line(row=row, peers=figures, judged=judged)


def table(lines: Sequence[Line], peers: Sequence[str]) -> str:
    """Lay the lines out as a Markdown table whose columns stand under each other."""
    head = ["row", "what", "unit", *peers, "judged", "±", "against", "must", "goal", "verdict"]
    cells = [head, *(list(_cells(each, peers)) for each in lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numbers = range(3, 3 + len(peers) + 2)
    ruled = ["-" * (width - 1) + ":" if at in numbers else "-" * width for at, width in enumerate(widths)]
    rows = [cells[0], ruled, *cells[1:]]
    return "\n".join("| " + " | ".join(map(_padded, row, widths, range(len(row)))) + " |" for row in rows)


def plain(result: Result) -> dict[str, object]:
    """Return everything measured in the shape of JSON: by peer a list of rounds, by load CPU and what was heard."""
    samples = {
        peer: [{load: {"cpu_ns": s.cpu, **s.heard._asdict()} for load, s in by_load.items()} for by_load in rounds]
        for peer, rounds in result.samples.items()
    }
    return {"samples": samples, "idle_octets": dict(result.memory), "differences": result.differences}


def plain_line(each: Line) -> dict[str, object]:
    """Return one line of the table in the shape of JSON; a figure is median and spread."""
    return {
        "row": each.row.name,
        "unit": each.row.measure.value,
        "peers": each.peers,
        "judged": each.judged,
        "against": each.row.against,
        "must": each.row.must,
        "goal": each.row.goal,
        "verdict": each.verdict,
    }


def _cells(each: Line, peers: Sequence[str]) -> Iterator[str]:
    row = each.row
    yield from (row.name, row.title, row.measure.value)
    yield from (_number(each.peers[peer].median) if peer in each.peers else "-" for peer in peers)
    yield from (f"{each.judged.median:.2f}", f"{each.judged.spread:.2f}") if each.judged else ("-", "-")
    yield row.against or "itself"
    yield from ("-" if mark is None else f"{mark:g}" for mark in (row.must, row.goal))
    yield each.verdict


def _padded(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 3 else cell.rjust(width)


def _number(value: float) -> str:
    """Three digits that say something."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
