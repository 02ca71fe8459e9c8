"""Open stored models without running anything that they bring along.

Called by trainings and by the engine. Promises: bytes are compared with their digests before they are read; a folder is
judged before a library sees it: weights are safetensors alone with a sound header, nothing in it is or names code, an
index names only files beside it; every tensor has its place in the architecture, and none is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmops_runtime.failures import TaskFailed
from llmops_spec.catalogue.weights import is_code, is_configuration, is_pickled, names_code
from llmops_spec.payloads.training import StoredModel
from llmops_spec.store import Store, materialise

WEIGHTS: Final = "model.safetensors"
_INDEX: Final = "model.safetensors.index.json"
_ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
_LARGEST_JSON_BYTES: Final = 256 << 20
_CONVERT: Final = "store the weights as safetensors: `save_pretrained` of transformers does"


@dataclass(frozen=True, kw_only=True)
class OpenedModel:
    """A model with its tokenizer, in memory."""

    model: Any
    """A transformers `PreTrainedModel`, or PEFT's `PeftModel` around one."""
    tokenizer: Any
    """A transformers `PreTrainedTokenizerBase`."""


def open_stored(stored: StoredModel, store: Store, folder: Path, *, dtype: str) -> OpenedModel:
    """Copy a stored model below `folder`, judge it, and load it; `dtype` is torch's name of a number format.

    Raises:
        TaskFailed: `bad-model`, where the folder is refused or cannot be loaded; `store`, where it is not there.
        StoreCorrupt: the bytes are not what the store's manifest says.
    """
    return open_states([stored], store, folder, dtype=dtype)[0]


def open_states(states: Sequence[StoredModel], store: Store, folder: Path, *, dtype: str) -> list[OpenedModel]:
    """Open a stored model in several states: all over the first one's base weights, each under its own adapter.

    The states have the base's tensors in common, but for one-dimensional ones: an adapter may bring biases, which are
    written in place. Merging an adapter with `safe_merge` gives what it changes new tensors. Raises as `open_stored`.
    """
    base = _fetch(store, states[0].model, folder / "model")
    check_model_folder(base)
    adapters = [_adapter(one, store, folder / f"adapter-{place}") for place, one in enumerate(states)]
    model = _load_model(base, dtype)
    opened: list[OpenedModel] = []
    for one, adapter in zip(states, adapters, strict=True):
        own = model if len(states) == 1 else _beside(model)
        tokenizer = _load_tokenizer(base)
        if one.chat_template is not None:
            tokenizer.chat_template = one.chat_template
        opened.append(OpenedModel(model=own if adapter is None else _put_adapter(own, adapter), tokenizer=tokenizer))
    return opened


def _adapter(stored: StoredModel, store: Store, destination: Path) -> Path | None:
    if stored.adapter is None:
        return None
    adapter = _fetch(store, stored.adapter, destination)
    check_adapter_folder(adapter)
    return adapter


def _beside(model: Any) -> Any:
    """A second model with parameters of its own over the tensors of the first."""
    import copy

    from torch.nn import Parameter

    shared = {
        id(one): Parameter(one.data if one.dim() > 1 else one.data.clone(), requires_grad=False)
        for one in model.parameters()
    }
    return copy.deepcopy(model, shared)


def check_model_folder(folder: Path) -> None:
    """Refuse a folder that is not plain safetensors, configuration and tokenizer.

    Raises:
        TaskFailed: `bad-model`, with the file at fault.
    """
    _refuse_code(folder)
    if not (folder / "config.json").is_file():
        raise TaskFailed("bad-model", "the model has no `config.json`", "give the folder that `save_pretrained` writes")
    if not (folder / "tokenizer.json").is_file():
        raise TaskFailed("bad-model", "the model has no `tokenizer.json`", "save the fast tokenizer beside the weights")
    for path in _weight_files(folder):
        _check_header(path)


def check_adapter_folder(folder: Path) -> None:
    """Refuse a folder that is not a PEFT LoRA adapter in safetensors. Raises: TaskFailed."""
    _refuse_code(folder)
    path = folder / "adapter_config.json"
    if not path.is_file():
        raise TaskFailed("bad-model", "the adapter has no `adapter_config.json`")
    if _json_object(path).get("peft_type") != "LORA":
        raise TaskFailed("bad-model", "the adapter is not a LoRA: `adapter_config.json` says another `peft_type`")
    if not (folder / _ADAPTER_WEIGHTS).is_file():
        raise TaskFailed("bad-model", f"the adapter has no `{_ADAPTER_WEIGHTS}`")
    _check_header(folder / _ADAPTER_WEIGHTS)


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0][:300]


