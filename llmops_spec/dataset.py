"""The `Dataset` kind: rows, and the contract that `check-data` holds them to."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from llmops_spec.base import ProjectPath, Resource, ResourceName, SpecModel, exactly_one
from llmops_spec.sources import RemoteFile


class Column(SpecModel):
    type: Literal["string", "integer", "number", "boolean"] = "string"
    personal_data: bool = False
    """The column holds personal data: it may be trained on only through a `redact` transform."""
    required: bool = True
    """Every row has a value that is not null and not empty."""


class Split(SpecModel):
    path: ProjectPath | None = None
    """A `.jsonl` file (one JSON object a line) or a `.csv` file with a header line, in UTF-8."""
    source: RemoteFile | None = None
    """Such a file that does not lie in the project, in place of `path`. `llmops lock` pins its bytes."""
    rows: int = Field(ge=1)
    """At least so many rows; `check-data` fails on fewer. Gates are planned with this number."""
    clusters: int | None = Field(default=None, ge=1)
    """At least so many distinct values of the cluster column."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.source is None):
            raise ValueError("give exactly one of path, source")
        return self

    @property
    def file(self) -> str:
        """Name of the file, wherever it lies; its ending says the format."""
        return self.path if self.path is not None else self.source.name if self.source is not None else ""


class Redact(SpecModel):
    columns: list[str] = Field(min_length=1)
    """Text columns in which e-mail addresses and phone numbers are replaced."""


class Transform(SpecModel):
    """Exactly one of the alternatives."""

    redact: Redact | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self


class DataLimits(SpecModel):
    """Shares of rows, 0 to 1, above which `check-data` fails."""

    duplicates: float = Field(default=0.0, ge=0, le=1)
    """Rows of one split that repeat another row of it in every column but the item's."""
    leakage: float = Field(default=0.0, ge=0, le=1)
    """Rows of another split whose input columns also stand in the `train` split."""


class DatasetSpec(SpecModel):
    columns: dict[str, Column] = Field(min_length=1)
    """Every column of the rows; a row with another one fails."""
    splits: dict[ResourceName, Split] = Field(min_length=1)
    item_column: str | None = None
    """Column with a unique item id. Without it an item's id is the first 16 hex digits of its row digest."""
    cluster_column: str | None = None
    """Rows with the same value are not independent; no value may stand in two splits."""
    input_columns: list[str] = Field(default_factory=list)
    """What a model is given: leakage and the bag-of-words baseline are measured on these."""
    target_column: str | None = None
    """What a model should answer: the reference of evaluations and the target of training."""
    licence: str | None = Field(default=None, max_length=100)
    """SPDX expression, or `LicenseRef-…`."""
    transforms: list[Transform] = Field(default_factory=list)
    """Applied in order, to every split, before anything reads the rows."""
    limits: DataLimits = Field(default_factory=DataLimits)


class Dataset(Resource):
    KIND: ClassVar[str] = "Dataset"
    kind: Literal["Dataset"] = "Dataset"
    spec: DatasetSpec
