"""What trainings are called: methods, sharding, optimizers, checkpointing and precision, as people write them.

Called by `llmops size` and by `compiler.sizing.training`. A word that no reader knows gives None; the caller says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Method: TypeAlias = Literal["full", "pretrain", "lora", "qlora", "dpo"]
Shards: TypeAlias = Literal["none", "ddp", "fsdp", "zero1", "zero2", "zero3"]
Checkpointing: TypeAlias = Literal["none", "selective", "full", "offloaded"]
"""Which activations are kept for the backward pass: all, some, each layer's input, or those in the host's memory."""

Precision: TypeAlias = Literal["bf16", "mixed", "fp32"]
"""Of trained weights: 16 bits alone, 32 bits with 16-bit arithmetic (or a 32-bit copy in the optimizer), or 32 bits."""


@dataclass(frozen=True, kw_only=True)
class Sharding:
    """How the GPUs of one training share its states."""

    shards: Shards
    offload: bool = False
    """States that the GPUs do not need at the moment wait in the host's memory."""


SINGLE: Final = Sharding(shards="none")


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What an optimizer keeps for each trained parameter."""

    name: str
    state_bytes: float
    """Beside 32-bit weights."""
    state_bytes_low: float
    """Beside 16-bit weights: states take the weights' type, unless they are quantized."""
    scratch: bool = False
    """One step works on a copy of all trained weights (PyTorch's `foreach` AdamW)."""


_OPTIMIZERS: Final = (
    Optimizer(name="adamw", state_bytes=8, state_bytes_low=4, scratch=True),
    Optimizer(name="adamw_fused", state_bytes=8, state_bytes_low=4),
    Optimizer(name="adamw_8bit", state_bytes=2, state_bytes_low=2),
    Optimizer(name="adamw_4bit", state_bytes=1, state_bytes_low=1),
    Optimizer(name="paged_adamw_32bit", state_bytes=0, state_bytes_low=0),
    Optimizer(name="paged_adamw_8bit", state_bytes=0, state_bytes_low=0),
    Optimizer(name="paged_lion", state_bytes=0, state_bytes_low=0),
    Optimizer(name="lion", state_bytes=4, state_bytes_low=2),
    Optimizer(name="lion_8bit", state_bytes=1, state_bytes_low=1),
    Optimizer(name="adafactor", state_bytes=0.02, state_bytes_low=0.02),
    Optimizer(name="adagrad", state_bytes=4, state_bytes_low=4),
    Optimizer(name="rmsprop", state_bytes=4, state_bytes_low=2),
    Optimizer(name="muon", state_bytes=4, state_bytes_low=2, scratch=True),
    Optimizer(name="galore", state_bytes=2, state_bytes_low=1),
    Optimizer(name="galore_8bit", state_bytes=0.5, state_bytes_low=0.5),
    Optimizer(name="apollo", state_bytes=0.5, state_bytes_low=0.25),
    Optimizer(name="sgd", state_bytes=0, state_bytes_low=0),
    Optimizer(name="momentum", state_bytes=4, state_bytes_low=2),
)
"""States per parameter: the papers and libraries of that name. Pages of paged optimizers count as none: the driver
moves them out before memory runs short (bitsandbytes). GaLore projects gradients to a quarter of their rank, APOLLO to
far less."""

_BY_NAME: Final[Mapping[str, Optimizer]] = {one.name: one for one in _OPTIMIZERS}

_METHODS: Final[Mapping[str, Method]] = {
    "full": "full",
    "fft": "full",
    "fullfinetune": "full",
    "fullfinetuning": "full",
    "fullparameter": "full",
    "fullparam": "full",
    "sft": "full",
    "finetune": "full",
    "pretrain": "pretrain",
    "pretraining": "pretrain",
    "pt": "pretrain",
    "cpt": "pretrain",
    "scratch": "pretrain",
    "lora": "lora",
    "dora": "lora",
    "rslora": "lora",
    "peft": "lora",
    "qlora": "qlora",
    "qdora": "qlora",
    "dpo": "dpo",
    "loradpo": "dpo",
    "qloradpo": "dpo",
    "dpolora": "dpo",
    "dpoqlora": "dpo",
    "fulldpo": "dpo",
}

