"""What a model is made from, and the facts that it inherits on that way.

Called by checks, artifacts and back ends. Pure, and safe on any graph: a cycle, a missing or a poisoned link ends the
walk, and `whole` says so; whoever would report that a fact is absent asks that first.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.graph import ResourceGraph
from llmops_spec.model import FromCompress, FromScratch, Model
from llmops_spec.training import Training


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """A model, then the model it is made from, and so on to the first one."""

    models: tuple[Model, ...]
    whole: bool
    """The last model is made from no other one. False where a link is missing, poisoned or part of a cycle."""

    @property
    def context_source(self) -> Model | None:
        """The nearest model that declares a context length."""
        return next((one for one in self.models if one.spec.context_length is not None), None)

    @property
    def chat_template_source(self) -> Model | None:
        """The nearest model that declares a chat template."""
        return next((one for one in self.models if one.spec.chat_template is not None), None)

    @property
    def scratch(self) -> FromScratch | None:
        """How the first model was drawn, where it is random weights."""
        return self.models[-1].spec.from_.scratch if self.whole else None


def lineage(graph: ResourceGraph, model_name: str | None) -> Lineage:
    """The way of the named model back to its first weights."""
    models: list[Model] = []
    seen: set[str] = set()
    name = model_name
    while name is not None:
        model = graph.get(Model, name)
        if model is None or name in seen:
            return Lineage(models=tuple(models), whole=False)
        seen.add(name)
        models.append(model)
        training_name = model.spec.from_.training
        if training_name is None:
            compressed = model.spec.from_.compress
            name = _made_from(compressed) if compressed is not None else model.spec.adapter_of
            continue
        training = graph.get(Training, training_name)
        if training is None:
            return Lineage(models=tuple(models), whole=False)
        name = training.spec.base
    return Lineage(models=tuple(models), whole=bool(models))


def _made_from(compress: FromCompress) -> str:
    """Whose weights become the smaller model: of a distillation the student's, which learns the teacher's answers."""
    return compress.distil.student if compress.distil is not None else compress.model


def base_chain(graph: ResourceGraph, model_name: str | None) -> list[Model]:
    """The named model, the base that it was trained from, that one's base, and so on, as far as it is known."""
    return list(lineage(graph, model_name).models)


def context_length(graph: ResourceGraph, model_name: str | None) -> int | None:
    """Longest sequence in tokens: the model's own, else what it inherits."""
    source = lineage(graph, model_name).context_source
    return source.spec.context_length if source else None


def chat_template(graph: ResourceGraph, model_name: str | None) -> str | None:
    """Path of the chat template: the model's own, else what it inherits."""
    source = lineage(graph, model_name).chat_template_source
    return source.spec.chat_template if source else None
