"""The page: one file that asks for nothing, whatever the audit holds, and that says everything in words."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from smtpguard.evidence.page import charts
from smtpguard.evidence.page.page import page
from smtpguard.evidence.page.palette import DARK, DRAWN, GROUNDS, LIGHT, TEXTS
from smtpguard.evidence.page.stretches import OTHERS, PANELS, stretches, week
from smtpguard.evidence.period import Period
from smtpguard.evidence.report.figures import Report, Scope
from smtpguard.evidence.report.report import make_report
from smtpguard.evidence.store import Store
from smtpguard.smtp import Transcript, TranscriptLine, Voice
from tests.evidence import truth
from tests.evidence.truth import utc

VIENNA = ZoneInfo("Europe/Vienna")
NIGHT = Period(
    since=utc("2026-10-24T22:00:00"), until=utc("2026-10-25T23:00:00"), zone=VIENNA, zone_name="Europe/Vienna"
)
VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})


class Outline(HTMLParser):
    """What a browser would make of a page: elements, attributes, text, and whether all is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that is closed at once, as in a drawing."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Every end is that of the latest open element."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text; not that of the style sheet."""
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All text, blanks folded."""
        return " ".join(" ".join(self.texts).split())


def night(directory: Path) -> Report:
    """Write the night and make its report."""
    truth.known_night().write(directory)
    truth.damage(directory)
    return make_report(Store(directory), Scope(period=NIGHT, limit=10), detailed=True)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for the night."""
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def html(directory: Path) -> str:
    """The page of the night."""
    report = night(directory)
    return page(report, Store(directory))


@pytest.fixture(scope="module")
def outline(html: str) -> Outline:
    """What a browser makes of it."""
    return Outline(html)


def test_it_asks_for_nothing(html: str, outline: Outline) -> None:
    """No script, no event handler, no address to fetch from, a strict policy, and one document."""
    tags = {tag for tag, _ in outline.elements}
    assert not tags & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "audio",
        "video",
        "use",
        "image",
    }
    for tag, attributes in outline.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("href", "src", "srcset", "xlink:href")
        ], tag
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    policy = next(each for tag, each in outline.elements if tag == "meta" and "http-equiv" in each)
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert outline.open == []
    assert html.startswith("<!doctype html>")


def test_hostile_text_stays_text(html: str, outline: Outline) -> None:
    """HTML, an entity, a text-direction override and odd octets in HELO and reply are shown as what they are."""
    assert "<script>alert(1)</script>&amp;\\xe2\\x80\\xae\\xff'\"" in outline.text
    assert "<script" not in html
    # All that is no ASCII is our own.
    assert set(re.findall(r"[^\x00-\x7f]", html)) <= set("…▶▲§")


def test_it_is_one_outline(outline: Outline) -> None:
    """Headings go down step by step, ids are there once, what refers to an id finds it, the language is told."""
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [value for _, each in outline.elements if (value := each.get("id"))]
    assert len(ids) == len(set(ids))
    for _, each in outline.elements:
        assert set((each.get("aria-labelledby") or "").split()) <= set(ids)
    assert outline.elements[0] == ("html", {"lang": "en"})


def test_every_drawing_has_words_and_a_table(outline: Outline) -> None:
    """A drawing is one image with title and description, in two widths; behind each figure stands a table."""
    drawings = [each for tag, each in outline.elements if tag == "svg"]
    assert len(drawings) == 8
    assert all(each["role"] == "img" and each["aria-labelledby"] for each in drawings)
    tags = [tag for tag, _ in outline.elements]
    assert (tags.count("title"), tags.count("desc")) == (1 + 8, 8)
    for place, tag in enumerate(tags):
        if tag == "figure":
            behind = tags[place + 1 :]
            following = behind.index("table")
            assert "figure" not in behind[:following]
    assert tags.count("figure") == 4


def test_drawings_follow_the_theme(outline: Outline) -> None:
    """No drawing has a colour of its own: all are those of the page, or none."""
    inside = False
    colours = set()
    for tag, each in outline.elements:
        inside = inside or tag == "svg"
        if inside:
            colours |= {each[name] for name in ("fill", "stroke") if name in each}
    assert colours <= {"none", "transparent", "var(--text)", "var(--line)", "var(--grid)", "var(--mark)"}
    assert {"var(--text)", "var(--mark)"} <= colours


def test_the_figures_are_those_of_the_truth(outline: Outline) -> None:
    """What a person reads first is right, and so is what is told of the damage."""
    assert "19 of 159 sessions (11.9 %) broke a rule, from 5 of 7 hosts." in outline.text
    assert "Most often: SG104 data-without-recipient, in 9 sessions." in outline.text
    assert "The host with most: 198.51.100.7, 8 of its 40 sessions; last seen 2026-10-25 02:05" in outline.text
    assert "4 lines of the audit could not be read" in outline.text
    assert "2026-10-25 00:00 to 2026-10-26 00:00 (Europe/Vienna)" in outline.text
    assert "in another protocol 4 from 1 host" in outline.text


def test_the_line_at_fault_is_marked(outline: Outline) -> None:
    """A sign before it and words behind it; our own answer is not marked; addresses are masked."""
    assert "▶ 4.000 client DATA ▲ this line breaks SG104 data-without-recipient" in outline.text
    assert "4.500 smtpguard 503 5.5.1 Bad sequence of commands: send RCPT first 5.000 client QUIT" in outline.text
    assert "RCPT TO:<a***@example.com>" in outline.text
    assert "ann@example.com" not in outline.text


def test_addresses_in_full(directory: Path) -> None:
    """Who asks for them gets them."""
    report = make_report(Store(directory), Scope(period=NIGHT, limit=1), detailed=True)
    html = page(report, Store(directory), full=True)
    text = Outline(html).text
    assert "RCPT TO:<ann@example.com>" in text
    assert "550 5.1.1 <ann@example.com>: no such user <script>alert(2)</script>" in text
    assert "<script" not in html


def test_without_a_transcript_the_finding_speaks(outline: Outline) -> None:
    """Where none was kept, the command before, its reply and the line are shown, and that this is all."""
    assert (
        "Session 01JDFZ8Q0044, of which no transcript was kept (audit.transcript): the finding alone." in outline.text
    )


def test_everybody_in_order(tmp_path: Path) -> None:
    """A page without a finding says so, draws the one chart there is, and has no empty table."""
    book = truth.Book()
    for place in range(3):
        book.session("203.0.113.5", truth.NIGHT + place)
    book.write(tmp_path)
    report = make_report(Store(tmp_path), Scope(period=NIGHT, limit=10), detailed=True)
    outline = Outline(page(report, Store(tmp_path)))
    assert "No client sent a command out of order in 3 sessions" in outline.text
    assert [tag for tag, _ in outline.elements].count("figure") == 1


def test_a_long_session_is_shown_in_part(tmp_path: Path) -> None:
    """Of 150 lines the beginning and what is around the line at fault, and how many are left out."""
    book, at = truth.Book(), truth.NIGHT
    lines = tuple(
        TranscriptLine(at, Voice("C"), b"NOOP %d" % place, place, ("SG104",) if place == 100 else ())
        for place in range(150)
    )
    book.session("198.51.100.7", at, {"rule_id": "SG104"}, rules={"SG104": 1}, transcript=Transcript(lines, 7))
    book.write(tmp_path)
    report = make_report(Store(tmp_path), Scope(period=NIGHT, limit=10), detailed=True)
    text = Outline(page(report, Store(tmp_path))).text
    assert "… 7 lines left out … 0.000 client NOOP 0" in text
    assert "NOOP 3 … 84 lines left out … 0.000 client NOOP 88" in text
    assert "NOOP 106 … 43 lines left out …" in text


def test_a_session_that_retention_took(directory: Path, tmp_path: Path) -> None:
    """A transcript that is gone when the page is made is said to be gone."""
    report = make_report(Store(directory), Scope(period=NIGHT, limit=1), detailed=True)
    (tmp_path / "events").mkdir()
    text = Outline(page(report, Store(tmp_path))).text
    assert "Session 01JDFZ8Q0008 is not in the audit any more." in text


def test_hours_days_and_weeks(directory: Path) -> None:
    """The axis of time has no more stretches than can be read, and no gap; the week begins on Monday."""
    report = make_report(Store(directory), Scope(period=NIGHT), detailed=True)
    assert [(each.name, each.sessions, each.affected) for each in stretches(report).sessions] == [
        ("10-25 01:00", 29, 7),
        ("10-25 02:00", 120, 12),
        ("10-25 03:00", 10, 0),
    ]
    for days, unit, count in ((5, "day", 6), (200, "week", 29)):
        begin = NIGHT.since - days * 86400
        longer = Report(
            scope=report.scope, covered=(begin, NIGHT.until), unreadable=0, totals=report.totals, tables={},
            hours=report.hours, rule_hours=report.rule_hours,
        )  # fmt: skip
        cut = stretches(longer)
        assert (cut.unit, len(cut.sessions)) == (unit, count)
        assert sum(each.sessions for each in cut.sessions) == 159
        assert {rule: sum(counts) for rule, counts in cut.rules.items()} == {
            "SG104": 9,
            "SG105": 7,
            "SG201": 6,
            "SG102": 1,
        }
        assert list(cut.rules) == ["SG104", "SG105", "SG201", "SG102"]
    assert week(report)[6][:4] == [0, 7, 16, 0]
    assert sum(map(sum, week(report))) == 23


def test_many_rules_share_a_panel(tmp_path: Path) -> None:
    """Beyond six rules the rest are one series, and no finding is lost."""
    book = truth.Book()
    for place, rule in enumerate(("SG101", "SG102", "SG103", "SG104", "SG105", "SG106", "SG107", "SG108")):
        for each in range(9 - place):
            book.session("198.51.100.7", truth.NIGHT + place + each, {"rule_id": rule})
    book.write(tmp_path)
    cut = stretches(make_report(Store(tmp_path), Scope(period=NIGHT), detailed=True))
    assert len(cut.rules) == PANELS + 1
    assert sum(cut.rules[OTHERS]) == 3 + 2
    assert sum(sum(counts) for counts in cut.rules.values()) == sum(range(2, 10))


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.2 of `#rrggbb`."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(palette: dict[str, str]) -> None:
    """Text has 4.5:1 on every ground, and what is drawn 3:1 (WCAG 2.2 AA, 1.4.3 and 1.4.11)."""
    assert contrast("#000000", "#ffffff") == 21
    for ground in GROUNDS:
        for text in TEXTS:
            assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground)
        for drawn in (*DRAWN, "fault"):
            assert contrast(palette[drawn], palette[ground]) >= 3, (drawn, ground)


def test_the_palettes_have_the_same_names(html: str) -> None:
    """Both themes name every colour, and the page uses no other."""
    assert LIGHT.keys() == DARK.keys()
    assert set(re.findall(r"var\(--([a-z-]+)\)", html)) <= LIGHT.keys()
    style = html[html.index("<style>") : html.index("</style>")]
    assert set(re.findall(r"#[0-9a-f]{3,6}\b", style)) == {*LIGHT.values(), *DARK.values()}


@pytest.mark.parametrize(
    ("shares", "begins"), [([("a", 97.0), ("b", 100.0)], 95.0), ([("a", 0.0)], 0.0), ([("a", 3.0)], 0.0), ([], 95.0)]
)
def test_where_the_axis_begins(shares: list[tuple[str, float]], begins: float) -> None:
    """Near the least, on a multiple of five, and never below zero; the caption says so only where it is not zero."""
    assert charts.axis_begins_at(shares) == begins