_SHARDS: Final[Mapping[str, Shards]] = {
    "none": "none",
    "no": "none",
    "single": "none",
    "dp": "ddp",
    "ddp": "ddp",
    "dataparallel": "ddp",
    "multigpu": "ddp",
    "fsdp": "fsdp",
    "fsdp1": "fsdp",
    "fsdp2": "fsdp",
    "fullshard": "fsdp",
    "fsdpfullshard": "fsdp",
    "hybridshard": "fsdp",
    "shardgradop": "zero2",
    "zero0": "ddp",
    "zero1": "zero1",
    "zero2": "zero2",
    "zero3": "zero3",
    "z1": "zero1",
    "z2": "zero2",
    "z3": "zero3",
    "stage1": "zero1",
    "stage2": "zero2",
    "stage3": "zero3",
}


def read_method(text: str) -> Method | None:
    """`full`, `QLoRA`, `pre-train`, … as a method."""
    return _METHODS.get(_letters(text))


def read_sharding(text: str) -> Sharding | None:
    """`fsdp`, `ZeRO-3`, `zero2+offload`, `deepspeed zero 3 cpu-offload`, … as a sharding."""
    word = _letters(text)
    bare = re.sub(r"(with)?(cpu|optimizer|optim|param|full)?(adam)?offload(ed|ing)?", "", word)
    shards = _SHARDS.get(re.sub(r"deepspeed|^ds", "", bare))
    return None if shards is None else Sharding(shards=shards, offload="offload" in word)


def read_optimizer(text: str) -> Optimizer | None:
    """`adamw_torch`, `paged_adamw_8bit`, `AdamW8bit`, `galore_adamw`, … as an optimizer."""
    word = _letters(text)
    direct = _BY_NAME.get(text.strip().casefold())
    return direct or _BY_NAME.get(_family(word)) if word else None


def _family(word: str) -> str:
    eight, paged = "8bit" in word or "int8" in word, "paged" in word
    if "galore" in word:
        return "galore_8bit" if eight else "galore"
    if "lion" in word:
        return "paged_lion" if paged else "lion_8bit" if eight else "lion"
    for name in ("apollo", "adafactor", "adagrad", "rmsprop", "muon"):
        if name in word:
            return name
    if "adam" in word:
        return _adam(word, eight=eight, paged=paged)
    if "sgd" in word or word in ("badam", "lomo", "adalomo"):
        return "momentum" if "momentum" in word else "sgd"
    return ""


def _adam(word: str, *, eight: bool, paged: bool) -> str:
    if paged:
        return "paged_adamw_8bit" if eight else "paged_adamw_32bit"
    if eight:
        return "adamw_8bit"
    if "4bit" in word:
        return "adamw_4bit"
    return "adamw_fused" if "fused" in word or "cpu" in word else "adamw"


def read_checkpointing(text: str) -> Checkpointing | None:
    """`true`, `off`, `selective`, `unsloth`, … as a way of keeping activations."""
    word = _letters(text)
    if word in ("true", "yes", "y", "on", "1", "full", "enabled", "enable", "all", "reentrant", "nonreentrant"):
        return "full"
    if word in ("false", "no", "n", "off", "0", "none", "disabled", "disable"):
        return "none"
    if word in ("selective", "sac", "op", "selectiveop"):
        return "selective"
    return "offloaded" if word in ("unsloth", "offload", "offloaded", "cpuoffload") else None


_PRECISIONS: Final[Mapping[str, Precision]] = {
    "fp32": "fp32",
    "float32": "fp32",
    "float": "fp32",
    "fp32full": "fp32",
    "32true": "fp32",
    "tf32": "fp32",
    "fp16": "mixed",
    "float16": "mixed",
    "half": "mixed",
    "mixed": "mixed",
    "amp": "mixed",
    "bf16mixed": "mixed",
    "fp16mixed": "mixed",
    "16mixed": "mixed",
    "bf16amp": "mixed",
    "fp16amp": "mixed",
    "ampbf16": "mixed",
    "ampfp16": "mixed",
    "fp8": "mixed",
    "float8": "mixed",
    "bf16": "bf16",
    "bfloat16": "bf16",
    "bf16true": "bf16",
    "purebf16": "bf16",
    "bf16pure": "bf16",
}


def read_precision(text: str) -> Precision | None:
    """`bf16`, `torch.float16`, `bf16-mixed`, … as a precision of trained weights.

    Sixteen-bit floats of the other kind cannot be trained alone: loss scaling works on 32-bit weights, so they are
    read as mixed.
    """
    return _PRECISIONS.get(_letters(text).removeprefix("torch"))


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())
