"""A model's folder: which of its files are locked, and the facts that some of them state.

Called by `llmops.lock.resolving`. Third-party chat templates are hashed here and never rendered.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from pydantic import JsonValue

from compiler.sizing.architecture import MOST_BYTES
from llmops.errors import Exit, OperationFailed
from llmops_spec.digests import Json, digest, digest_bytes
from llmops_spec.lock import LockedFile

_INDEX: Final = "model.safetensors.index.json"
_CONFIGURATIONS: Final = ("config.json", "adapter_config.json")
_TEMPLATE: Final = "chat_template.jinja"
_TEMPLATE_HOLDERS: Final = ("tokenizer_config.json", "chat_template.json")
FACT_FILES: Final = frozenset({*_CONFIGURATIONS, _INDEX, _TEMPLATE, *_TEMPLATE_HOLDERS})
"""Files whose bytes are read for facts."""

_LOADED_SUFFIXES: Final = frozenset({".safetensors", ".gguf", ".json", ".model", ".jinja", ".tiktoken"})
_LOADED_NAMES: Final = frozenset({"vocab.txt", "merges.txt"})
_TOKENIZER_NAMES: Final = frozenset(
    {
        "added_tokens.json",
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
        "vocab.txt",
    }
)
_LABEL_TABLES: Final = frozenset({"id2label", "label2id"})
_LARGEST_INTEGER: Final = 2**53 - 1
"""Beyond it no JSON reader agrees with another."""


def is_loaded(path: str) -> bool:
    """Whether training or an engine loads a file: weights without code, configurations, tokenizers, templates."""
    name = PurePosixPath(path)
    if name.name.startswith("."):
        return False
    return name.suffix.casefold() in _LOADED_SUFFIXES or name.name in _LOADED_NAMES or name.suffix == ".tiktoken"


@dataclass(frozen=True, kw_only=True)
class FolderFacts:
    config: dict[str, JsonValue]
    weight_bytes: int | None
    tokenizer: str | None
    chat_template: str | None


def folder_facts(files: Mapping[str, LockedFile], texts: Mapping[str, bytes]) -> FolderFacts:
    """Facts of a folder: `files` are all of it that is locked, `texts` the bytes of those of `FACT_FILES`.

    Raises:
        OperationFailed: one of them is not the JSON object that it must be.
    """
    objects = {name: _object(name, data) for name, data in texts.items() if name.endswith(".json")}
    config = next((objects[name] for name in _CONFIGURATIONS if name in objects), {})
    reviewable = {name: _reviewable(value) for name, value in config.items() if name not in _LABEL_TABLES}
    return FolderFacts(
        config=reviewable,
        weight_bytes=_weight_bytes(files, objects.get(_INDEX, {})),
        tokenizer=_tokenizer(files),
        chat_template=_chat_template(texts.get(_TEMPLATE), [objects.get(one, {}) for one in _TEMPLATE_HOLDERS]),
    )


def _object(name: str, data: bytes) -> Mapping[str, Json]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise OperationFailed(f"the model's `{name}` is no JSON", exit_code=Exit.FINDINGS) from error
    if not isinstance(found, dict):
        raise OperationFailed(f"the model's `{name}` is no JSON object", exit_code=Exit.FINDINGS)
    return {str(key): value for key, value in found.items()}


def _weight_bytes(files: Mapping[str, LockedFile], index: Mapping[str, Json]) -> int | None:
    """What the index says of all tensors; without an index, the weight files as they are."""
    metadata = index.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    if isinstance(total, int | float) and 0 < total <= MOST_BYTES:
        return int(total)
    weights = [one.bytes for name, one in files.items() if name.endswith(".safetensors") and "/" not in name]
    return sum(weights) if weights else None


def _tokenizer(files: Mapping[str, LockedFile]) -> str | None:
    parts = {name: one.sha256 for name, one in files.items() if name in _TOKENIZER_NAMES}
    return digest(parts) if parts else None


def _chat_template(file: bytes | None, holders: Iterable[Mapping[str, Json]]) -> str | None:
    """Digest of the template: the file of its own wins, as it does when it is loaded."""
    if file is not None:
        return digest_bytes(file)
    found = next((one["chat_template"] for one in holders if one.get("chat_template") is not None), None)
    if isinstance(found, str):
        return digest_bytes(found.encode())
    return digest(found) if found is not None else None  # several, by name


def _reviewable(value: Json) -> JsonValue:
    """A value that a reviewable file can hold: numbers that YAML and JSON readers do not agree on become text."""
    if isinstance(value, Mapping):
        return {name: _reviewable(inner) for name, inner in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_INTEGER else str(value)
    return [_reviewable(inner) for inner in value]
