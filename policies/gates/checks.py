"""Gates that mean nothing, said before anything runs: those that no result can pass, and those that none can fail.

`llmops` hands `GATE_CHECKS` to the compiler. Reports `gate-cannot-pass`, `gate-cannot-fail`, `unknown-metric`,
`unknown-slice`. Counts are the declared rows and clusters; the rows themselves are not read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from compiler.checks.question import GraphCheck
from compiler.diagnostics.model import Diagnostic, declare
from compiler.diagnostics.suggestions import did_you_mean, nearest
from compiler.graph import ResourceGraph, ResourceNode
from llmops_spec.catalogue.metrics import METRICS, MetricFacts
from llmops_spec.dataset import Dataset
from llmops_spec.evaluation import Evaluation
from llmops_spec.gate import BARS, Criterion, Gate, GateSpec
from policies.gates.from_spec import criterion_rule
from policies.gates.power import Design, Prospect, prospect
from policies.gates.rules import Better, CriterionRule, NeverFail, NonInferior, Threshold

GATE_CANNOT_PASS: Final = declare("gate-cannot-pass", "a gate that no result can pass, however good")
GATE_CANNOT_FAIL: Final = declare("gate-cannot-fail", "a gate that no result can fail, however bad")
UNKNOWN_METRIC: Final = declare("unknown-metric", "a criterion about a metric that its evaluation does not measure")
UNKNOWN_SLICE: Final = declare("unknown-slice", "a criterion about a slice that its evaluation does not have")

_KEYS: Final = dict(zip(BARS, ("atLeast", "atMost", "nonInferiorTo", "betterThan", "neverFail"), strict=True))


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One criterion with all that it is judged by."""

    node: ResourceNode
    gate: GateSpec
    index: int
    criterion: Criterion
    evaluation: Evaluation
    dataset: Dataset | None

    def at(self, key: str) -> tuple[str | int, ...]:
        return ("spec", "criteria", self.index, key)

    @property
    def bar_path(self) -> tuple[str | int, ...]:
        return self.at(next(_KEYS[name] for name in BARS if getattr(self.criterion, name) is not None))


def _each(ask: Callable[[_Asked], Iterator[Diagnostic]]) -> Callable[[ResourceGraph], Iterator[Diagnostic]]:
    def findings(graph: ResourceGraph) -> Iterator[Diagnostic]:
        for node, gate in graph.of(Gate):
            evaluation = graph.get(Evaluation, gate.spec.evaluation)
            if evaluation is None:
                continue
            dataset = graph.get(Dataset, evaluation.spec.dataset)
            for index, criterion in enumerate(gate.spec.criteria):
                yield from ask(
                    _Asked(
                        node=node,
                        gate=gate.spec,
                        index=index,
                        criterion=criterion,
                        evaluation=evaluation,
                        dataset=dataset,
                    )
                )

    return findings


# --- metrics and slices


def _metric_is_measured(asked: _Asked) -> Iterator[Diagnostic]:
    metric, evaluation = asked.criterion.metric, asked.evaluation
    measured = [one.name for one in evaluation.spec.metrics]
    if metric in measured:
        return
    exists = metric in METRICS and not nearest(metric, measured)
    yield UNKNOWN_METRIC.at(
        asked.node.span(*asked.at("metric")),
        f"evaluation `{evaluation.metadata.name}` does not measure `{metric}`",
        label="not measured",
        note="the record would hold no line of it, and the gate could never be decided",
        help=f"add `{{name: {metric}}}` to the evaluation's metrics" if exists else did_you_mean(metric, measured),
    )


def _slice_exists(asked: _Asked) -> Iterator[Diagnostic]:
    name, evaluation = asked.criterion.slice, asked.evaluation
    if name is None or name in evaluation.spec.splits:
        return
    yield UNKNOWN_SLICE.at(
        asked.node.span(*asked.at("slice")),
        f"evaluation `{evaluation.metadata.name}` has no slice `{name}`",
        label="no such slice",
        note="the slices of an evaluation are the splits that it reads",
        help=did_you_mean(name, evaluation.spec.splits),
    )


