"""The colours of the page, for a light and a dark screen; print is the light one.

Text on every ground has a contrast of 4.5:1 or more, and what is drawn one of 3:1 (WCAG 2.2, 1.4.3 and 1.4.11); a test
computes it. No two things are told apart by colour alone: each rule has a panel of its own with its name on it, size
tells the heat, and the line at fault bears a sign and words. So one colour for marks is enough, and whoever sees fewer
colours misses nothing.
"""

from collections.abc import Mapping
from typing import Final

LIGHT: Final[Mapping[str, str]] = {
    "ground": "#ffffff",
    "raised": "#f3f5f7",
    "text": "#1a1d21",
    "faint": "#565d66",
    "line": "#7d858f",
    "grid": "#d5dae0",
    "mark": "#0b62a8",
    "fault": "#a3200d",
    "fault-ground": "#fdeeea",
}

DARK: Final[Mapping[str, str]] = {
    "ground": "#14171a",
    "raised": "#1e2328",
    "text": "#e9ecef",
    "faint": "#a9b1ba",
    "line": "#838c96",
    "grid": "#363d45",
    "mark": "#6cb6f5",
    "fault": "#ff9d8a",
    "fault-ground": "#3a1f1a",
}

TEXTS: Final = ("text", "faint", "mark", "fault")
"""What letters are in: links have the colour of marks."""

GROUNDS: Final = ("ground", "raised", "fault-ground")

DRAWN: Final = ("mark", "line")
"""What is drawn and tells something. The grid tells nothing: the table has the figures."""


def variables(palette: Mapping[str, str]) -> str:
    """Return the palette as CSS custom properties."""
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())
