"""Open stored models without running anything that they bring along.

Called by `starting_point`, and by the engine. A folder is judged by an allow-list before a library sees it: weights are
safetensors alone with a sound header, configuration names no code, an index names only files beside it, and no tensor
of the architecture is missing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmops_runtime.failures import TaskFailed
from llmops_spec.payloads.training import StoredModel
from llmops_spec.store import Store, materialise

WEIGHTS: Final = "model.safetensors"
_INDEX: Final = "model.safetensors.index.json"
_ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
_PICKLES: Final = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".h5", ".msgpack"}
)
_LARGEST_JSON_BYTES: Final = 256 << 20
_CONVERT: Final = "store the weights as safetensors: `save_pretrained` of transformers does"


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model with its tokenizer, ready on its device, in 32-bit floats."""

    model: Any
    """A transformers `PreTrainedModel`, or PEFT's `PeftModel` around one."""
    tokenizer: Any
    """A transformers `PreTrainedTokenizerBase`."""


def load_stored(stored: StoredModel, store: Store, folder: Path, *, device: str) -> LoadedModel:
    """Copy a stored model below `folder`, checking digests, judge it, and load it.

    Raises:
        TaskFailed: `bad-model`, where the folder is refused or cannot be loaded.
        StoreCorrupt: the bytes are not what the store's manifest says.
    """
    base = materialise(store, stored.model, folder / "model")
    check_model_folder(base)
    adapter = None
    if stored.adapter is not None:
        adapter = materialise(store, stored.adapter, folder / "adapter")
        check_adapter_folder(adapter)
    model = _load_model(base)
    if adapter is not None:
        model = _put_adapter(model, adapter)
    tokenizer = _load_tokenizer(base)
    if stored.chat_template is not None:
        tokenizer.chat_template = stored.chat_template
    return LoadedModel(model=model.to(device), tokenizer=tokenizer)


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
    if _json(path).get("peft_type") != "LORA":
        raise TaskFailed("bad-model", "the adapter is not a LoRA: `adapter_config.json` says another `peft_type`")
    if not (folder / _ADAPTER_WEIGHTS).is_file():
        raise TaskFailed("bad-model", f"the adapter has no `{_ADAPTER_WEIGHTS}`")
    _check_header(folder / _ADAPTER_WEIGHTS)


def _refuse_code(folder: Path) -> None:
    if not folder.is_dir():
        raise TaskFailed("bad-model", "the model is a single file, not a folder")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix.casefold() in _PICKLES:
            raise TaskFailed("bad-model", f"`{name}` may hold pickled code, which is never loaded", _CONVERT)
        if path.suffix == ".py":
            raise TaskFailed("bad-model", f"`{name}` is code; models that bring code are not loaded")
        if path.suffix == ".json" and path.name.endswith("config.json") and _names_code(_json(path)):
            raise TaskFailed(
                "bad-model", f"`{name}` names code to run (`auto_map`); models that bring code are not loaded"
            )


def _names_code(value: object) -> bool:
    if isinstance(value, dict):
        return "auto_map" in value or any(_names_code(one) for one in value.values())
    return isinstance(value, list) and any(_names_code(one) for one in value)


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_JSON_BYTES:
            raise TaskFailed("bad-model", f"`{path.name}` is too large")
        found: object = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise TaskFailed("bad-model", f"`{path.name}` is not JSON") from error
    if not isinstance(found, dict):
        raise TaskFailed("bad-model", f"`{path.name}` is not a JSON object")
    return found


def _weight_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / _INDEX).is_file():
        raise TaskFailed("bad-model", f"the model has no weights: there is no `{WEIGHTS}`", _CONVERT)
    index = _json(folder / _INDEX).get("weight_map")
    names = sorted({str(name) for name in index.values()}) if isinstance(index, dict) else []
    beside = {path.name for path in folder.iterdir() if path.is_file()}
    for name in names:
        if name not in beside or not name.endswith(".safetensors"):
            raise TaskFailed("bad-model", f"`{_INDEX}` names `{name[:100]}`, which is no safetensors file beside it")
    if not names:
        raise TaskFailed("bad-model", f"`{_INDEX}` names no weights")
    return [folder / name for name in names]


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


def _load_model(folder: Path) -> Any:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        _pass_on_disk_trouble(error)
        raise TaskFailed("bad-model", f"the model cannot be loaded: {_first_line(error)}") from error
    model, report = loaded
    missing = sorted(report["missing_keys"]) + sorted(str(one) for one in report.get("mismatched_keys", ()))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise TaskFailed(
            "bad-model", f"the weights lack `{missing[0]}`{more}, which the model's `config.json` asks for"
        )
    return model


def _put_adapter(model: Any, folder: Path) -> Any:
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        _pass_on_disk_trouble(error)
        message = f"the adapter does not fit the model: {_first_line(error)}"
        raise TaskFailed("bad-model", message, "serve it on the base that it was trained on") from error


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_fast=True)
    except Exception as error:  # the tokenizers library raises bare exceptions
        _pass_on_disk_trouble(error)
        raise TaskFailed("bad-model", f"the tokenizer cannot be loaded: {_first_line(error)}") from error


def _pass_on_disk_trouble(error: Exception) -> None:
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0][:300]
