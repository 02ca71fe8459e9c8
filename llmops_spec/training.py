"""The `Training` kind: how a model is made from another one."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from llmops_spec.base import DatasetRef, ModelRef, PromptRef, Resource, SpecModel


class HyperParameters(SpecModel):
    learning_rate: float = Field(ge=0, le=10)
    steps: int = Field(ge=1, le=10_000_000)
    """Optimizer steps."""
    batch_size: int = Field(ge=1, le=65_536)
    """Sequences a step."""
    sequence_length: int = Field(ge=8, le=1_000_000)
    """Longest training sequence in tokens; longer ones are cut."""
    warmup_steps: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    adam_beta2: float = Field(default=0.999, gt=0, lt=1)
    final_learning_rate_ratio: float = Field(default=0.0, ge=0, le=1)
    """The cosine schedule ends at this share of `learningRate`."""
    max_gradient_norm: float = Field(default=1.0, gt=0)


class Lora(SpecModel):
    rank: int = Field(ge=1, le=1024)
    alpha: int = Field(ge=1, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: list[str] | Literal["all-linear"] = "all-linear"
    saved_modules: list[str] = Field(default_factory=list)
    """Modules trained and stored in full beside the adapter, such as `embed_tokens`."""


class Compute(SpecModel):
    """Where tensors live. Part of what decides the result: two threads add up in another order than one."""

    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(default=2, ge=1, le=256)


class TrainingSpec(SpecModel):
    base: ModelRef
    dataset: DatasetRef
    split: str = "train"
    method: Literal["pretrain", "full", "lora"]
    text_column: str | None = None
    """`pretrain` only: the column with running text."""
    prompt: PromptRef | None = None
    """`full` and `lora`: renders each row's input; the answer is the dataset's target column."""
    hyper_parameters: HyperParameters
    lora: Lora | None = None
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    compute: Compute = Field(default_factory=Compute)


class Training(Resource):
    KIND: ClassVar[str] = "Training"
    kind: Literal["Training"] = "Training"
    spec: TrainingSpec
