"""Rows of task `serving` and `throughput`: from cells to a request, from a budget back to cells.

Called by `llmops.sizing.predictions`.
"""

from __future__ import annotations

from collections.abc import Mapping

from compiler.sizing.budget import GIB, ServingBudget, Verdict, lowered
from compiler.sizing.engines import engine_name
from compiler.sizing.legality import BrokenRule, broken_rules, refuses
from compiler.sizing.serving import ServingRequest, size_serving
from compiler.sizing.throughput import Load, estimate_throughput, measure_first
from llmops.sizing.cells import gibibytes, share, whole
from llmops.sizing.subjects import Subject, UnknownSubjectError, find_card

Cells = Mapping[str, str]


def judged(request: ServingRequest, budget: ServingBudget) -> tuple[Verdict, tuple[BrokenRule, ...]]:
    """The verdict of memory and of legality together, with the rules that are broken.

    What no engine is known to refuse, some version mends (it pads an odd width): it leaves a verdict marginal.
    """
    rules = broken_rules(request)
    if budget.verdict == "unknown":
        return "unknown", rules
    if any(refuses(one, request) for one in rules):
        return "does-not-fit", rules
    return (lowered(budget.verdict) if any(one.fatal for one in rules) else budget.verdict), rules


def serving_request(cells: Cells, subject: Subject) -> ServingRequest:
    """The request of a row.

    Raises:
        UnreadableCellError: a cell holds no value of its column.
        UnknownSubjectError: engine or GPU are missing or not known.
    """
    gpu, memory = find_card(cells.get("gpu", ""), gibibytes(cells, "gpu_mem_gib"))
    engine, version = _engine(cells)
    return ServingRequest(
        architecture=subject.architecture,
        gpu=gpu,
        gpu_memory_bytes=memory,
        engine=engine,
        engine_version=version,
        tensor_parallel=whole(cells, "tp", at_most=1024) or 1,
        pipeline_parallel=whole(cells, "pp", at_most=1024) or 1,
        dtype=_word(cells, "dtype"),
        quantization=_word(cells, "quant") or subject.quantization,
        kv_cache_dtype=_word(cells, "kv_cache_dtype"),
        max_model_len=whole(cells, "max_model_len"),
        max_num_seqs=whole(cells, "max_num_seqs"),
        gpu_memory_utilisation=share(cells, "gpu_mem_util"),
    )


def predict_serving(cells: Cells, subject: Subject) -> dict[str, str]:
    """The output cells of a serving row."""
    request = serving_request(cells, subject)
    budget = size_serving(request)
    verdict, _ = judged(request, budget)
    if verdict == "unknown":
        return {"verdict": "unknown", "missing": "; ".join(budget.missing or budget.reasons)}
    return {
        "verdict": verdict,
        "weights_gib_per_gpu": _gib(budget.weights_bytes),
        "budget_gib": _gib(budget.budget_bytes),
        "available_kv_gib": _gib(budget.pool_bytes),
        "kv_tokens": str(max(0, budget.kv_tokens)),
        "max_concurrency": f"{max(0.0, budget.concurrency):.2f}",
        "margin_gib": _gib(budget.margin_bytes),
        "missing": "; ".join(budget.missing),
    }


def predict_throughput(cells: Cells, subject: Subject) -> dict[str, str]:
    """The output cells of a throughput row; the regime `unknown` with the reason where there is no estimate."""
    inputs, outputs = whole(cells, "input_len"), whole(cells, "output_len")
    absent = [name for name, value in (("input_len", inputs), ("output_len", outputs)) if value is None]
    if inputs is None or outputs is None:
        return {"regime": "unknown", "missing": "; ".join(absent)}
    request = serving_request({**_cache_as_published(cells), "max_model_len": str(inputs + outputs)}, subject)
    budget = size_serving(request)
    if budget.verdict == "unknown":
        return {"regime": "unknown", "missing": "; ".join(budget.missing or budget.reasons)}
    load = load_of(request, budget, inputs, outputs, whole(cells, "concurrency"))
    why = measure_first(load)
    found = estimate_throughput(load)
    if found is None:
        return {"regime": "unknown", "missing": why or ""}
    return {
        "output_tok_s_low": f"{found.output_low:.1f}",
        "output_tok_s_high": f"{found.output_high:.1f}",
        "total_tok_s_low": f"{found.total_low:.1f}",
        "total_tok_s_high": f"{found.total_high:.1f}",
        "regime": found.regime,
        "missing": "; ".join(budget.missing),
    }


def _cache_as_published(cells: Cells) -> Cells:
    """TensorRT-LLM takes the cache's type from the checkpoint, and those of ModelOpt in 8 and 4 bits say FP8."""
    quant = cells.get("quant", "").casefold()
    published = engine_name(cells.get("engine", "").partition("@")[0]) == "tensorrt-llm" and (
        "fp8" in quant or "fp4" in quant
    )
    return {**cells, "kv_cache_dtype": "fp8"} if published and not cells.get("kv_cache_dtype") else cells


def load_of(request: ServingRequest, budget: ServingBudget, inputs: int, outputs: int, concurrency: int | None) -> Load:
    """What the replica is asked to do, with weights and cache as its budget has them."""
    sequences = budget.setting("max_num_seqs")
    pool = budget.kv_tokens if budget.kv_tokens > 0 and budget.pool_bytes > 0 else None
    return Load(
        architecture=request.architecture,
        gpu=request.gpu,
        gpus=request.tensor_parallel,
        weight_bytes=budget.weights_bytes,
        cache_bytes_per_token=_cache_bytes(budget),
        pool_tokens=pool,
        max_sequences=int(sequences) if isinstance(sequences, int | float) else None,
        arithmetic=_arithmetic(request),
        input_tokens=inputs,
        output_tokens=outputs,
        concurrency=concurrency,
    )


def _cache_bytes(budget: ServingBudget) -> float:
    """Of one token on one GPU, at the declared length."""
    length = budget.setting("max_model_len")
    if budget.needed_bytes > 0 and isinstance(length, int | float) and length > 0:
        return budget.needed_bytes / length
    return budget.pool_bytes / budget.kv_tokens if budget.kv_tokens > 0 else 0


def _arithmetic(request: ServingRequest) -> str:
    """The format that products are computed in: weights of 8 or 4 bits with activations to match, else 16 bits."""
    stored = request.architecture.quantization
    name = (request.quantization or (f"{stored.method} {stored.format or ''}" if stored else "")).casefold()
    for word, rate in (("nvfp4", "fp4"), ("fp8", "fp8"), ("w8a8", "int8"), ("int8", "int8")):
        if word in name and "gptq" not in name and "awq" not in name:
            return rate
    return "fp16" if (request.dtype or request.architecture.dtype or "").endswith("float16") else "bf16"


def _engine(cells: Cells) -> tuple[str, str | None]:
    """Engine and version: two cells, or `vllm@0.8.5` in one. Triton takes its back end's: `triton+vllm@0.8.5`."""
    text, _, inline = cells.get("engine", "").partition("@")
    version = cells.get("engine_version", "") or inline
    if not text.strip():
        raise UnknownSubjectError("engine is not given")
    if engine_name(text) is None:
        raise UnknownSubjectError(f"engine `{text[:80]}` is not known")
    return text.strip(), version or None


def _word(cells: Cells, column: str) -> str | None:
    text = cells.get(column, "")
    return None if text.casefold() in ("", "auto") else text.removeprefix("torch.")


def _gib(size: int) -> str:
    return f"{size / GIB:.3f}"
