"""Models as data: well-known open models by catalogue name or repository, with the keys of their `config.json`.

Called by the lock's absence (a project that has not locked yet), by checks and by `llmops size`. Pure: reads the files
in `catalogue/models/` once. They are JSON Lines, a file for each family: reading all of them takes some 4 ms, a YAML
file of that size 150 ms, and a changed model is one changed line in review.
What a repository's name says beyond the model (`-AWQ`, `-GPTQ-Int4`, `-FP8`) is told apart, never dropped in silence.
A name that leads to no record gives None: similar names are different models often enough.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final, NewType, cast

from compiler.sizing.architecture import Architecture, read_architecture
from compiler.sizing.catalogue_files import Record, catalogue_text, record_of
from compiler.sizing.json_values import Json

ModelName = NewType("ModelName", str)

FAMILY_FILES: Final = (
    "llama.jsonl",
    "mistral.jsonl",
    "qwen.jsonl",
    "gemma.jsonl",
    "phi.jsonl",
    "deepseek.jsonl",
    "glm.jsonl",
    "others.jsonl",
    "embedding.jsonl",
    "vision.jsonl",
)


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """One architecture with the repositories that share it: a base model, its instruct version, fine-tunes."""

    name: ModelName
    repositories: tuple[str, ...]
    published_parameters: str | None
    """The total as its source prints it, all digits or rounded: `8030261248`, `8.03B`."""

    weight_bytes: int | None
    """Bytes of the first repository's tensors, where its index publishes them."""

    gated: bool
    """The repository asks for an accepted licence and a token."""

    licence: str
    source: str
    config: Mapping[str, Json]
    """Keys of the `config.json` that decide memory, verbatim."""

    @cached_property
    def architecture(self) -> Architecture:
        """The facts read from the keys, as from a user's own file."""
        return read_architecture(self.config, name=self.name, weight_bytes=self.weight_bytes)


@dataclass(frozen=True, kw_only=True)
class FoundModel:
    """A record and what the asked name says about its weights."""

    record: ModelRecord
    quantization: str | None
    """A name of `compiler.sizing.formats` that the repository's name tells (`awq`, `gptq-int8`, `fp8`); None where it
    tells none, and the record's own `quantization_config` holds."""

    exact: bool
    """The name is a catalogue name or a listed repository; False where a suffix or a mirror's name was taken off."""

    @property
    def architecture(self) -> Architecture:
        """The facts of the record."""
        return self.record.architecture


def find_model(name: str) -> FoundModel | None:
    """The model of that catalogue name or repository, upper and lower case alike; None where none is on record.

    A repository that is not listed is looked up without the words for quantization at its end, and by its last part
    alone: where the owner is none or republishes the models of others (`unsloth/`, `RedHatAI/`), or where the part
    states a size (`Qwen3-8B`). What is left over (`-my-finetune`) is never taken off.
    """
    key = name.strip().strip("/").casefold()
    stem, quantization = split_quantization(key)
    listed = _by_key().get(key)
    if listed is not None:
        return FoundModel(record=listed, quantization=quantization if "/" in key else None, exact=True)
    record = _by_key().get(stem) or _republished(stem)
    return FoundModel(record=record, quantization=quantization, exact=False) if record is not None else None


def all_models() -> tuple[ModelRecord, ...]:
    """Every record, family by family."""
    return tuple(_by_name().values())


MIRRORS: Final = frozenset(
    {
        "", "unsloth", "thebloke", "redhatai", "neuralmagic", "nm-testing", "nousresearch", "casperhansen", "amd",
        "nvidia", "intel", "hugging-quants", "bartowski", "lmstudio-community", "mradermacher", "ggml-org", "opea",
        "quantfactory", "maziyarpanahi", "cyankiwi", "quanttrio", "stelterlab", "solidrust", "modelcloud", "cpatonn",
        "mlx-community", "second-state", "kaitchup", "techxgenus", "modelscope", "llm-research", "openvino", "pytorch",
    }
)  # fmt: skip
"""Owners who publish other owners' models under the same name, quantized or converted. Empty: no owner was given."""

