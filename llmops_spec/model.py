"""The `Model` kind: weights, where they come from, and the facts that checks need."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from llmops_spec.base import DatasetRef, ModelRef, ProjectPath, Resource, SpecModel, TrainingRef, exactly_one


class ByteLevelBpe(SpecModel):
    """A byte-level BPE tokenizer, trained on text columns of a dataset."""

    vocabulary_size: int = Field(ge=260, le=200_000)
    dataset: DatasetRef
    split: str = "train"
    columns: list[str] = Field(min_length=1)


class Llama(SpecModel):
    """Architecture of a Llama-style decoder with tied embeddings."""

    hidden_size: int = Field(ge=8, le=16_384)
    layers: int = Field(ge=1, le=200)
    heads: int = Field(ge=1, le=256)
    key_value_heads: int = Field(ge=1, le=256)
    feed_forward_size: int = Field(ge=8, le=65_536)
    initializer_range: float = Field(default=0.02, gt=0, le=1)
    """Standard deviation of the random weights. Small models that train for a few hundred steps want more."""


class FromScratch(SpecModel):
    """Random weights, drawn from `seed`."""

    llama: Llama
    tokenizer: ByteLevelBpe
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class FromHuggingFace(SpecModel):
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", max_length=200)
    revision: str = Field(min_length=1, max_length=100)


class ModelSource(SpecModel):
    """Exactly one of the alternatives."""

    scratch: FromScratch | None = None
    path: ProjectPath | None = None
    training: TrainingRef | None = None
    hugging_face: FromHuggingFace | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self


class ModelSpec(SpecModel):
    from_: ModelSource = Field(alias="from")
    licence: str | None = Field(default=None, max_length=100)
    """SPDX expression, or `LicenseRef-…`."""
    context_length: int | None = Field(default=None, ge=8, le=10_000_000)
    """Longest sequence in tokens. A trained model inherits its base's."""
    chat_template: ProjectPath | None = None
    """Jinja file that renders messages to text. A trained model inherits its base's."""
    adapter_of: ModelRef | None = None
    """The weights are a LoRA adapter on that model, and are served on it."""


class Model(Resource):
    KIND: ClassVar[str] = "Model"
    kind: Literal["Model"] = "Model"
    spec: ModelSpec
