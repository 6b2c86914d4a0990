"""The charts of the page: Vega-Lite by altair, made inline SVG by vl-convert, without a script.

Each is drawn twice, for a wide and for a narrow screen, because text in a drawing that is shrunk to a telephone cannot
be read; CSS shows one. Colours are placeholders while drawing and CSS variables afterwards, so that a drawing follows
the reader's theme. To a screen reader a drawing is one image with a title and a description; the table beside it has
the figures, so what vega says of every single bar is taken out.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree

import altair as alt
import vl_convert

_SVG: Final = "http://www.w3.org/2000/svg"

WIDE: Final = 620
"""Pixels of a chart with all its labels; A4 within margins is 680."""

NARROW: Final = 300
"""A telephone has 360."""

_TEXT, _LINE, _GRID, _MARK = "#010203", "#010204", "#010205", "#010206"
_COLOURS: Final[Mapping[str, str]] = {_TEXT: "text", _LINE: "line", _GRID: "grid", _MARK: "mark"}

_FONT: Final = "sans-serif"
_WEEK: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Chart(NamedTuple):
    """One chart in both widths, as elements of HTML."""

    wide: str
    narrow: str


class Told(NamedTuple):
    """What a person hears who does not see the chart."""

    name: str
    """Begins every id in the drawing."""
    title: str
    text: str


def axis_begins_at(shares: Sequence[tuple[str, float]]) -> float:
    """Return the per cent that the axis of `in_order` begins at: near the least, so that small changes are seen."""
    least = min((share for _, share in shares), default=100.0)
    return max(0.0, 5 * ((least - 1) // 5))


def in_order(told: Told, shares: Sequence[tuple[str, float]]) -> Chart:
    """Draw the share of sessions in order, in per cent, over time.

    Args:
        told: for ears.
        shares: the beginning of a stretch of time as the axis shows it, and the share.
    """
    rows = [{"time": time, "share": share} for time, share in shares]
    low = axis_begins_at(shares)

    def draw(width: int) -> Any:
        base = alt.Chart(_data(rows), width=width - 45, height=170).encode(
            x=_times([time for time, _ in shares], width),
            y=alt.Y("share:Q", title="% in order", scale=alt.Scale(domain=[low, 100], nice=False)),
        )
        return base.mark_line(color=_MARK, strokeWidth=2) + base.mark_point(
            color=_MARK, filled=True, size=30, opacity=1
        )

    return _chart(told, draw)


def by_rule(told: Told, times: Sequence[str], series: Mapping[str, Sequence[int]]) -> Chart:
    """Draw findings over time, a panel for each rule with its name above, all to one scale."""
    most = max((count for counts in series.values() for count in counts), default=1)

    def draw(width: int) -> Any:
        panels = []
        for place, (name, counts) in enumerate(series.items()):
            rows = [{"time": time, "findings": count} for time, count in zip(times, counts, strict=True)]
            last = place == len(series) - 1
            panels.append(
                alt.Chart(
                    _data(rows),
                    width=width - 45,
                    height=46,
                    title=alt.Title(f"{name}: {sum(counts):,}", anchor="start", fontSize=12, offset=3),
                )
                .mark_bar(color=_MARK)
                .encode(
                    x=_times(times, width, labels=last),
                    y=alt.Y(
                        "findings:Q",
                        title=None,
                        scale=alt.Scale(domain=[0, most]),
                        axis=alt.Axis(values=[0, most], grid=False, format=",d"),
                    ),
                )
            )
        return alt.vconcat(*panels, spacing=10)

    return _chart(told, draw)


def by_host(told: Told, hosts: Sequence[tuple[str, int]]) -> Chart:
    """Draw a bar for each host, the sessions affected written at its end."""
    rows = [{"host": host, "sessions": count, "label": f"{count:,}"} for host, count in hosts]

    def draw(width: int) -> Any:
        longest = max((len(host) for host, _ in hosts), default=8)
        room = width - min(longest * 7 + 50, width // 2)
        base = alt.Chart(_data(rows), width=room, height={"step": 22}).encode(
            x=alt.X("sessions:Q", title="sessions affected", axis=alt.Axis(tickCount=4, tickMinStep=1, format="~s")),
            y=alt.Y("host:N", title=None, sort=[host for host, _ in hosts], axis=alt.Axis(labelLimit=width // 2 - 10)),
        )
        bars = base.mark_bar(color=_MARK, height=12)
        return bars + base.mark_text(align="left", dx=4, color=_TEXT, fontSize=11).encode(text="label:N")

    return _chart(told, draw)


def by_week(told: Told, counts: Sequence[Sequence[int]]) -> Chart:
    """Draw hour by weekday, Monday first; the size of a square tells the findings: a shade would be told by colour."""
    rows = [
        {"day": _WEEK[day], "hour": hour, "findings": count}
        for day, hours in enumerate(counts)
        for hour, count in enumerate(hours)
        if count
    ]
    most = max((count for hours in counts for count in hours), default=0) or 1

    def draw(width: int) -> Any:
        step = (width - 40) // 24
        side = max(step - 2, 8)
        return (
            alt.Chart(_data(rows), width=step * 24, height=7 * max(step, 18))
            .mark_square(color=_MARK, opacity=1, filled=True, strokeWidth=0)
            .encode(
                x=alt.X(
                    "hour:O",
                    title="hour of the day",
                    scale=alt.Scale(domain=list(range(24))),
                    axis=alt.Axis(values=list(range(0, 24, 3)), labelAngle=0, grid=True, tickBand="extent"),
                ),
                y=alt.Y("day:O", title=None, scale=alt.Scale(domain=list(_WEEK)), axis=alt.Axis(grid=True)),
                size=alt.Size("findings:Q", scale=alt.Scale(domain=[0, most], range=[4, side * side]), legend=None),
            )
        )

    return _chart(told, draw)


def _data(rows: list[dict[str, Any]]) -> Any:
    return alt.Data(values=rows)  # type: ignore[no-untyped-call]  # altair leaves this one class untyped


def _times(times: Sequence[str], width: int, *, labels: bool = True) -> alt.X:
    """Return the axis of times: words in their order, as many of them as have room."""
    room = max(1, (width - 45) // 78)
    every = max(1, -(-len(times) // room))
    return alt.X(
        "time:O",
        title=None,
        sort=list(times),
        scale=alt.Scale(domain=list(times)),
        axis=alt.Axis(values=list(times)[::every], labelAngle=0, labels=labels, ticks=labels, labelOverlap=False),
    )


def _chart(told: Told, draw: Any) -> Chart:
    return Chart(*(_svg(draw(width), told, suffix) for width, suffix in ((WIDE, "wide"), (NARROW, "narrow"))))


def _svg(chart: Any, told: Told, suffix: str) -> str:
    dressed = chart.configure(background="transparent", font=_FONT, padding=4).configure_view(stroke=None)
    dressed = dressed.configure_axis(
        labelColor=_TEXT,
        titleColor=_TEXT,
        domainColor=_LINE,
        tickColor=_LINE,
        gridColor=_GRID,
        labelFontSize=11,
        titleFontSize=12,
        titleFontWeight="normal",
    ).configure_title(color=_TEXT, fontWeight="normal")
    drawn = vl_convert.vegalite_to_svg(dressed.to_dict(validate=False))
    return dressed_svg(drawn, told, f"{told.name}-{suffix}")


def dressed_svg(drawn: str, told: Told, prefix: str) -> str:
    """Return a drawing as one image for HTML: colours as variables, ids of its own, a title and a description."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(drawn)
    for element in root.iter():
        _plain(element, prefix)
    numbers = itertools.count()
    title, text = (ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{prefix}-{tag}"}) for tag in ("title", "desc"))
    title.text, text.text = told.title, told.text
    for element in (title, text):
        root.insert(next(numbers), element)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title {prefix}-desc")
    return ElementTree.tostring(root, encoding="unicode")


def _plain(element: ElementTree.Element, prefix: str) -> None:
    for key, value in list(element.attrib.items()):
        if key.startswith("aria-") or key in ("role", "class"):
            del element.attrib[key]
        elif value in _COLOURS:
            element.set(key, f"var(--{_COLOURS[value]})")
        elif key == "id":
            element.set(key, f"{prefix}-{value}")
        elif value.startswith("url(#"):
            element.set(key, re.sub(r"#", f"#{prefix}-", value, count=1))
