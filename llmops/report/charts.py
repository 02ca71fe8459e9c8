"""Charts as inline SVG: the interval of a criterion, the curve of a training.

Called by `page`. Each has a title and a description in words. What an author of a spec may write stands in those
two alone, escaped; visible letters are numbers and words of this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup

from llmops.report.data import CurvePoint, ReportedCriterion
from llmops.report.marks import VERDICT_TONES, estimate_dot
from llmops.report.svg import Scale, Tick, decimal, element, joined, scale_around, ticks
from llmops.report.wording import number, signed
from llmops_spec.catalogue.metrics import METRICS

# Rows of an interval plot, in pixels from its top.
_BAR_LABEL: Final = 11
_TOP: Final = 17
_TRACK: Final = 32
_AXIS: Final = 47
_TICK_LABELS: Final = 61
_SIDES: Final = 77

_CLOSE_UP: Final = 0.1
"""An interval and bar that take less than this share of the metric's range are drawn larger than its range."""

_SMOOTH_FROM: Final = 50
"""Points from which a curve gets a smoothed line."""


def interval_plot(criterion: ReportedCriterion, title_id: str) -> Markup | None:
    """Estimate, bounds and bar on the metric's axis; None where there is nothing to draw.

    `title_id` is unique on the page.
    """
    scale = interval_scale(criterion)
    bar, estimate = criterion.bar, criterion.estimate
    if scale is None or bar is None or estimate is None:
        return None
    compared = criterion.baseline is not None
    parts = [
        element("title", f"{criterion.criterion}: {criterion.verdict}", id=f"{title_id}-title"),
        element("desc", interval_words(criterion), id=f"{title_id}-desc"),
        _good_side(criterion, scale, bar),
        *_axis(ticks(scale), scale, top=_TOP, bottom=_AXIS, labels=_TICK_LABELS),
        *([_upright(scale, 0.0, "zero", top=_TOP)] if compared else []),
        *_bounds(criterion, scale),
        _upright(scale, bar, "bar", top=_TOP - 2),
        estimate_dot(criterion.verdict, x=scale.percent(estimate), y=_TRACK),
        _placed(scale.share(bar), _BAR_LABEL, f"bar {signed(bar) if compared else number(bar)}", "bar-label"),
        *(_sides(criterion) if compared else []),
    ]
    return _figure(parts, title_id, height=82 if compared else 66, classes=f"interval {_tone(criterion)}")


def interval_scale(criterion: ReportedCriterion) -> Scale | None:
    """The axis: all of the metric's range, a close-up where the interval is small in it, 0 always for differences."""
    given = (criterion.estimate, criterion.low, criterion.high, criterion.bar)
    values = [one for one in given if one is not None]
    if not values:
        return None
    facts = METRICS.get(criterion.metric)
    if criterion.baseline is not None:
        return scale_around([0.0, *values], least=0.1)
    if facts is None:
        return scale_around(values)
    if facts.high is None:
        return scale_around([facts.low, *values]) if min(values) < facts.low else _from(facts.low, max(values))
    whole = scale_around([facts.low, facts.high, *values], pad=0.0)
    span = max(values) - min(values)
    if whole is None or span >= _CLOSE_UP * (facts.high - facts.low):
        return whole
    close = scale_around(values, pad=0.6, least=_CLOSE_UP * (facts.high - facts.low) / 2)
    return close and Scale(low=max(whole.low, close.low), high=min(whole.high, close.high))


def interval_words(criterion: ReportedCriterion) -> str:
    """What an interval plot shows, for those who do not see it."""
    show = signed if criterion.baseline is not None else number
    what = "paired difference" if criterion.baseline is not None else "estimate"
    low = "no lower bound" if criterion.low is None else f"lower bound {show(criterion.low)}"
    high = "no upper bound" if criterion.high is None else f"upper bound {show(criterion.high)}"
    bar = "no bar" if criterion.bar is None else f"bar {criterion.direction.replace('-', ' ')} {show(criterion.bar)}"
    estimate = "none" if criterion.estimate is None else show(criterion.estimate)
    return f"{what} {estimate}, {low}, {high}, {bar}"


def _from(low: float, high: float) -> Scale | None:
    """An axis that begins at the end of a metric's range."""
    around = scale_around([low, high])
    return around and Scale(low=low, high=around.high)


def _tone(criterion: ReportedCriterion) -> str:
    return VERDICT_TONES[criterion.verdict]


