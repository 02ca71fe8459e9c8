"""The `Training` kind: how a model is made from another one."""

from typing import ClassVar, Literal

from pydantic import Field

from llmops_spec.base import DatasetRef, ModelRef, PromptRef, Resource, SpecModel
from llmops_spec.gpu import Gpu


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


class Preferences(SpecModel):
    """Columns of a dataset with two answers to one input, for `dpo`."""

    chosen: str
    rejected: str


class Distribution(SpecModel):
    """How a training is spread over GPUs, and what it keeps in their memory."""

    gpu: Gpu
    sharding: Literal["none", "ddp", "fsdp", "zero1", "zero2", "zero3"] = "none"
    """What is divided between the GPUs: nothing, optimizer states (1), gradients too (2), weights too (3, FSDP)."""
    offload: bool = False
    """Optimizer states and sharded weights lie in the host's memory."""
    micro_batch_size: int = Field(default=1, ge=1, le=65_536)
    """Sequences that one GPU holds at a time; the rest of `batchSize` is accumulated."""
    optimizer: Literal["adamw", "adamw-8bit", "paged-adamw-8bit", "adafactor", "sgd"] = "adamw"
    gradient_checkpointing: bool = True
    """Activations are computed again in the backward pass, not kept."""


class TrainingSpec(SpecModel):
    base: ModelRef
    dataset: DatasetRef
    split: str = "train"
    method: Literal["pretrain", "full", "lora", "qlora", "dpo"]
    text_column: str | None = None
    """`pretrain` only: the column with running text."""
    prompt: PromptRef | None = None
    """`full` and `lora`: renders each row's input; the answer is the dataset's target column."""
    preferences: Preferences | None = None
    """`dpo` only."""
    hyper_parameters: HyperParameters
    lora: Lora | None = None
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    compute: Compute = Field(default_factory=Compute)
    distribution: Distribution | None = None
    """If absent, one process on `compute`."""


class Training(Resource):
    KIND: ClassVar[str] = "Training"
    kind: Literal["Training"] = "Training"
    spec: TrainingSpec
