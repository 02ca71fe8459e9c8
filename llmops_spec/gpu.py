"""Accelerators and how a model is spread over them, as services and trainings name them."""

from pydantic import Field

from llmops_spec.base import SpecModel


class Gpu(SpecModel):
    type: str | list[str] = Field(min_length=1)
    """Name of the catalogue, such as `L4` or `H100`; of several, any one will do, and checks hold for each."""
    count: int = Field(default=1, ge=1, le=64)
    """GPUs of one pod."""


class Parallelism(SpecModel):
    """Ranks of one replica: their product is the replica's number of GPUs."""

    tensor: int = Field(default=1, ge=1, le=64)
    """Every layer is split over so many GPUs."""
    pipeline: int = Field(default=1, ge=1, le=64)
    """The layers are dealt out over so many groups of GPUs."""
    data: int = Field(default=1, ge=1, le=64)
    """So many copies of attention share the requests."""
    expert: int = Field(default=1, ge=1, le=512)
    """The experts of a layer are dealt out over so many GPUs, which tensor and data ranks make up."""

    @property
    def ranks(self) -> int:
        """GPUs of one replica. Experts lie on the GPUs of the other axes."""
        return self.tensor * self.pipeline * self.data
