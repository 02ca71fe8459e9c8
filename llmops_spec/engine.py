"""Inference engines as a spec names them, in services and in what evaluations measure."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from llmops_spec.base import SpecModel, exactly_one


class TransformersEngine(SpecModel):
    """The transformers library behind an OpenAI-compatible server that batches concurrent requests."""

    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(default=2, ge=1, le=256)
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    max_batch_size: int = Field(default=32, ge=1, le=1024)
    """Most requests decoded together."""
    max_queued_requests: int = Field(default=256, ge=1, le=100_000)
    """Requests that may wait; one more is answered 429."""


class Engine(SpecModel):
    """Exactly one of the alternatives."""

    transformers: TransformersEngine | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self

    @classmethod
    def default(cls) -> Self:
        return cls(transformers=TransformersEngine())
