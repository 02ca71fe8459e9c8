"""Memory of serving one model in one engine on one kind of GPU.

    size_serving(request: ServingRequest) -> ServingBudget

`ServingRequest` is in `request`, `ServingBudget` in `compiler.sizing.budget`. Called by checks and by `llmops size`.
"""

from __future__ import annotations

from compiler.sizing.budget import ServingBudget, unknown_budget
from compiler.sizing.engines import engine_name, find_engine
from compiler.sizing.serving.plan import plan_of
from compiler.sizing.serving.request import LoraSlots, ServingRequest
from compiler.sizing.serving.sglang import size_sglang
from compiler.sizing.serving.tensorrt_llm import size_tensorrt_llm
from compiler.sizing.serving.tgi import size_tgi
from compiler.sizing.serving.vllm import size_vllm

__all__ = ["LoraSlots", "ServingBudget", "ServingRequest", "size_serving"]


def size_serving(request: ServingRequest) -> ServingBudget:
    """The budget of the tightest GPU. Never raises for strange facts: the verdict is `unknown` with what is missing."""
    engine = engine_name(request.engine)
    gpus = request.tensor_parallel * request.pipeline_parallel
    if engine is None:
        return unknown_budget(request.engine, "", gpus, ("engine",), f"engine `{request.engine}` is not known")
    if engine == "triton":
        said = "Triton's memory is that of its back end: say triton+vllm or triton+tensorrt-llm"
        return unknown_budget(engine, request.engine_version or "", gpus, ("backend",), said)
    plan = plan_of(request, find_engine(engine, request.engine_version))
    match engine:
        case "vllm":
            return size_vllm(plan)
        case "sglang":
            return size_sglang(plan)
        case "tgi":
            return size_tgi(plan)
        case "tensorrt-llm":
            return size_tensorrt_llm(plan)