def _good_side(criterion: ReportedCriterion, scale: Scale, bar: float) -> Markup:
    place = 100 * scale.share(bar)
    start, width = (place, 100 - place) if criterion.direction == "at-least" else (0.0, place)
    sizes = {"x": f"{decimal(start)}%", "width": f"{decimal(width)}%"}
    return element("rect", **sizes, y=_TOP, height=_AXIS - _TOP, class_="good-side")


def _bounds(criterion: ReportedCriterion, scale: Scale) -> list[Markup]:
    """The bar from bound to bound; an end without a bound is open and dashed to the end of the axis."""
    low, high, estimate = criterion.low, criterion.high, criterion.estimate
    if estimate is None:
        return []
    parts = [
        _level(
            scale.percent(low if low is not None else estimate), scale.percent(high if high is not None else estimate)
        )
    ]
    if low is None:
        parts.append(_level("0%", scale.percent(estimate), "bounds open-end"))
    if high is None:
        parts.append(_level(scale.percent(estimate), "100%", "bounds open-end"))
    parts += [_upright(scale, end, "cap", top=_TRACK - 7, bottom=_TRACK + 7) for end in (low, high) if end is not None]
    return parts


def _level(start: str, end: str, classes: str = "bounds") -> Markup:
    return element("line", x1=start, x2=end, y1=_TRACK, y2=_TRACK, class_=classes)


def _upright(scale: Scale, value: float, classes: str, *, top: int, bottom: int = _AXIS) -> Markup:
    place = scale.percent(value)
    return element("line", x1=place, x2=place, y1=top, y2=bottom, class_=classes)


def _sides(criterion: ReportedCriterion) -> list[Markup]:
    names = ["baseline better", "candidate better"]
    left, right = names if criterion.direction == "at-least" else reversed(names)
    return [
        element("text", f"← {left}", x="0%", y=_SIDES, class_="side"),
        element("text", f"{right} →", x="100%", y=_SIDES, text_anchor="end", class_="side"),
    ]


def _placed(share: float, y: int, text: str, classes: str) -> Markup:
    """Letters centred on a place, or kept inside at the ends."""
    anchor = "start" if share < 0.08 else "end" if share > 0.92 else "middle"
    return element("text", text, x=f"{decimal(100 * share)}%", y=y, text_anchor=anchor, class_=classes)


def _axis(marks: Sequence[Tick], scale: Scale, *, top: int, bottom: int, labels: int | None) -> list[Markup]:
    """A level line at the bottom, and at each tick an upright one with its number below."""
    parts = [_upright(scale, tick.value, "grid", top=top, bottom=bottom) for tick in marks]
    parts.append(element("line", x1="0%", x2="100%", y1=bottom, y2=bottom, class_="axis"))
    if labels is not None:
        shares = [(scale.percent(tick.value), tick.label) for tick in marks]
        parts += [element("text", label, x=x, y=labels, text_anchor="middle", class_="tick") for x, label in shares]
    return parts


def _figure(parts: Sequence[Markup], title_id: str, *, height: int, classes: str) -> Markup:
    labelled = f"{title_id}-title {title_id}-desc"
    sizes = {"width": "100%", "height": height}
    return element("svg", joined(parts), class_=f"chart {classes}", **sizes, role="img", aria_labelledby=labelled)


# Rows of a training curve.
_LOSS_TOP: Final = 16
_LOSS_BOTTOM: Final = 168
_RATE_TOP: Final = 190
_RATE_BOTTOM: Final = 226
_STEP_LABELS: Final = 241
_STEP_NAME: Final = 256


