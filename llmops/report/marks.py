"""Small signs that mean a verdict or a state by shape as well as by colour.

Used by `page` and `charts`. Each says its meaning in words beside it or in its label, never by colour alone.
"""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from llmops.report.data import StepState, VerdictWord
from llmops.report.svg import element, joined

VERDICT_TONES: Final[dict[VerdictWord, str]] = {"pass": "good", "fail": "bad", "inconclusive": "open"}
STATE_TONES: Final[dict[StepState, str]] = {
    "done": "good",
    "cached": "calm",
    "in-place": "calm",
    "failed": "bad",
    "not-run": "idle",
    "running": "open",
}

_TICK: Final = "M5 8.3 7.2 10.5 11 5.9"
_CROSS: Final = "M5.6 5.6 10.4 10.4M10.4 5.6 5.6 10.4"
_WAVE: Final = "M4.6 9c.9-1.9 2-1.9 3.4-1s2.5.9 3.4-1"
_EXCLAMATION: Final = "M8 6v3.6M8 12v.1"
_TURN: Final = "M5.2 8a2.8 2.8 0 1 0 .9-2M6.1 4.3v1.9h1.9"
_EQUALS: Final = "M5.2 6.7h5.6M5.2 9.5h5.6"
_DASH: Final = "M5.4 8h5.2"
_DOTS: Final = "M5 8h.01M8 8h.01M11 8h.01"


def verdict_mark(verdict: VerdictWord) -> Markup:
    """A disc with a tick, a square with a cross, or a diamond with a wave."""
    inside = {"pass": _TICK, "fail": _CROSS, "inconclusive": _WAVE}[verdict]
    return _mark(_body(verdict), inside, VERDICT_TONES[verdict])


def state_mark(state: StepState) -> Markup:
    signs = {
        "done": (_body("pass"), _TICK),
        "cached": (_body("pass"), _TURN),
        "in-place": (_body("pass"), _EQUALS),
        "failed": (_body("fail"), _CROSS),
        "not-run": (_body("pass"), _DASH),
        "running": (_body("inconclusive"), _DOTS),
    }
    body, sign = signs[state]
    return _mark(body, sign, STATE_TONES[state])


def warning_mark() -> Markup:
    """A triangle with an exclamation mark: for people to look at, stopping nothing."""
    return _mark(element("path", d="M8 1 15.4 14.6H.6Z", class_="body"), _EXCLAMATION, "open")


def _mark(body: Markup, sign: str, tone: str) -> Markup:
    drawn = element("path", d=sign, class_="sign")
    # The word stands beside it, so that a screen reader should not say it twice.
    return element("svg", body, drawn, class_=f"mark {tone}", viewBox="0 0 16 16", aria_hidden="true")


def _body(verdict: VerdictWord) -> Markup:
    match verdict:
        case "pass":
            return element("circle", cx=8, cy=8, r=7, class_="body")
        case "fail":
            return element("rect", x=1.5, y=1.5, width=13, height=13, rx=2, class_="body")
        case "inconclusive":
            return element("path", d="M8 .4 15.6 8 8 15.6.4 8Z", class_="body")


def estimate_dot(verdict: VerdictWord, *, x: str, y: int) -> Markup:
    """The same three shapes, empty, at a place of a chart."""
    shapes: dict[VerdictWord, Markup] = {
        "pass": element("circle", r=5.5, class_="dot"),
        "fail": element("rect", x=-5, y=-5, width=10, height=10, class_="dot"),
        "inconclusive": element("path", d="M0-7 7 0 0 7-7 0Z", class_="dot"),
    }
    return element("svg", joined([shapes[verdict]]), x=x, y=y, overflow="visible")
