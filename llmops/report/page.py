"""Draw a report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.

Called by `apply` and `gate run`. Pure: equal data give equal bytes, whatever the order of the data's mappings.
Every text is escaped and made inert, and a content policy in the page forbids scripts and requests besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal, TypeVar

from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from llmops.report import wording
from llmops.report.charts import interval_plot, training_curve
from llmops.report.data import CurvePoint, ReportData, ReportedCriterion, ReportedStep, ReportedVerdict, StepState
from llmops.report.inert import clean
from llmops.report.marks import STATE_TONES, VERDICT_TONES, state_mark, verdict_mark, warning_mark
from llmops_spec.payloads.data import DataProfile, SplitProfile

_Value = TypeVar("_Value")

_WORST_FIRST: Final = ("fail", "inconclusive", "pass")
_STATES_BY_WEIGHT: Final[tuple[StepState, ...]] = ("failed", "running", "not-run", "done", "cached", "in-place")


def render_report(data: ReportData) -> str:
    """The page as HTML text, to be written as UTF-8."""
    tone, exit_words = wording.EXIT_WORDS.get(data.exit_code, ("bad", "an exit code that this version does not know"))
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            data=data,
            tone=tone,
            exit_words=exit_words,
            gates=_gates(data.verdicts),
            phases=_phases(data.steps),
            steps=_timed(data.steps),
            profiles=[_DatasetView(name=name, profile=profile) for name, profile in _by_name(data.profiles)],
            curves=[_curve(name, points, place) for place, (name, points) in enumerate(_by_name(data.curves), 1)],
            evidence=sorted(data.evidence, key=lambda one: (one.gate, one.statement_digest)),
            failed=[_failure(step, data.outcome) for step in data.steps if step.state == "failed"],
            seconds=sum(step.seconds or 0.0 for step in data.steps),
        )
    )


def _failure(step: ReportedStep, outcome: str) -> tuple[ReportedStep, str, str]:
    """A failed step, what went wrong and what to do; without the first where the headline says just that."""
    error, help_ = wording.error_of(step)
    said = error.rstrip(".").casefold() == outcome.rstrip(".").casefold()
    return step, "" if said else error, help_


@cache
def _environment() -> Environment:
    own = files(__package__ or "llmops.report")

    def text_of(name: str) -> str:
        return own.joinpath(name).read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(text_of),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=True),
        undefined=StrictUndefined,
        finalize=_inert,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    shared: dict[str, object] = {
        "wording": wording,
        "style": Markup(text_of("style.css")),  # noqa: S704  # ours, from the package
        "verdict_mark": verdict_mark,
        "state_mark": state_mark,
        "warning_mark": warning_mark,
        "verdict_tones": VERDICT_TONES,
        "state_tones": STATE_TONES,
        "count_or_dash": _count_or_dash,
        "share_in": _share_in,
        "sorted_items": _by_name,
    }
    environment.globals.update(shared)  # pyright: ignore[reportCallIssue,reportArgumentType]  # typed for its own
    return environment


def _inert(value: object) -> object:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _prose(text: str) -> Markup:
    """A sentence in which what stands between backticks is set as code."""
    parts = clean(text).split("`")
    if len(parts) % 2 == 0:  # one backtick is just that
        return escape(clean(text))
    coded = (Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts))
    return Markup("").join(coded)


def _by_name(values: Mapping[str, _Value]) -> list[tuple[str, _Value]]:
    return sorted(values.items(), key=lambda one: one[0])


def _count_or_dash(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _share_in(profile: DataProfile, figure: Literal["accuracy", "majority"], split: str) -> str:
    """A bag-of-words figure of a split; the train split has none."""
    bag = profile.bag_of_words
    shares = {} if bag is None else bag.accuracy if figure == "accuracy" else bag.majority
    return wording.share(shares[split]) if split in shares else "–"


@dataclass(frozen=True, kw_only=True)
class _CriterionView:
    found: ReportedCriterion
    plot: Markup | None


@dataclass(frozen=True, kw_only=True)
class _GateView:
    name: str
    anchor: str
    found: ReportedVerdict
    criteria: list[_CriterionView]

    @property
    def passed(self) -> int:
        return sum(one.found.verdict == "pass" for one in self.criteria)


def _gates(verdicts: Mapping[str, ReportedVerdict]) -> list[_GateView]:
    """Gates with the worst first: a reader looks for what stops the release."""
    ordered = sorted(verdicts.items(), key=lambda one: (_WORST_FIRST.index(one[1].verdict), one[0]))
    return [_gate(name, verdict, place) for place, (name, verdict) in enumerate(ordered, 1)]


def _gate(name: str, verdict: ReportedVerdict, place: int) -> _GateView:
    views = [
        _CriterionView(found=one, plot=interval_plot(one, f"plot-{place}-{number}"))
        for number, one in enumerate(verdict.criteria, 1)
    ]
    return _GateView(name=name, anchor=f"gate-{place}", found=verdict, criteria=views)


@dataclass(frozen=True, kw_only=True)
class _Phase:
    """Neighbouring steps of one kind, as the strip shows them."""

    kind: str
    steps: list[ReportedStep]

    @property
    def state(self) -> StepState:
        states = {step.state for step in self.steps}
        return next(one for one in _STATES_BY_WEIGHT if one in states)

    @property
    def seconds(self) -> float:
        return sum(step.seconds or 0.0 for step in self.steps)

    @property
    def words(self) -> str:
        """`ran`, or where states differ `1 ran, 2 from the store`."""
        states = [step.state for step in self.steps]
        present = [(states.count(one), wording.STATE_WORDS[one]) for one in _STATES_BY_WEIGHT if one in states]
        return present[0][1] if len(present) == 1 else ", ".join(f"{count} {words}" for count, words in present)


def _phases(steps: list[ReportedStep]) -> list[_Phase]:
    kinds = dict.fromkeys(step.kind for step in steps)
    return [_Phase(kind=kind, steps=[step for step in steps if step.kind == kind]) for kind in kinds]


@dataclass(frozen=True, kw_only=True)
class _TimedStep:
    found: ReportedStep
    percent: str
    """Its time as a share of the longest step's."""

    @property
    def notes(self) -> list[tuple[str, str]]:
        """All but what a failed step says at the top of the page."""
        hidden = {"error", "help"} if self.found.state == "failed" else set[str]()
        return [(name, wording.json_text(value)) for name, value in _by_name(self.found.notes) if name not in hidden]


def _timed(steps: list[ReportedStep]) -> list[_TimedStep]:
    longest = max((step.seconds or 0.0 for step in steps), default=0.0) or 1.0
    return [_TimedStep(found=step, percent=f"{100 * (step.seconds or 0.0) / longest:.1f}%") for step in steps]


@dataclass(frozen=True, kw_only=True)
class _DatasetView:
    name: str
    profile: DataProfile

    @property
    def splits(self) -> list[tuple[str, SplitProfile]]:
        """The train split first, since all others are compared with it."""
        return sorted(self.profile.splits.items(), key=lambda one: (one[0] != "train", one[0]))

    @property
    def clustered(self) -> bool:
        return any(split.clusters is not None for split in self.profile.splits.values())


@dataclass(frozen=True, kw_only=True)
class _CurveView:
    name: str
    points: list[CurvePoint]
    plot: Markup | None

    @property
    def peak_rate(self) -> float:
        return max(one.learning_rate for one in self.points)


def _curve(name: str, points: list[CurvePoint], place: int) -> _CurveView:
    ordered = sorted(points, key=lambda one: one.step)
    return _CurveView(name=name, points=ordered, plot=training_curve(name, ordered, f"curve-{place}"))