def training_curve(name: str, points: Sequence[CurvePoint], title_id: str) -> Markup | None:
    """Loss over optimizer steps, and below it the learning rate on the same steps; None without points."""
    if not points:
        return None
    steps = _steps_scale(points)
    losses = scale_around(
        [0.0 if _near_zero(points) else min(one.loss for one in points), *(one.loss for one in points)]
    )
    rates = scale_around([0.0, *(one.learning_rate for one in points)], least=1e-3)
    if losses is None or rates is None:
        return None
    losses = _not_below_zero(losses, min(one.loss for one in points))
    rates = _not_below_zero(rates, min(one.learning_rate for one in points))
    marks = ticks(steps, 6, whole=True)
    parts = [
        element("title", f"Training curve of {name}", id=f"{title_id}-title"),
        element("desc", curve_words(points), id=f"{title_id}-desc"),
        *_axis(marks, steps, top=_LOSS_TOP, bottom=_LOSS_BOTTOM, labels=None),
        *_levels(losses, 4, _LOSS_TOP, _LOSS_BOTTOM),
        *_lines(points, steps, losses, lambda one: one.loss, top=_LOSS_TOP, bottom=_LOSS_BOTTOM),
        *_axis(marks, steps, top=_RATE_TOP, bottom=_RATE_BOTTOM, labels=_STEP_LABELS),
        *_levels(rates, 2, _RATE_TOP, _RATE_BOTTOM),
        _line(points, steps, rates, lambda one: one.learning_rate, "rate", top=_RATE_TOP, bottom=_RATE_BOTTOM),
        element("text", "loss", x=0, y=_LOSS_TOP - 4, class_="panel"),
        element("text", "learning rate", x=0, y=_RATE_TOP - 4, class_="panel"),
        element("text", "optimizer step", x="50%", y=_STEP_NAME, text_anchor="middle", class_="panel"),
    ]
    return _figure(parts, title_id, height=260, classes="curve")


def curve_words(points: Sequence[CurvePoint]) -> str:
    losses = [one.loss for one in points]
    return (
        f"loss from {number(losses[0])} at step {points[0].step} to {number(losses[-1])} at step {points[-1].step}, "
        f"least {number(min(losses))}; learning rate at most {number(max(one.learning_rate for one in points))}"
    )


def smoothed(values: Sequence[float]) -> list[float]:
    """Means over a window of a 25th of the points around each, narrower at the ends."""
    reach = max(1, len(values) // 50)
    windows = [values[max(0, place - reach) : place + reach + 1] for place in range(len(values))]
    return [sum(one) / len(one) for one in windows]


def _steps_scale(points: Sequence[CurvePoint]) -> Scale:
    first, last = points[0].step, points[-1].step
    return Scale(low=min(first, 0 if first == 1 else first), high=max(last, first + 1))


def _near_zero(points: Sequence[CurvePoint]) -> bool:
    """Whether the axis should begin at 0: not where that would press a flat curve to the top."""
    losses = [one.loss for one in points]
    return min(losses) >= 0 and min(losses) < 0.5 * max(losses)


def _not_below_zero(scale: Scale, least: float) -> Scale:
    """The scale without its room below zero, where no value is there."""
    return Scale(low=max(0.0, scale.low), high=scale.high) if least >= 0 else scale


def _levels(scale: Scale, wanted: int, top: int, bottom: int) -> list[Markup]:
    """Level lines with their numbers left of the plot."""
    parts: list[Markup] = []
    for tick in ticks(scale, wanted):
        y = bottom - (bottom - top) * scale.share(tick.value)
        parts.append(element("line", x1="0%", x2="100%", y1=y, y2=y, class_="grid"))
        parts.append(element("text", tick.label, x=-8, y=y + 4.0, text_anchor="end", class_="tick"))
    return parts


def _lines(
    points: Sequence[CurvePoint],
    steps: Scale,
    scale: Scale,
    of: Callable[[CurvePoint], float],
    *,
    top: int,
    bottom: int,
) -> list[Markup]:
    """Every point as a thin line; a thick one through local means where there are many."""
    if len(points) < _SMOOTH_FROM:
        return [_line(points, steps, scale, of, "smooth", top=top, bottom=bottom)]
    means = smoothed([of(one) for one in points])
    through = [one.model_copy(update={"loss": mean}) for one, mean in zip(points, means, strict=True)]
    return [
        _line(points, steps, scale, of, "raw", top=top, bottom=bottom),
        _line(through, steps, scale, of, "smooth", top=top, bottom=bottom),
    ]


def _line(
    points: Sequence[CurvePoint],
    steps: Scale,
    scale: Scale,
    of: Callable[[CurvePoint], float],
    classes: str,
    *,
    top: int,
    bottom: int,
) -> Markup:
    """A line in a box of 100 by 100 that is stretched over the panel; its stroke is not stretched."""
    places = [(100 * steps.share(one.step), 100 * (1 - scale.share(of(one)))) for one in points]
    if len(places) == 1:  # a line of no length is not drawn
        places.append((places[0][0] + 1, places[0][1]))
    drawn = element("polyline", points=" ".join(f"{decimal(x)},{decimal(y)}" for x, y in places), class_=classes)
    box = {"width": "100%", "height": bottom - top, "viewBox": "0 0 100 100", "preserveAspectRatio": "none"}
    return element("svg", drawn, x=0, y=top, **box, overflow="visible")
