"""What a user may write: one kind per file, pydantic only.

Write a spec in YAML, or build the same resources in Python and print them with `to_yaml`.
"""

from __future__ import annotations

from llmops_spec.authoring import to_yaml
from llmops_spec.base import API_VERSION, Metadata, Resource
from llmops_spec.dataset import Dataset, DatasetSpec
from llmops_spec.environment import Environment, EnvironmentSpec
from llmops_spec.evaluation import Evaluation, EvaluationSpec
from llmops_spec.gate import Gate, GateSpec
from llmops_spec.guardrail import Guardrail, GuardrailSpec
from llmops_spec.kinds import KINDS
from llmops_spec.model import Model, ModelSpec
from llmops_spec.project import Project, ProjectSpec
from llmops_spec.prompt import Prompt, PromptSpec
from llmops_spec.service import Service, ServiceSpec
from llmops_spec.training import Training, TrainingSpec

__all__ = [
    "API_VERSION",
    "KINDS",
    "Dataset",
    "DatasetSpec",
    "Environment",
    "EnvironmentSpec",
    "Evaluation",
    "EvaluationSpec",
    "Gate",
    "GateSpec",
    "Guardrail",
    "GuardrailSpec",
    "Metadata",
    "Model",
    "ModelSpec",
    "Project",
    "ProjectSpec",
    "Prompt",
    "PromptSpec",
    "Resource",
    "Service",
    "ServiceSpec",
    "Training",
    "TrainingSpec",
    "to_yaml",
]
