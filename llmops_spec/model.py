"""The `Model` kind: weights, where they come from, and the facts that checks need."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from llmops_spec.base import DatasetRef, ModelRef, ProjectPath, Resource, SpecModel, TrainingRef, exactly_one
from llmops_spec.engine import WeightFormat
from llmops_spec.sources import FromHttp, FromHuggingFace, FromS3, RemoteModel


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


class FromHosted(SpecModel):
    """A model behind a provider's API: nothing of it lies here."""

    provider: Literal["openai", "anthropic", "google", "mistral", "azure", "bedrock"]
    snapshot: str = Field(min_length=1, max_length=200)
    """The provider's name of one dated or numbered state of a model; an alias moves without a commit here."""


class Quantize(SpecModel):
    format: WeightFormat
    group_size: int | None = Field(default=None, ge=8, le=1024)
    """Weights that share a scale. If absent, the format's usual number."""
    calibration: DatasetRef | None = None
    """Rows with which scales are chosen."""


class Prune(SpecModel):
    sparsity: float = Field(gt=0, lt=1)
    """Share of the weights that become zero."""
    calibration: DatasetRef | None = None
    """Rows with which the weights are chosen."""


class Distil(SpecModel):
    student: ModelRef
    """The smaller model that learns to answer like the model that is compressed."""
    dataset: DatasetRef


class FromCompress(SpecModel):
    """A smaller model made of another one. Exactly one of the ways is given."""

    model: ModelRef
    quantize: Quantize | None = None
    prune: Prune | None = None
    distil: Distil | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [one for one in (self.quantize, self.prune, self.distil) if one is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of quantize, prune, distil")
        return self


class ModelSource(SpecModel):
    """Exactly one of the alternatives."""

    scratch: FromScratch | None = None
    path: ProjectPath | None = None
    training: TrainingRef | None = None
    hugging_face: FromHuggingFace | None = None
    http: FromHttp | None = None
    s3: FromS3 | None = None
    hosted: FromHosted | None = None
    compress: FromCompress | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self

    @property
    def remote(self) -> RemoteModel | None:
        """The source as `llmops lock` knows it, where it is one that somebody else may change."""
        if self.hugging_face is None and self.http is None and self.s3 is None:
            return None
        return RemoteModel(hugging_face=self.hugging_face, http=self.http, s3=self.s3)


class ModelSpec(SpecModel):
    from_: ModelSource = Field(alias="from")
    task: Literal["causal", "encoder", "embedding", "reranker"] = "causal"
    """What the model computes: the next token, a representation, a vector of a text, the rank of a passage."""
    trust_remote_code: bool = False
    """The model's repository brings code that must run to load it. Only for repositories in `Project.remoteCode`."""
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