def _fetch(store: Store, ref: str, destination: Path) -> Path:
    try:
        return materialise(store, ref, destination)
    except FileNotFoundError as error:
        raise TaskFailed("store", str(error), "run `llmops apply` again: it makes what is missing") from error


def _refuse_code(folder: Path) -> None:
    if not folder.is_dir():
        raise TaskFailed("bad-model", "the model is a single file, not a folder")
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        name = path.relative_to(folder).as_posix()
        if is_pickled(name):
            raise TaskFailed("bad-model", f"`{name}` may hold pickled code, which is never loaded", _CONVERT)
        if is_code(name):
            raise TaskFailed("bad-model", f"`{name}` is code; models that bring code are not loaded")
        if path.suffix.casefold() == ".json" and _names_code(path):
            raise TaskFailed(
                "bad-model", f"`{name}` names code to run (`auto_map`); models that bring code are not loaded"
            )


def _names_code(path: Path) -> bool:
    """Configuration at any depth; other files, which may list the words of a vocabulary, at the top alone."""
    if is_configuration(path.name):
        return names_code(_json_object(path))
    found = _json(path)
    return isinstance(found, dict) and "auto_map" in found


def _json_object(path: Path) -> dict[str, Any]:
    found = _json(path)
    if not isinstance(found, dict):
        raise TaskFailed("bad-model", f"`{path.name}` is not a JSON object")
    return found


def _json(path: Path) -> object:
    if path.stat().st_size > _LARGEST_JSON_BYTES:
        raise TaskFailed("bad-model", f"`{path.name}` is too large")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise TaskFailed("bad-model", f"`{path.name}` is not JSON") from error


def _weight_files(folder: Path) -> list[Path]:
    """What the index names, where there is one, and the file of that fixed name: a library may read either."""
    single = [folder / WEIGHTS] if (folder / WEIGHTS).is_file() else []
    if (folder / _INDEX).is_file():
        return single + [folder / name for name in _indexed(folder) if name != WEIGHTS]
    if not single:
        raise TaskFailed("bad-model", f"the model has no weights: there is no `{WEIGHTS}`", _CONVERT)
    return single


def _indexed(folder: Path) -> list[str]:
    index = _json_object(folder / _INDEX).get("weight_map")
    names = sorted({str(name) for name in index.values()}) if isinstance(index, dict) else []
    beside = {path.name for path in folder.iterdir() if path.is_file()}
    for name in names:
        if name not in beside or not name.endswith(".safetensors"):
            raise TaskFailed("bad-model", f"`{_INDEX}` names `{name[:100]}`, which is no safetensors file beside it")
    if not names:
        raise TaskFailed("bad-model", f"`{_INDEX}` names no weights")
    return names


def _check_header(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as opened:
            names = list(opened.keys())
    except (SafetensorError, ValueError) as error:
        message = f"`{path.name}` is not a sound safetensors file: {error}"
        raise TaskFailed("bad-model", message, _CONVERT) from error
    if not names:
        raise TaskFailed("bad-model", f"`{path.name}` holds no tensors")


def _load_model(folder: Path, dtype: str) -> Any:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        _pass_on_disk_trouble(error)
        raise TaskFailed("bad-model", f"the model cannot be loaded: {first_line(error)}") from error
    model, report = loaded
    _see_that_tensors_fit(report)
    return model


def _see_that_tensors_fit(report: dict[str, Any]) -> None:
    for kind, words in (
        ("missing_keys", "the weights lack {}, which the model's `config.json` asks for"),
        ("mismatched_keys", "weights have another shape than the model's `config.json` says: {}"),
        ("unexpected_keys", "weights have no place in the architecture that the model's `config.json` names: {}"),
    ):
        names = sorted(one if isinstance(one, str) else str(one[0]) for one in report.get(kind, ()))
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise TaskFailed("bad-model", words.format(f"`{names[0]}`{more}"), "store the model again, whole")


def _put_adapter(model: Any, folder: Path) -> Any:
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        _pass_on_disk_trouble(error)
        message = f"the adapter does not fit the model: {first_line(error)}"
        raise TaskFailed("bad-model", message, "serve it on the base that it was trained on") from error


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_fast=True)
    except Exception as error:  # the tokenizers library raises bare exceptions
        _pass_on_disk_trouble(error)
        raise TaskFailed("bad-model", f"the tokenizer cannot be loaded: {first_line(error)}") from error


def _pass_on_disk_trouble(error: Exception) -> None:
    if isinstance(error, OSError) and error.errno is not None:
        raise error
