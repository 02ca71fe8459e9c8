"""The metrics by name, as the catalogue lists them."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from llmops_runtime.metrics.exact_match import ExactMatch
from llmops_runtime.metrics.label_accuracy import LabelAccuracy
from llmops_runtime.metrics.latency import LatencySeconds
from llmops_runtime.metrics.metric import Metric
from llmops_runtime.metrics.rouge_l import RougeL
from llmops_spec.evaluation import MetricUse

BUILT_IN: Final = MappingProxyType[str, Callable[[MetricUse], Metric]](
    {
        "exact-match": lambda use: ExactMatch(ignore_case=use.ignore_case),
        "label-accuracy": lambda _: LabelAccuracy(),
        "rouge-l": lambda _: RougeL(),
        "latency-seconds": lambda _: LatencySeconds(),
    }
)