# --- what can be shown


def _can_pass(asked: _Asked) -> Iterator[Diagnostic]:
    facts, design = _facts(asked), _design(asked)
    if facts is None or design is None:
        return
    rule = criterion_rule(asked.criterion)
    note, help_text = _why_never(rule, facts, design, asked)
    if note:
        yield GATE_CANNOT_PASS.at(
            asked.node.span(*asked.bar_path),
            f"gate `{asked.node.name}` cannot pass: no result shows {rule.text()}",
            label="out of reach",
            note=note,
            help=help_text,
        )


def _why_never(rule: CriterionRule, facts: MetricFacts, design: Design, asked: _Asked) -> tuple[str, str]:
    """The arithmetic and the fix; two empty texts where a good enough result passes."""
    if isinstance(rule.bar, NeverFail):
        if facts.kind == "binary":
            return "", ""
        return (
            f"`neverFail` asks for the top score, and `{facts.name}` is not two-valued",
            f"name one of {_binary_metrics()}",
        )
    if isinstance(rule.bar, Threshold) and _beyond_best(rule.bar, facts):
        return f"`{facts.name}` lies between {_range(facts)}", _rescaled(rule.bar, facts)
    found = prospect(rule, facts, design, asked.gate.alpha)
    if found.can_pass:
        return "", ""
    return _arithmetic(rule, facts, design, found, asked), _more_data(design, found)


def _can_fail(asked: _Asked) -> Iterator[Diagnostic]:
    facts, design = _facts(asked), _design(asked)
    rule = criterion_rule(asked.criterion)
    if facts is None or isinstance(rule.bar, NeverFail):
        return
    certain = _always_good(rule, facts)
    # Where weak data ship, only a result that is shown to be worse stops anything.
    lenient = asked.gate.combine == "block-if-any-shown-worse" or asked.gate.on_inconclusive == "warn"
    if certain:
        note = f"`{facts.name}` lies between {_range(facts)}, so {rule.text()} holds for every result"
    elif lenient and design is not None and not prospect(rule, facts, design, asked.gate.alpha).can_fail:
        note = f"even the worst scores of {_units(design)} do not show it worse, and what is not shown ships here"
    else:
        return
    yield GATE_CANNOT_FAIL.at(
        asked.node.span(*asked.bar_path),
        f"gate `{asked.node.name}` cannot fail by this criterion: {rule.text()}",
        label="nothing fails this",
        note=note,
        help="set a bar that a bad result misses" if certain else "evaluate more items, or let what is not shown block",
    )


def _facts(asked: _Asked) -> MetricFacts | None:
    """None where the metric is not measured, which has a finding of its own."""
    measured = {one.name for one in asked.evaluation.spec.metrics}
    return METRICS.get(asked.criterion.metric) if asked.criterion.metric in measured else None


def _design(asked: _Asked) -> Design | None:
    """Declared items and units; None where they are not known, which is reported elsewhere."""
    if asked.dataset is None:
        return None
    wanted = [asked.criterion.slice] if asked.criterion.slice is not None else asked.evaluation.spec.splits
    names = [one for one in asked.evaluation.spec.splits if one in wanted]
    splits = [asked.dataset.spec.splits[one] for one in names if one in asked.dataset.spec.splits]
    if not splits or len(splits) != len(set(wanted)):
        return None
    items = sum(one.rows for one in splits)
    units = items
    if asked.dataset.spec.cluster_column is not None:
        clusters = [one.clusters for one in splits if one.clusters is not None]
        if len(clusters) != len(splits):
            return None
        units = sum(clusters)
    return Design(items=items, units=units, draws=asked.evaluation.spec.draws)


