"""The page in a real browser: what it says on its console, how wide it is on a telephone, light, dark, and printed.

The browser is driven from outside only: a page of ours holds the report in a frame, measures it by a script, and what
it found is read from the dumped document. The report itself has no script, and would run none.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from smtpguard.evidence.page.page import page
from smtpguard.evidence.page.palette import DARK, LIGHT
from smtpguard.evidence.period import Period
from smtpguard.evidence.report.figures import Scope
from smtpguard.evidence.report.report import make_report
from smtpguard.evidence.store import Store
from tests.evidence import truth
from tests.evidence.truth import utc

PHONE = 360

MEASURE = """<!doctype html><body style="margin:0"><iframe src="page.html"
style="border:0;width:{width}px;height:4000px" onload="measure(this.contentDocument)"></iframe><script>
function measure(page) {{
  const root = page.documentElement, style = page.defaultView.getComputedStyle(root), found = [];
  for (const each of page.querySelectorAll('body *')) {{
    const box = each.getBoundingClientRect();
    if (box.width && box.right > root.clientWidth + 1 && !each.closest('.box')) found.push(each.tagName);
  }}
  const shown = [...page.querySelectorAll('svg')].filter(each => each.getBoundingClientRect().width > 0).length;
  const text = page.querySelector('svg text');
  document.title = [root.scrollWidth, root.clientWidth, shown, style.backgroundColor, style.color,
    page.defaultView.getComputedStyle(text).fill, found.join('+') || 'nothing'].join('|');
}}
</script>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    """Return the path of a browser, or skip."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of the known night, and a long IPv6 address and a long name in it."""
    folder = tmp_path_factory.mktemp("browser")
    book = truth.known_night()
    for place in range(12):
        book.session(
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", truth.NIGHT + place, {"rule_id": "SG102"}, hello=b"x" * 250
        )
    book.write(folder)
    night = Period(
        since=utc("2026-10-24T22:00:00"),
        until=utc("2026-10-25T23:00:00"),
        zone=ZoneInfo("Europe/Vienna"),
        zone_name="Europe/Vienna",
    )
    report = make_report(Store(folder), Scope(period=night, limit=10), detailed=True)
    (folder / "page.html").write_text(page(report, Store(folder)), encoding="utf-8")
    return folder


def browse(chromium: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the browser once, with a profile of its own and its console on standard error."""
    return subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}",
            *arguments,
        ],
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )


def measured(chromium: str, folder: Path, width: int, *arguments: str) -> list[str]:
    """Return what the measuring page found: widths, drawings shown, colours, and what sticks out."""
    (folder / "measure.html").write_text(MEASURE.format(width=width), encoding="utf-8")
    done = browse(
        chromium,
        folder,
        *arguments,
        "--virtual-time-budget=4000",
        "--window-size=1400,4200",
        "--dump-dom",
        f"file://{folder}/measure.html",
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None, done.stderr
    return title[1].split("|")


def rgb(colour: str) -> str:
    """Return a colour as a browser tells it."""
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_nothing_on_the_console(chromium: str, folder: Path) -> None:
    """The page loads without an error, and its policy has nothing to forbid."""
    done = browse(chromium, folder, "--dump-dom", f"file://{folder}/page.html")
    assert "</html>" in done.stdout
    assert "CONSOLE" not in done.stderr
    assert "Content Security Policy" not in done.stderr


def test_the_console_would_tell(chromium: str, folder: Path) -> None:
    """The test before can fail: a script put into the page is refused by its policy, and the console says so."""
    html = (folder / "page.html").read_text(encoding="utf-8")
    (folder / "worse.html").write_text(html.replace("</main>", "<script>1</script></main>"), encoding="utf-8")
    done = browse(chromium, folder, "--dump-dom", f"file://{folder}/worse.html")
    assert "CONSOLE" in done.stderr
    assert "Content Security Policy" in done.stderr


@pytest.mark.parametrize("width", [PHONE, 320, 1200])
def test_nothing_sticks_out(chromium: str, folder: Path, width: int) -> None:
    """The page is as wide as the screen: tables scroll in their own boxes; each drawing is there once."""
    scroll, client, shown, _, _, _, out = measured(chromium, folder, width)
    assert (int(scroll), int(client)) == (width, width)
    assert out == "nothing"
    assert int(shown) == 4


@pytest.mark.parametrize(("setting", "palette"), [("1", LIGHT), ("0", DARK)], ids=["light", "dark"])
def test_themes(chromium: str, folder: Path, setting: str, palette: dict[str, str]) -> None:
    """The page and the text in its drawings follow what the reader prefers."""
    *_, ground, text, drawn, _ = measured(chromium, folder, 1200, f"--blink-settings=preferredColorScheme={setting}")
    assert (ground, text, drawn) == (rgb(palette["ground"]), rgb(palette["text"]), rgb(palette["text"]))


def test_print(chromium: str, folder: Path) -> None:
    """On paper every host's part is open, whether it was on the screen or not, and it is A4."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is missing: apt-get install poppler-utils")
    browse(
        chromium,
        folder,
        "--blink-settings=preferredColorScheme=0",
        "--no-pdf-header-footer",
        f"--print-to-pdf={folder}/page.pdf",
        f"file://{folder}/page.html",
    )
    text = subprocess.run(
        ["pdftotext", "-layout", f"{folder}/page.pdf", "-"], capture_output=True, text=True, check=True
    )
    facts = subprocess.run(["pdfinfo", f"{folder}/page.pdf"], capture_output=True, text=True, check=True)
    assert "A4" in facts.stdout
    assert text.stdout.count("One session") == 6
    assert text.stdout.count("this line breaks") == 6
