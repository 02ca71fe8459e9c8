"""Where prompts are used: with which model, and filled from which rows.

Shared by the checks that look at a prompt together with something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compiler.graph import ResourceGraph, ResourceNode
from compiler.source import Span
from llmops_spec.evaluation import Evaluation
from llmops_spec.gate import Gate
from llmops_spec.service import Service
from llmops_spec.training import Training


@dataclass(frozen=True, kw_only=True)
class PromptUse:
    node: ResourceNode
    prompt: str
    model: str
    """A service's, a subject's or a baseline's model, a training's base."""
    dataset: str | None
    """Whose rows fill the variables; None for a service, which callers fill."""
    path: tuple[str | int, ...]
    """Of the part that names prompt and model."""
    model_path: tuple[str | int, ...] | None = None
    """If absent, `model` beside the prompt."""

    @property
    def described(self) -> str:
        return f"{self.node.kind.lower()} `{self.node.name}`"

    def prompt_span(self) -> Span:
        return self.node.span(*self.path, "prompt")

    def model_span(self) -> Span:
        return self.node.span(*(self.model_path or (*self.path, "model")))


def prompt_uses(graph: ResourceGraph) -> Iterator[PromptUse]:
    """Every use by a sound resource, sorted by kind and name; what it names may be missing or poisoned."""
    for node, evaluation in graph.of(Evaluation):
        subject = evaluation.spec.subject
        yield PromptUse(
            node=node,
            prompt=subject.prompt,
            model=subject.model,
            dataset=evaluation.spec.dataset,
            path=("spec", "subject"),
        )
    yield from _baselines(graph)
    for node, service in graph.of(Service):
        yield from _of_service(node, service)
    for node, training in graph.of(Training):
        if training.spec.prompt is not None:
            yield PromptUse(
                node=node,
                prompt=training.spec.prompt,
                model=training.spec.base,
                dataset=training.spec.dataset,
                path=("spec",),
                model_path=("spec", "base"),
            )


def _of_service(node: ResourceNode, service: Service) -> Iterator[PromptUse]:
    """Its one prompt, or those of its steps, which callers and earlier steps fill."""
    spec = service.spec
    if spec.prompt is not None:
        yield PromptUse(node=node, prompt=spec.prompt, model=spec.model, dataset=None, path=("spec",))
    for index, step in enumerate(spec.steps):
        own = step.model is not None
        yield PromptUse(
            node=node,
            prompt=step.prompt,
            model=step.model or spec.model,
            dataset=None,
            path=("spec", "steps", index),
            model_path=("spec", "steps", index, "model") if own else ("spec", "model"),
        )


def _baselines(graph: ResourceGraph) -> Iterator[PromptUse]:
    """Models that gates compare with: evaluated with the prompt and the rows of the subject."""
    for node, gate in graph.of(Gate):
        evaluation = graph.get(Evaluation, gate.spec.evaluation)
        for index, criterion in enumerate(gate.spec.criteria):
            if evaluation is not None and criterion.baseline is not None and criterion.baseline.model is not None:
                yield PromptUse(
                    node=node,
                    prompt=evaluation.spec.subject.prompt,
                    model=criterion.baseline.model,
                    dataset=evaluation.spec.dataset,
                    path=("spec", "criteria", index, "nonInferiorTo" if criterion.non_inferior_to else "betterThan"),
                )