def _beyond_best(bar: Threshold, facts: MetricFacts) -> bool:
    if bar.side == "at-least":
        return facts.high is not None and bar.value > facts.high
    return bar.value < facts.low


def _always_good(rule: CriterionRule, facts: MetricFacts) -> bool:
    match rule.bar:
        case Threshold(side="at-least", value=value):
            return value <= facts.low
        case Threshold(value=value):
            return facts.high is not None and value >= facts.high
        case NonInferior(margin=margin):
            return facts.high is not None and margin >= facts.high - facts.low
        case Better() | NeverFail():
            return False


# --- words


def _arithmetic(rule: CriterionRule, facts: MetricFacts, design: Design, found: Prospect, asked: _Asked) -> str:
    if design.units == 1:
        return "one cluster cannot say how much clusters differ"
    if found.best_low is None:
        return f"{_units(design)} are too few for a metric without limits"
    alpha, units, best = asked.gate.alpha, design.units, found.best_low
    share = alpha ** (1.0 / units)
    formula = f"{alpha:g}^(1/{units}) = " if abs(best - share) < 1e-9 else ""
    of = "as a share of the items " if _quantile(rule) is not None else ""
    shown = -best if _mirrored(rule, facts) else best
    most = "least" if _mirrored(rule, facts) else "most"
    needed = (
        f"{found.units_to_pass:,} are needed for {_bar_text(rule)}"
        if found.units_to_pass is not None
        else "no number of them would do"
    )
    reach = f"{formula}{shown:.3g} is the {most} that can be shown {of}with every score at its best"
    return f"{_units(design)}: {reach}; {needed}"


def _more_data(design: Design, found: Prospect) -> str:
    if found.units_to_pass is None:
        return "move the bar away from the end of the range, which no bound reaches"
    what = "clusters" if design.units < design.items else "items"
    return f"hold out at least {found.units_to_pass:,} {what}, or lower the bar to what so few can show"


def _bar_text(rule: CriterionRule) -> str:
    match rule.bar:
        case Threshold(side=side, quantile=quantile) if quantile is not None:
            return f"{quantile if side == 'at-most' else 1.0 - quantile:g}"
        case Threshold(value=value):
            return f"{value:g}"
        case NonInferior(margin=margin):
            return f"a margin of {margin:g}"
        case _:
            return "it"


def _quantile(rule: CriterionRule) -> float | None:
    return rule.bar.quantile if isinstance(rule.bar, Threshold) else None


def _mirrored(rule: CriterionRule, facts: MetricFacts) -> bool:
    """Whether the bound is told with its sign turned: less is better, and it is in the metric's own units."""
    if isinstance(rule.bar, Threshold):
        return rule.bar.side == "at-most" and rule.bar.quantile is None
    return not facts.higher_is_better


def _units(design: Design) -> str:
    return f"{design.units:,} clusters" if design.units < design.items else f"{design.units:,} items"


def _range(facts: MetricFacts) -> str:
    return f"{facts.low:g} and {facts.high:g}" if facts.high is not None else f"{facts.low:g} and any higher number"


def _rescaled(bar: Threshold, facts: MetricFacts) -> str:
    if facts.high == 1.0 and 1.0 < bar.value <= 100.0 and bar.value.is_integer():
        return f"shares are written from 0 to 1: `{bar.value / 100.0:g}`"
    return "set a bar within the metric's range"


def _binary_metrics() -> str:
    return ", ".join(f"`{name}`" for name, facts in METRICS.items() if facts.kind == "binary")


GATE_CHECKS: Final = (
    GraphCheck(name="gate-metrics", ask=_each(_metric_is_measured)),
    GraphCheck(name="gate-slices", ask=_each(_slice_exists)),
    GraphCheck(name="gate-can-pass", ask=_each(_can_pass)),
    GraphCheck(name="gate-can-fail", ask=_each(_can_fail)),
)
"""Every check of this file."""
