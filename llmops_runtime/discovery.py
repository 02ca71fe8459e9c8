"""Task names, and the function of each, imported when the task is run.

Called by `llmops_runtime.task`. A task is `(payload, context) -> notes`; standing processes return None when
they are told to stop.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from llmops_runtime.context import TaskContext
from llmops_spec.payloads.base import Payload

Notes: TypeAlias = Mapping[str, str | int | float]
"""Figures for people in the result file; nothing decides on them."""
TaskFunction: TypeAlias = Callable[[Any, TaskContext], Notes | None]


@dataclass(frozen=True, kw_only=True)
class TaskEntry:
    module: str
    function: str
    payload_module: str
    payload: str
    extras: tuple[str, ...]
    """Extras of the package that the task's libraries come with."""
    standing: bool = False
    """The task serves until it is told to stop, and publishes nothing."""

    def payload_type(self) -> type[Payload]:
        return getattr(importlib.import_module(self.payload_module), self.payload)

    def load(self) -> TaskFunction:
        return getattr(importlib.import_module(self.module), self.function)


TASKS: Final = MappingProxyType(
    {
        "check-data": TaskEntry(
            module="llmops_runtime.data.check",
            function="run_check_data",
            payload_module="llmops_spec.payloads.data",
            payload="CheckDataPayload",
            extras=("eval",),
        ),
        "transform": TaskEntry(
            module="llmops_runtime.data.transform",
            function="run_transform",
            payload_module="llmops_spec.payloads.data",
            payload="TransformPayload",
            extras=(),
        ),
        "train": TaskEntry(
            module="llmops_runtime.train.run",
            function="run_train",
            payload_module="llmops_spec.payloads.training",
            payload="TrainPayload",
            extras=("train",),
        ),
        "evaluate": TaskEntry(
            module="llmops_runtime.evaluate",
            function="run_evaluate",
            payload_module="llmops_spec.payloads.evaluation",
            payload="EvaluatePayload",
            extras=("eval",),
        ),
        "engine": TaskEntry(
            module="llmops_runtime.engines.server",
            function="serve_engine",
            payload_module="llmops_spec.payloads.serving",
            payload="EnginePayload",
            extras=("train", "serve"),
            standing=True,
        ),
        "gateway": TaskEntry(
            module="llmops_runtime.gateway.server",
            function="serve_gateway",
            payload_module="llmops_spec.payloads.serving",
            payload="GatewayPayload",
            extras=("serve", "guard"),
            standing=True,
        ),
    }
)
