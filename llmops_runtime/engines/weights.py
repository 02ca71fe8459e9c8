"""Makes a stored model ready to decode, in one or several states of the same base weights.

Called by the engine. What may be loaded is for `llmops_runtime.weights` to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops_runtime.failures import TaskFailed
from llmops_runtime.weights import OpenedModel, first_line, open_states
from llmops_spec.engine import TransformersEngine
from llmops_spec.payloads.training import StoredModel
from llmops_spec.store import Store


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    model: Any
    """A causal language model of transformers, in evaluation mode, on its device."""
    tokenizer: Any
    context_length: int
    end_tokens: frozenset[int]


def load_states(
    store: Store, states: Sequence[StoredModel], settings: TransformersEngine, folder: Path
) -> list[LoadedModel]:
    """Copy the model out of the store and load it in each of the states, which have their base weights in common.

    A state computes exactly what it would compute alone; what its adapter leaves as it is lies in memory once.

    Raises:
        TaskFailed: it is not one that we load.
        StoreCorrupt: its bytes are not what the store says.
    """
    import torch

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise TaskFailed("bad-model", "the engine wants a CUDA device, and there is none here", "use `device: cpu`")
    torch.set_num_threads(settings.threads)
    opened = open_states(states, store, folder, dtype=settings.dtype)
    models = [
        one.model if state.adapter is None else _merged(one.model) for state, one in zip(states, opened, strict=True)
    ]
    _move(models, settings.device)
    return [_ready(model, one) for model, one in zip(models, opened, strict=True)]


def _ready(model: Any, opened: OpenedModel) -> LoadedModel:
    if not opened.tokenizer.chat_template:
        raise _refused("it has no chat template", "give the model a `chatTemplate`")
    model.eval()
    return LoadedModel(
        model=model,
        tokenizer=opened.tokenizer,
        context_length=_context_length(model),
        end_tokens=_end_tokens(model, opened.tokenizer),
    )


def _move(models: Sequence[Any], device: str) -> None:
    """Put models on a device so that the weights which they have in common are still there once."""
    moved: dict[tuple[int, Any], tuple[Any, Any]] = {}  # beside its copy the original, lest its address be used again
    for model in models:
        for one in model.parameters():
            place = (one.data_ptr(), one.shape)
            if place not in moved:
                moved[place] = (one.data, one.data.to(device))
            one.data = moved[place][1]
        model.to(device)


def _merged(model: Any) -> Any:
    """The model with the adapter's weights merged into its own: the same function, and as fast as without."""
    try:
        return model.merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError) as error:
        said = f"its adapter cannot be merged into it: {first_line(error)}"
        raise _refused(said, "train the adapter on this model") from error


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
