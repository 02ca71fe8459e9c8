"""Words of `llmops size` that cannot be meant: options that contradict each other, and names that mean nothing.

Called by `llmops.cli.size`. Each is refused with one message: an answer to another question would mislead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from llmops.errors import OperationFailed

QUANTIZATIONS = (
    *("fp8", "awq", "gptq", "int8", "int4", "w8a8", "w4a16", "bitsandbytes", "nf4", "bnb-8bit"),
    *("mxfp4", "nvfp4", "smoothquant", "q4_k_m", "q5_k_m", "q8_0"),
)
"""Formats by their plainest names, for a person to choose from; many more spellings of them are read."""

_FOR_TRAINING = ("seq_len", "micro_batch", "optimizer", "sharding", "grad_ckpt", "lora_r")
_FOR_SERVING = (
    *("compare", "search", "tp", "pp", "engine", "max_model_len", "max_num_seqs", "gpu_memory_utilization"),
    *("kv_cache_dtype", "input_len", "output_len", "concurrency", "duty", "prices"),
)


def no_contradiction(given: Mapping[str, Any]) -> None:
    """Options that say two things, or that nothing would heed, are refused: an answer to another question misleads.

    Raises:
        OperationFailed: with what to leave out.
    """
    asked = {name for name in given if _is_given(name)}
    unheeded = [name for name in (_FOR_SERVING if given["train"] else _FOR_TRAINING) if name in asked]
    if unheeded:
        named = ", ".join(_option(name) for name in unheeded)
        where, help_ = ("without", "for a service") if given["train"] else ("with", "for a training")
        raise OperationFailed(f"{named} speaks only {help_}", help=f"ask {where} --train")
    shape = [_option(name) for name in ("tp", "pp") if name in asked]
    if given["search"] and shape:
        help_ = "it looks for the fewest GPUs itself; --count says how many at most"
        raise OperationFailed(f"{', '.join(shape)} cannot be given with --search", help=help_)
    count, tensor, stages = given["count"], given["tp"], given["pp"]
    if {"count", "tp"} <= asked and tensor * stages != count:
        said = f"--tp {tensor} x --pp {stages} are {tensor * stages} GPUs, --count says {count}"
        raise OperationFailed(said, help="leave --count out, or make it the product of both")
    engine_with_version(given["engine"])


def at_most(given: Mapping[str, Any]) -> int | None:
    """How many GPUs a search may take; None where that was not said."""
    return given["count"] if _is_given("count") else None


def engine_with_version(engine: str) -> None:
    if engine.rstrip().endswith("@"):
        help_ = "such as `vllm@0.21`, or `vllm` alone for the newest version that is known"
        raise OperationFailed(f"--engine `{engine}` names no version", help=help_)


def _is_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def known_words(given: Mapping[str, Any], missing: Sequence[str]) -> None:
    """Words that were given and mean nothing to the arithmetic.

    Raises:
        OperationFailed: with those that do.
    """
    from compiler.diagnostics.suggestions import nearest
    from compiler.sizing.formats import DTYPE_BYTES
    from compiler.sizing.key_value import KV_DTYPE_BYTES

    known = {"quantization": QUANTIZATIONS, "dtype": (*DTYPE_BYTES,), "kv_cache_dtype": (*KV_DTYPE_BYTES,)}
    for name, words in known.items():
        word = given[name]
        if word is None or word.casefold() in ("", "auto") or name not in missing:
            continue
        near = nearest(word, words)
        meant = f"did you mean {' or '.join(f'`{one}`' for one in near)}? " if near else ""
        raise OperationFailed(
            f"{_option(name)} `{word[:80]}` is not known", help=f"{meant}known are {', '.join(words)}"
        )
