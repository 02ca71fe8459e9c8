"""Payload and results of the `train` task."""

from typing import Literal, Self, cast

from pydantic import Field, model_validator

from llmops_spec.base import SpecModel
from llmops_spec.model import Llama
from llmops_spec.payloads.base import Payload
from llmops_spec.payloads.data import Rows
from llmops_spec.prompt import Message, PromptSpec, ValueType
from llmops_spec.store import StoreRef
from llmops_spec.training import Compute, HyperParameters, Lora


class TokenizerInput(SpecModel):
    """A byte-level BPE tokenizer to train."""

    vocabulary_size: int
    rows: Rows
    columns: list[str]


class ScratchInput(SpecModel):
    """A model to begin with random weights."""

    llama: Llama
    tokenizer: TokenizerInput
    context_length: int
    chat_template: str | None = None
    """Text of the Jinja template, stored with the tokenizer."""
    seed: int


class StoredModel(SpecModel):
    """Weights in the store: a folder with `config.json`, `model.safetensors`, `tokenizer.json`, …"""

    model: StoreRef
    adapter: StoreRef | None = None
    """A PEFT adapter folder to put on it."""
    chat_template: str | None = None
    """Text that replaces the stored tokenizer's own template."""


class RenderedVariable(SpecModel):
    type: ValueType = "string"


class RenderedPrompt(SpecModel):
    """What rendering rows uses of a prompt. Its budgets, output and trust are for serving, and move no weights."""

    messages: list[Message]
    variables: dict[str, RenderedVariable] = Field(default_factory=dict[str, RenderedVariable])

    @classmethod
    def of(cls, prompt: PromptSpec) -> Self:
        variables = {name: RenderedVariable(type=one.type) for name, one in prompt.variables.items()}
        return cls(messages=prompt.messages, variables=variables)

    @model_validator(mode="before")
    @classmethod
    def _of_whole(cls, given: object) -> object:
        """Journals keep plans whose trainings held the whole prompt."""
        if isinstance(given, dict) and "output" in given:
            return cls.of(PromptSpec.model_validate(given)).model_dump(by_alias=True)
        return cast("object", given)


class TrainPayload(Payload):
    """Outputs: `model/` (pretrain, full) or `adapter/` (lora); `curve.jsonl` (step, loss, learningRate, …)."""

    task: Literal["train"] = "train"
    method: Literal["pretrain", "full", "lora"]
    scratch: ScratchInput | None = None
    base: StoredModel | None = None
    """Exactly one of `scratch` and `base` is given."""
    rows: Rows
    text_column: str | None = None
    prompt: RenderedPrompt | None = None
    target_column: str | None = None
    hyper_parameters: HyperParameters
    lora: Lora | None = None
    seed: int
    compute: Compute = Field(default_factory=Compute)
    recipe: int
    """Version of the runner's recipe. A change of the recipe that changes weights raises it."""
    versions: dict[str, str]
    """Exact versions of the libraries that decide the result; the task refuses to start on others."""