_SUFFIXES: Final = (
    (r"[-_.](?:unsloth-)?bnb-4bit|[-_]4bit-bnb|[-_]nf4|[-_]bnb(?:-nf4)?", "nf4"),
    (r"[-_]bnb-8bit", "bitsandbytes-8bit"),
    (r"[-_](?:4bit-awq|awq(?:-int4|-4bit|-w4a16|-w4)?(?:[-_]g\d+)?|int4-awq)", "awq"),
    (r"[-_](?:gptq-?(?:int|q)8|gptq-8bit|gptq-w8a16|8bit-gptq)(?:[-_]g\d+|-\d+g)?", "gptq-int8"),
    (r"[-_](?:gptq(?:-int4|-4bit|-q4|-w4a16)?|int4-gptq|4bit-gptq)(?:[-_]g\d+|-\d+g)?", "gptq"),
    (r"[-_.](?:quantized\.)?w8a8(?:-int8)?|[-_]int8(?:-w8a8)?|[-_]8bit", "w8a8"),
    (r"[-_.](?:quantized\.)?w8a16", "gptq-int8"),
    (r"[-_.](?:quantized\.)?w4a16(?:[-_]g\d+)?(?:-awq|-autoround)?", "w4a16"),
    (r"[-_]int4(?:-autoround|-w4a16)?|[-_]autoround", "w4a16"),
    (r"[-_](?:nvfp4(?:a16)?|fp4)(?:-dynamic)?", "nvfp4"),
    (r"[-_]mxfp4", "mxfp4"),
    (r"[-_](?:fp8(?:-dynamic|-static|-kv|-block|-tensor|-w8a8)*|float8|w8a8-fp8)", "fp8"),
    (r"[-_](?:gguf[-_:])?(q[2-8]_(?:k(?:_[sml])?|[01])|iq[1-4]_[a-z]+)(?:\.gguf|[-_]gguf)?", None),
    (r"[-_](?:bf16|bfloat16)", "bf16"),
    (r"[-_](?:fp16|float16)", "fp16"),
)  # fmt: skip
_ENDINGS: Final = tuple((re.compile(rf"(?:{pattern})$"), name) for pattern, name in _SUFFIXES)


def split_quantization(repository: str) -> tuple[str, str | None]:
    """The name, lower case, without the words for quantization at its end, and the format that they tell.

    `Qwen/Qwen2.5-32B-Instruct-GPTQ-Int8` is (`qwen/qwen2.5-32b-instruct`, `gptq-int8`). GGUF without a type of its
    blocks tells nothing but itself: such a repository holds files of many types.
    """
    key = repository.casefold()
    for ending, name in _ENDINGS:
        found = ending.search(key)
        if found is not None and found.start() > 0:
            return key[: found.start()], name if name is not None else found.group(1)
    return (key.removesuffix("-gguf"), "gguf") if key.endswith("-gguf") else (key, None)


_SIZED: Final = re.compile(r"\d[bm](?![a-z])")


def _republished(stem: str) -> ModelRecord | None:
    owner, _, model = stem.rpartition("/")
    return _by_last_part().get(model) if owner in MIRRORS or _SIZED.search(model) else None


@cache
def _by_name() -> Mapping[ModelName, ModelRecord]:
    return {record.name: record for file in FAMILY_FILES for record in _family(file)}


@cache
def _by_key() -> Mapping[str, ModelRecord]:
    found: dict[str, ModelRecord] = {record.name.casefold(): record for record in _by_name().values()}
    for record in _by_name().values():
        for repository in record.repositories:
            found.setdefault(repository.casefold(), record)
    return found


@cache
def _by_last_part() -> Mapping[str, ModelRecord]:
    """Records by the last part of a repository's name, which a test keeps distinct, with and without `-hf`."""
    found = {one.casefold().rpartition("/")[2]: record for record in all_models() for one in record.repositories}
    return {part.removesuffix("-hf"): record for part, record in found.items()} | found


def _family(file: str) -> Iterator[ModelRecord]:
    place = f"models/{file}"
    for number, line in enumerate(catalogue_text(place).splitlines(), start=1):
        record = record_of(cast("object", json.loads(line)), place=f"{place}:{number}")
        yield _model(record)


def _model(record: Record) -> ModelRecord:
    return ModelRecord(
        name=ModelName(record.text("name")),
        repositories=record.texts("repositories"),
        published_parameters=record.text_or_none("parameters"),
        weight_bytes=record.whole("weightBytes"),
        gated=record.flag("gated"),
        licence=record.text("licence"),
        source=record.text("source"),
        config=cast("Mapping[str, Json]", record.record("config").values),
    )
