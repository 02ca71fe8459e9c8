"""`llmops.lock`: what every remote thing of a project was when it was locked, and the digests of its data.

`llmops lock` writes it and people review it; `compiler.lockfile` reads it. Entries name the resource that they are
of and the source as the spec had it: an entry whose source is another than the spec's is out of date. Each carries
a seal, the digest of the rest of it, so that a line that was changed by hand or by a merge shows.

Promise: a field that is added later has a default and is left out of the seal while it has it, so old files stay valid.
"""

from typing import Annotated, Final, Self, TypeAlias

from pydantic import Field, JsonValue, StringConstraints, model_validator

from llmops_spec.base import ProjectPath, SpecModel, exactly_one
from llmops_spec.digests import Json, digest
from llmops_spec.sources import RemoteFile, RemoteModel, RemoteName
from llmops_spec.store import StepKey

LOCK_FORMAT: Final = 1

Commit: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
ImageDigest: TypeAlias = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Sha256: TypeAlias = StepKey


class SealedEntry(SpecModel):
    """An entry that shows whether it is as it was written."""

    seal: Sha256
    """Digest of every other field of the entry."""

    @classmethod
    def sealed(cls, **fields: object) -> Self:
        """An entry with its seal."""
        entry = cls.model_validate({**fields, "seal": "0" * 64})
        return entry.model_copy(update={"seal": entry.expected_seal()})

    def expected_seal(self) -> str:
        """What the seal must be. Fields at their default are left out, so that a later version may add some."""
        rest: Json = self.model_dump(by_alias=True, mode="json", exclude={"seal"}, exclude_defaults=True)
        return digest(rest)

    @property
    def intact(self) -> bool:
        return self.seal == self.expected_seal()


class LockedFile(SpecModel):
    sha256: Sha256
    bytes: int = Field(ge=0)


class LockedModel(SealedEntry):
    """Weights: which files, which bytes, and the facts that checks and sizing need."""

    resource: str
    """Id of the model, such as `model/support-base`."""
    source: RemoteModel
    commit: Commit | None = None
    """What the revision of a repository meant."""
    gated: bool = False
    """Whoever fetches it must have accepted terms, and have a token."""
    licence: str | None = None
    """As the repository's card has it."""
    chat_template: Sha256 | None = None
    """Of the template's UTF-8 text, which is never rendered here."""
    tokenizer: Sha256 | None = None
    """Over the names and digests of the files that make the tokenizer."""
    weight_bytes: int | None = None
    """Of all tensors, as the safetensors index says; without an index, of the weight files."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    """`config.json`, or an adapter's `adapter_config.json`, without its tables of labels."""
    files: dict[RemoteName, LockedFile]
    """What training and engines load."""
    passed_over: list[RemoteName] = Field(default_factory=list)
    """What nothing loads: pickles, code, other formats, texts."""


class RowsSource(SpecModel):
    """Exactly one of the alternatives."""

    path: ProjectPath | None = None
    remote: RemoteFile | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self


class LockedSplit(SealedEntry):
    """The rows of one split."""

    resource: str
    """Id of the dataset, such as `dataset/support`."""
    split: str
    source: RowsSource
    commit: Commit | None = None
    gated: bool = False
    """Whoever fetches it must have accepted terms, and have a token."""
    sha256: Sha256
    bytes: int = Field(ge=0)
    rows: int = Field(ge=0)


class LockedImage(SealedEntry):
    image: str
    """As the spec has it: a name with a tag."""
    digest: ImageDigest
    """Of the manifest, or of the index of manifests, that the tag named."""


class LockedEngine(SealedEntry):
    engine: str
    versions: dict[str, str]
    """Of the engine and of the libraries that decide its answers."""


class LockedPlugin(SealedEntry):
    plugin: str
    version: str


class LockDocument(SpecModel):
    format_version: int = LOCK_FORMAT
    models: list[LockedModel] = Field(default_factory=list)
    datasets: list[LockedSplit] = Field(default_factory=list)
    images: list[LockedImage] = Field(default_factory=list)
    engines: list[LockedEngine] = Field(default_factory=list)
    plugins: list[LockedPlugin] = Field(default_factory=list)
