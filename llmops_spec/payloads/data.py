"""Payloads and results of the data tasks: `check-data` and `transform`."""

from typing import ClassVar, Literal

from pydantic import Field

from llmops_spec.base import SpecModel
from llmops_spec.dataset import Column, DataLimits, Redact
from llmops_spec.formats import MachineWritten
from llmops_spec.payloads.base import Payload
from llmops_spec.store import StoreRef


class Rows(SpecModel):
    """A file of rows in the store."""

    ref: StoreRef
    format: Literal["jsonl", "csv"] = "jsonl"


class CheckedSplit(SpecModel):
    rows: Rows
    declared_rows: int
    declared_clusters: int | None = None


class CheckDataPayload(Payload):
    """Outputs: `profile.json` (a `DataProfile`). Fails, naming rows, where the contract does not hold."""

    task: Literal["check-data"] = "check-data"
    columns: dict[str, Column]
    splits: dict[str, CheckedSplit]
    item_column: str | None = None
    cluster_column: str | None = None
    input_columns: list[str] = Field(default_factory=list)
    target_column: str | None = None
    limits: DataLimits = Field(default_factory=DataLimits)
    recipe: int
    """Version of the checks themselves; a new one checks again."""


class TransformPayload(Payload):
    """Outputs: `<split>.jsonl` for every split, in the order of the input rows."""

    task: Literal["transform"] = "transform"
    splits: dict[str, Rows]
    columns: dict[str, Column]
    redact: list[Redact]
    recipe: int


class SplitProfile(SpecModel):
    rows: int
    clusters: int | None = None
    distinct_targets: int | None = None
    duplicate_rows: int = 0
    leaked_rows: int = 0
    """Rows whose inputs also stand in the train split."""
    shared_clusters: int = 0
    """Clusters that also stand in another split."""
    longest_input_characters: int = 0
    longest_target_characters: int = 0


class BagOfWords(SpecModel):
    """What a bag-of-words classifier, trained on the train split, gets right elsewhere: shares, 0 to 1."""

    accuracy: dict[str, float]
    majority: dict[str, float]
    """The share that the commonest training target gets right."""
    classes: int


class PersonalDataFound(SpecModel):
    column: str
    split: str
    rows: int
    first_line: int
    kinds: list[str]


class DataProfile(MachineWritten):
    DOCUMENT: ClassVar[str] = "the data profile"

    splits: dict[str, SplitProfile]
    bag_of_words: BagOfWords | None = None
    bag_of_words_reason: str = ""
    """Why there is no bag-of-words figure."""
    personal_data: list[PersonalDataFound] = Field(default_factory=list)
