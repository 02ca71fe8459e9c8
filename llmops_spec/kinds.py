"""The registry of kinds: every document's `kind` is one of these."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from llmops_spec.base import Resource
from llmops_spec.dataset import Dataset
from llmops_spec.environment import Environment
from llmops_spec.evaluation import Evaluation
from llmops_spec.gate import Gate
from llmops_spec.guardrail import Guardrail
from llmops_spec.model import Model
from llmops_spec.project import Project
from llmops_spec.prompt import Prompt
from llmops_spec.retriever import Retriever
from llmops_spec.service import Service
from llmops_spec.training import Training

KINDS: Final = MappingProxyType[str, type[Resource]](
    {
        kind.KIND: kind
        for kind in (
            Project,
            Environment,
            Dataset,
            Model,
            Prompt,
            Training,
            Retriever,
            Guardrail,
            Evaluation,
            Gate,
            Service,
        )
    }
)
