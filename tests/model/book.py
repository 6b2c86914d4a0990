"""What each rule leads to, typed off rules.md by hand: the model must not learn it from the program it judges."""

STRICT, STANDARD, LENIENT = 0, 1, 2
PROFILES = {"strict": STRICT, "standard": STANDARD, "lenient": LENIENT}

BOOK = {
    "SG101": "refuse refuse note",
    "SG102": "refuse refuse refuse",
    "SG103": "refuse refuse refuse",
    "SG104": "refuse refuse refuse",
    "SG105": "refuse refuse note",
    "SG106": "refuse refuse refuse",
    "SG107": "refuse refuse refuse",
    "SG108": "refuse refuse refuse",
    "SG109": "refuse refuse refuse",
    "SG110": "note note off",
    "SG111": "refuse refuse note",
    "SG112": "refuse refuse note",
    "SG113": "refuse note off",
    "SG114": "refuse note off",
    "SG115": "refuse refuse refuse",
    "SG116": "note note off",
    "SG201": "close note off",
    "SG202": "close note off",
    "SG203": "note note off",
    "SG204": "close note note",
    "SG205": "close close close",
    "SG206": "note note note",
    "SG301": "refuse note off",
    "SG302": "refuse refuse refuse",
    "SG303": "close close close",
    "SG304": "close close close",
    "SG305": "close note off",
    "SG306": "close close close",
    "SG405": "refuse refuse refuse",
    "SG502": "note note note",
    "SG503": "note note note",
    "SG505": "note note note",
    "SG601": "close close close",
    "SG602": "close close close",
}
"""Rule -> verdicts in the order of `PROFILES`."""

SAFE = ("SG107", "SG205", "SG302", "SG303", "SG304", "SG306", "SG405")
"""Their verdict holds in every mode."""

ANSWERS = {
    "SG101": (503, "5.5.1"), "SG102": (503, "5.5.1"), "SG103": (503, "5.5.1"), "SG104": (503, "5.5.1"),
    "SG105": (503, "5.5.1"), "SG106": (503, "5.5.1"), "SG107": (503, "5.5.1"), "SG108": (503, "5.5.1"),
    "SG109": (503, "5.5.1"), "SG110": (503, "5.5.1"), "SG111": (503, "5.5.1"), "SG112": (503, "5.5.1"),
    "SG113": (503, "5.5.1"), "SG114": (503, "5.5.1"), "SG115": (503, "5.5.1"), "SG116": (503, "5.5.1"),
    "SG201": (554, "5.5.0"), "SG202": (554, "5.5.0"), "SG203": (554, "5.5.0"), "SG204": (554, "5.5.0"),
    "SG205": (554, "5.5.0"), "SG301": (500, "5.5.2"), "SG302": (500, "5.5.2"), "SG303": (500, "5.5.2"),
    "SG304": (550, "5.5.2"), "SG305": (550, "5.5.2"), "SG306": (501, "5.5.4"), "SG405": (502, "5.5.1"),
    "SG502": (421, "4.3.0"), "SG503": (421, "4.3.0"), "SG601": (421, "4.7.0"), "SG602": (421, "4.7.0"),
}  # fmt: skip

NO_VALID_RECIPIENTS = (554, "5.5.1")
"""SG104 where it is a consequence."""

SEVERITY = ("off", "note", "refuse", "close")


def rank(rule: str) -> int:
    """Among equal verdicts Foreign speaks before Framing, Timing, Order (and what the rest says is no line's fault)."""
    return "4321".index(rule[2]) if rule[2] in "4321" else 9


def verdict_of(rule: str, profile: str, *, observing: bool, changes: dict[str, str]) -> str:
    """Return off, note, refuse or close: what is done about a finding of `rule`."""
    verdict = changes.get(rule, BOOK[rule].split()[PROFILES[profile]])
    relaxed = observing and rule not in SAFE and not rule.startswith("SG5")
    return "note" if relaxed and verdict in ("refuse", "close") else verdict
