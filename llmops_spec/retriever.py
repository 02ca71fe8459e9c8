"""The `Retriever` kind: passages of a dataset that are found by an embedding model and put into a prompt."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from llmops_spec.base import DatasetRef, ModelRef, Resource, ResourceName, SpecModel, exactly_one


class Chunking(SpecModel):
    """How documents are cut into passages."""

    tokens: int = Field(ge=8, le=100_000)
    """Longest passage."""
    overlap: int = Field(default=0, ge=0, le=100_000)
    """Tokens that a passage repeats of the one before it."""


class EmbeddedStore(SpecModel):
    """An index that is built with the corpus and loaded into the gateway."""


class Collection(SpecModel):
    """A collection of vectors that exists already and may be shared: what is asked of it must be what it holds."""

    collection: str = Field(min_length=1, max_length=255)
    dimension: int = Field(ge=1, le=65_536)
    """Length of the vectors in it."""
    embedding: ModelRef
    """The model that wrote them."""
    distance: Literal["cosine", "dot", "euclidean"] = "cosine"


class VectorStore(SpecModel):
    """Exactly one of the alternatives."""

    embedded: EmbeddedStore | None = None
    pgvector: Collection | None = None
    qdrant: Collection | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self

    @property
    def collection(self) -> Collection | None:
        return self.pgvector or self.qdrant


class RetrieverSpec(SpecModel):
    corpus: DatasetRef
    split: ResourceName = "train"
    text_column: str
    """Column of the corpus that is cut into passages and embedded."""
    chunking: Chunking
    embedding: ModelRef
    store: VectorStore = Field(default_factory=lambda: VectorStore(embedded=EmbeddedStore()))
    top_k: int = Field(ge=1, le=1000)
    """Passages that are put into the prompt."""
    reranker: ModelRef | None = None
    """Orders `candidates` passages anew, of which `topK` stay."""
    candidates: int | None = Field(default=None, ge=1, le=10_000)
    """Passages that are asked of the store for the reranker."""


class Retriever(Resource):
    KIND: ClassVar[str] = "Retriever"
    kind: Literal["Retriever"] = "Retriever"
    spec: RetrieverSpec
