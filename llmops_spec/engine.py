"""Inference engines as a spec names them, in services and in what evaluations measure."""

from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from llmops_spec.base import ModelRef, ProjectPath, SpecModel, exactly_one

ENGINE_VERSION = r"^[0-9]+(\.[0-9]+){1,3}$"

Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
"""Of weights and activations; `auto` takes what the model's configuration says."""
KeyValuePrecision: TypeAlias = Literal["auto", "fp8", "fp8_e5m2", "fp8_e4m3"]
"""Of the key-value cache; `auto` is the precision of the activations."""
WeightFormat: TypeAlias = Literal["awq", "gptq", "fp8", "int8", "bitsandbytes", "mxfp4", "nvfp4", "gguf"]


class TransformersEngine(SpecModel):
    """The transformers library behind an OpenAI-compatible server that batches concurrent requests."""

    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(default=2, ge=1, le=256)
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    max_batch_size: int = Field(default=32, ge=1, le=1024)
    """Most requests decoded together."""
    max_queued_requests: int = Field(default=256, ge=1, le=100_000)
    """Requests that may wait; one more is answered 429."""


class VllmEngine(SpecModel):
    version: str = Field(pattern=ENGINE_VERSION)
    """Release of vLLM: it decides defaults, memory accounting, metric names and supported architectures."""
    max_model_len: int | None = Field(default=None, ge=8, le=10_000_000)
    """Longest sequence in tokens. If absent, the model's own context length."""
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    """Share of the GPU's memory for everything. If absent, the version's default."""
    max_num_seqs: int | None = Field(default=None, ge=1, le=65_536)
    """Most sequences in one step. If absent, the default of version and GPU."""
    max_num_batched_tokens: int | None = Field(default=None, ge=16, le=1_048_576)
    """Most tokens in one step. If absent, the default of version and GPU."""
    dtype: Precision = "auto"
    quantization: WeightFormat | None = None
    """If given, weights are loaded in this format, in flight where the checkpoint is not in it."""
    kv_cache_dtype: KeyValuePrecision = "auto"
    enforce_eager: bool = False
    """No CUDA graphs: slower, and their memory is free."""
    max_loras: int = Field(default=1, ge=1, le=1024)
    """Adapters in one batch."""
    max_lora_rank: int = Field(default=16, ge=1, le=512)
    tool_call_parser: str | None = Field(default=None, max_length=50)
    """Parser of the tool calls that the model writes."""
    reasoning_parser: str | None = Field(default=None, max_length=50)
    """Parser of the reasoning that the model writes before its answer."""
    chat_template: ProjectPath | None = None
    """Jinja file in place of the model's own template."""
    draft_model: ModelRef | None = None
    """Proposes tokens that the served model accepts or replaces; it must write the same vocabulary."""


class SglangEngine(SpecModel):
    version: str = Field(pattern=ENGINE_VERSION)
    context_length: int | None = Field(default=None, ge=8, le=10_000_000)
    """Longest sequence in tokens. If absent, the model's own context length."""
    mem_fraction_static: float | None = Field(default=None, gt=0, lt=1)
    """Share of the GPU's memory for weights and cache. If absent, the version's rule."""
    max_running_requests: int | None = Field(default=None, ge=1, le=65_536)
    dtype: Precision = "auto"
    quantization: WeightFormat | None = None
    """If given, weights are loaded in this format, in flight where the checkpoint is not in it."""
    kv_cache_dtype: KeyValuePrecision = "auto"
    max_loras_per_batch: int = Field(default=8, ge=1, le=1024)
    """Adapters in one batch."""
    max_lora_rank: int | None = Field(default=None, ge=1, le=512)
    """If absent, the largest rank of the adapters that are named."""
    tool_call_parser: str | None = Field(default=None, max_length=50)
    """Parser of the tool calls that the model writes."""
    reasoning_parser: str | None = Field(default=None, max_length=50)
    """Parser of the reasoning that the model writes before its answer."""
    chat_template: ProjectPath | None = None
    """Jinja file in place of the model's own template."""


class TritonEngine(SpecModel):
    """Triton Inference Server in front of one of its language-model back ends, whose rules then hold."""

    version: str = Field(pattern=r"^[0-9]{2}\.[0-9]{2}$")
    """Release of the container, year and month, such as `25.06`."""
    backend: Literal["vllm", "tensorrt-llm"]
    backend_version: str = Field(pattern=ENGINE_VERSION)
    max_sequence_length: int | None = Field(default=None, ge=8, le=10_000_000)
    """Longest sequence in tokens. If absent, the model's own context length."""
    max_batch_size: int | None = Field(default=None, ge=1, le=65_536)
    """Most sequences in one step."""
    gpu_memory_fraction: float | None = Field(default=None, gt=0, le=1)
    """vLLM takes it of the whole card, TensorRT-LLM of what is free once the model is loaded."""
    dtype: Precision = "auto"
    quantization: WeightFormat | None = None
    kv_cache_dtype: KeyValuePrecision = "auto"


class HostedEngine(SpecModel):
    """The provider's own servers, for models that are hosted."""


class ContainerEngine(SpecModel):
    """Any image that speaks the OpenAI API."""

    image: str = Field(min_length=1, max_length=512)
    max_model_len: int | None = Field(default=None, ge=8, le=10_000_000)
    """Longest sequence in tokens that it is started with."""


class Engine(SpecModel):
    """Exactly one of the alternatives."""

    transformers: TransformersEngine | None = None
    vllm: VllmEngine | None = None
    sglang: SglangEngine | None = None
    triton: TritonEngine | None = None
    hosted: HostedEngine | None = None
    container: ContainerEngine | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self

    @classmethod
    def default(cls) -> Self:
        return cls(transformers=TransformersEngine())

    @property
    def name(self) -> str:
        """The alternative that is given."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def max_length(self) -> int | None:
        """Longest sequence in tokens that the engine is told to serve, where it is told."""
        for engine in (self.vllm, self.container):
            if engine is not None:
                return engine.max_model_len
        if self.sglang is not None:
            return self.sglang.context_length
        return self.triton.max_sequence_length if self.triton is not None else None
