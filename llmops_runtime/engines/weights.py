"""Loads a stored model for inference, and nothing but data from it.

Called by the engine. Promises: bytes are compared with their digests before they are read; only safetensors are
loaded; files that could carry code, and weights that are missing or left over, are refused by name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmops_runtime.failures import TaskFailed
from llmops_spec.engine import TransformersEngine
from llmops_spec.payloads.training import StoredModel
from llmops_spec.store import Store, materialise

_PICKLES: Final = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".msgpack", ".h5"})
_CODE: Final = frozenset({".py", ".pyc", ".so"})


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    model: Any
    """A causal language model of transformers, in evaluation mode, on its device."""
    tokenizer: Any
    context_length: int
    end_tokens: frozenset[int]


def load_model(store: Store, weights: StoredModel, settings: TransformersEngine, folder: Path) -> LoadedModel:
    """Copy the model out of the store and load it.

    Raises:
        TaskFailed: it is not one that we load.
        StoreCorrupt: its bytes are not what the store says.
    """
    model_folder = _fetch(store, weights.model, folder / "model")
    adapter_folder = _fetch(store, weights.adapter, folder / "adapter") if weights.adapter else None
    _see_that_it_is_data(model_folder, "model.safetensors")
    if adapter_folder is not None:
        _see_that_it_is_data(adapter_folder, "adapter_model.safetensors")
    import torch

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise TaskFailed("bad-model", "the engine wants a CUDA device, and there is none here", "use `device: cpu`")
    torch.set_num_threads(settings.threads)
    tokenizer = _tokenizer(model_folder, weights.chat_template)
    model = _model(model_folder, getattr(torch, settings.dtype))
    if adapter_folder is not None:
        model = _with_adapter(model, adapter_folder)
    model.eval()
    model.to(settings.device)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        context_length=_context_length(model),
        end_tokens=_end_tokens(model, tokenizer),
    )


def _fetch(store: Store, ref: str, destination: Path) -> Path:
    try:
        return materialise(store, ref, destination)
    except FileNotFoundError as error:
        raise TaskFailed("store", str(error), "run `llmops apply` again: it makes what is missing") from error


def _see_that_it_is_data(folder: Path, weights_name: str) -> None:
    files = sorted(one.relative_to(folder) for one in folder.rglob("*") if one.is_file())
    for file in files:
        if file.suffix in _PICKLES:
            raise _refused(f"`{file}` may be a pickle, which can run code", "store the weights as safetensors alone")
        if file.suffix in _CODE:
            raise _refused(f"`{file}` is code", "remove it: only architectures that transformers brings are loaded")
        if file.suffix == ".json" and "auto_map" in _read_json(folder / file):
            raise _refused(f"`{file}` names code to load (`auto_map`)", "use an architecture that transformers brings")
    names = {str(file) for file in files}
    index = f"{weights_name}.index.json"
    if index in names:
        wanted = set(_read_json(folder / index).get("weight_map", {}).values())
        if not wanted or not wanted <= names:
            raise _refused(f"`{index}` names files that are not there", "store the model again")
    elif weights_name not in names:
        raise _refused(f"there is no `{weights_name}`", "store the weights as safetensors")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        data: object = json.loads(file.read_bytes())
    except ValueError as error:
        raise _refused(f"`{file.name}` is not JSON", "store the model again") from error
    return data if isinstance(data, dict) else {}


def _tokenizer(folder: Path, chat_template: str | None) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _refused(f"its tokenizer cannot be read: {_first_line(error)}", "store the model again") from error
    if chat_template is not None:
        tokenizer.chat_template = chat_template
    if not tokenizer.chat_template:
        raise _refused("it has no chat template", "give the model a `chatTemplate`")
    return tokenizer


def _model(folder: Path, dtype: Any) -> Any:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _refused(f"its weights cannot be read: {_first_line(error)}", "store the model again") from error
    model, info = loaded
    for kind, words in (
        ("missing_keys", "are missing"),
        ("unexpected_keys", "have no place in its architecture"),
        ("mismatched_keys", "have another shape than its configuration says"),
    ):
        if info.get(kind):
            names = ", ".join(f"`{one if isinstance(one, str) else one[0]}`" for one in sorted(info[kind], key=str)[:3])
            raise _refused(f"{len(info[kind])} weights {words}: {names}", "store the model again, whole")
    return model


def _with_adapter(model: Any, folder: Path) -> Any:
    """The model with the adapter's weights merged into its own: the same function, and as fast as without."""
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=False).merge_and_unload(safe_merge=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _refused(
            f"its adapter does not fit it: {_first_line(error)}", "train the adapter on this model"
        ) from error


def _context_length(model: Any) -> int:
    length = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(length, int):
        raise _refused("its configuration has no `max_position_embeddings`", "use another architecture")
    return length


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    ends = model.generation_config.eos_token_id
    found = {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id} - {None}
    if not found:
        raise _refused("it has no end token, so no answer would end", "set `eos_token` of its tokenizer")
    return frozenset(found)


def _refused(why: str, advice: str) -> TaskFailed:
    return TaskFailed("bad-model", f"the model cannot be served: {why}", advice)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
