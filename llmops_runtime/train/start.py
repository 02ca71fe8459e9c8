"""What a training begins with: random weights and a fresh tokenizer, or a stored model.

Called by `run_train`.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from llmops_runtime.context import TaskContext
from llmops_runtime.data.rows import read_rows, texts
from llmops_runtime.failures import TaskFailed
from llmops_runtime.train.tokenizer import train_tokenizer
from llmops_runtime.weights import OpenedModel, open_stored
from llmops_spec.payloads.training import ScratchInput, StoredModel, TrainPayload


def starting_point(payload: TrainPayload, context: TaskContext) -> OpenedModel:
    """The model to train, on its device, with its tokenizer.

    Raises:
        TaskFailed: the base is refused, or the rows give no tokenizer.
    """
    if payload.scratch is not None:
        return _from_scratch(payload.scratch, context, device=payload.compute.device)
    if payload.base is None:
        raise TaskFailed("internal", "the payload names nothing to train: neither `scratch` nor `base`")
    return _from_store(payload, payload.base, context)


def _from_scratch(scratch: ScratchInput, context: TaskContext, *, device: str) -> OpenedModel:
    context.progress("training the tokenizer", 0, 1, "tokenizers")
    rows = read_rows(context.store(), scratch.tokenizer.rows, context.work)
    found = list(texts(rows, scratch.tokenizer.columns))
    if not found:
        raise TaskFailed("bad-data", "the tokenizer's text columns are empty in every row")
    tokenizer = train_tokenizer(
        found,
        vocabulary_size=scratch.tokenizer.vocabulary_size,
        context_length=scratch.context_length,
        chat_template=scratch.chat_template,
    )
    context.progress("training the tokenizer", 1, 1, "tokenizers", f"vocabulary {len(tokenizer)}")
    torch.manual_seed(scratch.seed)
    model: Any = LlamaForCausalLM(_config(scratch, tokenizer))
    return OpenedModel(model=model.to(device), tokenizer=tokenizer)


def _config(scratch: ScratchInput, tokenizer: Any) -> LlamaConfig:
    shape = scratch.llama
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        intermediate_size=shape.feed_forward_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        max_position_embeddings=scratch.context_length,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        initializer_range=shape.initializer_range,
    )


def _from_store(payload: TrainPayload, base: StoredModel, context: TaskContext) -> OpenedModel:
    context.progress("loading the base", 0, 1, "models")
    loaded = open_stored(base, context.store(), context.work / "base", dtype="float32")
    loaded.model.to(payload.compute.device)
    if base.adapter is not None:
        if payload.method == "lora":
            raise TaskFailed(
                "bad-model",
                "the base is itself an adapter, and an adapter on an adapter cannot be served",
                "train the base with `method: full` first, or put the LoRA on the adapter's own base",
            )
        loaded = OpenedModel(model=_merged(loaded.model), tokenizer=loaded.tokenizer)
    context.progress("loading the base", 1, 1, "models")
    return loaded


def _merged(model: torch.nn.Module) -> torch.nn.Module:
    """The adapter's change written into the weights, held against what the pair computed.

    Raises:
        TaskFailed: merging would change the model, as it does where input and output embeddings were untied.
    """
    probe = torch.arange(8, device=next(model.parameters()).device).unsqueeze(0)
    model.eval()
    with torch.inference_mode():
        before = model(input_ids=probe).logits
        merged = model.merge_and_unload()  # pyright: ignore[reportCallIssue]
        after = merged(input_ids=probe).logits
    if not torch.allclose(before, after, atol=1e-3, rtol=1e-3):
        raise TaskFailed("bad-model", "the adapter cannot be merged into its base without changing what it says")
    for one in merged.parameters():
        one.requires_grad_(True)  # noqa: FBT003  # torch's own way to say it
    return merged
