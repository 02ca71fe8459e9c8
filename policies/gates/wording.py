"""Say in words why a criterion has its verdict, how it was found, and what would help.

Called by `verdicts`. Words alone: nothing here decides.
"""

from __future__ import annotations

import math

from policies.gates.bounds import Interval, Method, units_needed_for_t
from policies.gates.questions import Question
from policies.gates.results import CriterionVerdict
from policies.gates.rules import Bar, Better, NonInferior, Threshold


def method_words(bar: Bar, method: Method) -> str:
    """Return the method with what it was applied to."""
    match bar:
        case Threshold(quantile=quantile) if quantile is not None:
            return f"{method.value}, of the share of items on the good side of the bar"
        case NonInferior() | Better():
            return f"{method.value}, of differences on the same items"
        case _:
            return method.value


def reason_for(shown: CriterionVerdict, method: Method, question: Question, alpha: float) -> str:
    """Return one sentence that says why the verdict is what it is."""
    if method is Method.ONE_UNIT:
        return "all scored items are one cluster, which cannot say how much clusters differ"
    if method is Method.TOO_FEW_UNITS:
        needed = units_needed_for_t(question.sample, alpha)
        wanted = f"about {_rounded_up(needed)} are needed" if math.isfinite(needed) else "their scores do not vary"
        return f"{shown.counts.units} {_units(question)} are too few for a metric without limits: {wanted}"
    above = shown.direction == "at-least"
    guard, other = (("low", shown.low), ("high", shown.high)) if above else (("high", shown.high), ("low", shown.low))
    bar = f"the bar {shown.bar:g}"
    if shown.verdict == "pass":
        return f"the {guard[0]} bound {_number(guard[1])} is on the good side of {bar}"
    if shown.verdict == "fail":
        return f"even the {other[0]} bound {_number(other[1])} is on the bad side of {bar}"
    return f"{bar} lies between the bounds {_number(shown.low)} and {_number(shown.high)}"


def advise(question: Question, bounds: Interval, method: Method) -> str:
    """Return what would turn an inconclusive verdict into one of the others."""
    if method is Method.ONE_UNIT:
        return "evaluate items from more clusters"
    if method is Method.TOO_FEW_UNITS:
        return "evaluate more items, or ask for a quantile, which needs no limits"
    gap = question.sample.mean - question.bar
    if bounds.low is None or gap <= 0.0:
        return "the estimate is not better than the bar: improve the subject; more items would sooner show a fail"
    needed = question.sample.units * ((question.sample.mean - bounds.low) / gap) ** 2
    wanted = f"about {_rounded_up(needed)} {_units(question)}"
    return f"if the estimate holds, {wanted} would show it; there are {question.sample.units}"


def advise_after_fail(question: Question) -> str:
    """Return what would help where a criterion is shown to fail: not more data to measure on."""
    gap = question.bar - question.sample.mean
    return f"the estimate is {gap:.3g} short of the bar: change model, data or prompt; more items would not help"


def _units(question: Question) -> str:
    return "items" if question.sample.independent_items else "clusters"


def _number(value: float | None) -> str:
    return "(none)" if value is None else f"{value:.4g}"


def _rounded_up(number: float) -> int:
    """Return two leading digits: more would promise what an estimate cannot keep."""
    step = 10 ** max(0, math.floor(math.log10(max(number, 1.0))) - 1)
    return math.ceil(number / step) * step
