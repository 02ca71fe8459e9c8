"""SVG elements as escaped text, and the scales of axes.

Used by `charts`. Horizontal places are percentages of the plot's width, so that a chart is as wide as its column
while its letters keep their size. Pure: equal input gives equal text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from markupsafe import Markup, escape

from llmops.report.inert import clean

Attribute: TypeAlias = str | int | float

_MOST_TICKS: Final = 12
_LEAST_SPAN: Final = 1e-200
"""Below it, parts of a span vanish in floating point."""


def element(name: str, *children: str, **attributes: Attribute) -> Markup:
    """An element. Underscores in attribute names become dashes, `class_` becomes `class`; plain text is escaped."""
    given = "".join(f' {_attribute(key)}="{escape(_value(value))}"' for key, value in attributes.items())
    inside = "".join(child if isinstance(child, Markup) else escape(clean(child)) for child in children)
    return Markup(f"<{name}{given}>{inside}</{name}>") if inside else Markup(f"<{name}{given}/>")  # noqa: S704


def joined(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)


def _attribute(key: str) -> str:
    # SVG has names with dashes (text-anchor) and names with capitals (viewBox); none has an underscore.
    return key.rstrip("_").replace("_", "-")


def _value(value: Attribute) -> str:
    return decimal(value) if isinstance(value, float) else str(value)


def decimal(value: float) -> str:
    """At most two decimals, without trailing zeros: a coordinate."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


@dataclass(frozen=True, kw_only=True)
class Scale:
    """An axis from `low` to `high`, `low` < `high`."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Where a value lies, 0 at `low` and 1 at `high`; values beyond an end lie at that end."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def percent(self, value: float) -> str:
        return f"{decimal(100 * self.share(value))}%"

    def inside(self, value: float) -> bool:
        return self.low <= value <= self.high


def scale_around(values: Sequence[float], *, pad: float = 0.12, least: float | None = None) -> Scale | None:
    """A scale that shows all values with room at both ends; None where floating point cannot span them.

    `least` is the width to show around values that are all the same.
    """
    low, high = min(values), max(values)
    span = high - low
    if not math.isfinite(span):
        return None
    if span <= max(1e-9 * max(abs(low), abs(high)), _LEAST_SPAN):
        span = least or abs(low) or 1.0
        low, high = low - span / 2, high + span / 2
    low, high = low - pad * span, high + pad * span
    return Scale(low=low, high=high) if math.isfinite(high - low) and low < high else None


@dataclass(frozen=True, kw_only=True)
class Tick:
    value: float
    label: str


def ticks(scale: Scale, wanted: int = 5, *, whole: bool = False) -> list[Tick]:
    """About `wanted` round numbers on a scale, with labels that tell them apart; `whole` ones alone for counts."""
    raw = (scale.high - scale.low) / wanted
    step = _round_step(max(raw, 1.0) if whole else raw)
    if whole and step == 2.5:
        step = 5.0
    if step <= 0 or not math.isfinite(step):
        return []
    first = math.ceil(scale.low / step - 1e-9)
    values = [(first + count) * step for count in range(_MOST_TICKS)]
    return [Tick(value=one, label=_label(one, step)) for one in values if one <= scale.high + 1e-9 * step]


def _round_step(raw: float) -> float:
    """The least of 1, 2, 2.5 and 5 times a power of ten that is not below `raw`."""
    if raw <= 0 or not math.isfinite(raw):
        return 0.0
    power = 10.0 ** math.floor(math.log10(raw))
    return next((factor * power for factor in (1.0, 2.0, 2.5, 5.0) if factor * power >= raw * (1 - 1e-9)), 10 * power)


def _label(value: float, step: float) -> str:
    if abs(value) < step / 2:
        return "0"
    if abs(value) >= 1e6 or step < 1e-4:
        return f"{value:.3g}".replace("-", "−")
    decimals = next(count for count in range(6) if math.isclose(round(step, count), step, rel_tol=1e-6))
    return f"{value:,.{decimals}f}".replace("-", "−")
