"""Limits of requests, as services and what evaluations measure name them."""

from pydantic import Field

from llmops_spec.base import SpecModel


class RequestLimits(SpecModel):
    """What the gateway lets one caller ask."""

    body_bytes: int = Field(default=65_536, ge=1024, le=67_108_864)
    """A longer request body is answered 413."""
    timeout_seconds: float = Field(default=30.0, gt=0, le=3600)
    """An answer that takes longer is given up with 504."""
