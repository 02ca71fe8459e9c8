"""Words for trainings, as rows and options write them."""

from __future__ import annotations

import pytest

from compiler.sizing.training_words import (
    read_checkpointing,
    read_method,
    read_optimizer,
    read_precision,
    read_sharding,
)


@pytest.mark.parametrize(
    ("text", "shards", "offload"),
    [
        ("none", "none", False),
        ("ddp", "ddp", False),
        ("FSDP", "fsdp", False),
        ("fsdp+offload", "fsdp", True),
        ("fsdp2", "fsdp", False),
        ("zero1", "zero1", False),
        ("ZeRO-2", "zero2", False),
        ("zero2+offload", "zero2", True),
        ("DeepSpeed ZeRO 3 (CPU offload)", "zero3", True),
        ("zero3_offload", "zero3", True),
        ("full_shard", "fsdp", False),
    ],
)
def test_sharding(text: str, shards: str, offload: bool) -> None:
    found = read_sharding(text)

    assert found is not None
    assert (found.shards, found.offload) == (shards, offload)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("adamw", "adamw"),
        ("adamw_torch", "adamw"),
        ("adamw_torch_fused", "adamw_fused"),
        ("AdamW8bit", "adamw_8bit"),
        ("adamw_bnb_8bit", "adamw_8bit"),
        ("paged_adamw_8bit", "paged_adamw_8bit"),
        ("paged_adamw_32bit", "paged_adamw_32bit"),
        ("PagedAdamW", "paged_adamw_32bit"),
        ("adafactor", "adafactor"),
        ("lion_32bit", "lion"),
        ("lion_8bit", "lion_8bit"),
        ("sgd", "sgd"),
        ("galore_adamw", "galore"),
        ("galore_adamw_8bit", "galore_8bit"),
        ("DeepSpeedCPUAdam", "adamw_fused"),
    ],
)
def test_optimizers(text: str, name: str) -> None:
    found = read_optimizer(text)

    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("full", "full"),
        ("QLoRA", "qlora"),
        ("pre-train", "pretrain"),
        ("LoRA", "lora"),
        ("DPO", "dpo"),
        ("sft", "full"),
    ],
)
def test_methods(text: str, method: str) -> None:
    assert read_method(text) == method


@pytest.mark.parametrize(
    ("text", "kept"),
    [("true", "full"), ("True", "full"), ("1", "full"), ("off", "none"), ("no", "none"), ("selective", "selective"),
     ("unsloth", "offloaded")],
)  # fmt: skip
def test_checkpointing(text: str, kept: str) -> None:
    assert read_checkpointing(text) == kept


@pytest.mark.parametrize(
    ("text", "precision"),
    [("bf16", "bf16"), ("torch.bfloat16", "bf16"), ("float16", "mixed"), ("bf16-mixed", "mixed"), ("fp32", "fp32")],
)
def test_precisions(text: str, precision: str) -> None:
    assert read_precision(text) == precision


@pytest.mark.parametrize("text", ["nonsense", "zero4", "١", "\0", "x" * 10_000])
def test_other_words_are_none_of_them(text: str) -> None:
    assert read_sharding(text) is read_optimizer(text) is read_method(text) is None
    assert read_checkpointing(text) is read_precision(text) is None
