"""Start-up lines of vLLM (V0 and V1), SGLang, TGI and TensorRT-LLM: which line says what.

Called by `llmops.sizing.logs`. One row is one wording of one version; the names of its groups say what they hold:
`gib_…` is memory in GiB (engines that print `GB` divide by 2^30 too), `mib_…` in MiB, `n_…` a whole number, `x_…` a
number, and any other group a text. Wordings were taken from public issues of each project.
"""

from __future__ import annotations

import re
from typing import Final

_NUMBER: Final = r"\d+(?:\.\d+)?"
_PATTERNS: Final = {"gib": _NUMBER, "mib": _NUMBER, "x": _NUMBER, "n": r"\d[\d,]*"}
_FIGURE: Final = re.compile(r"(?<!\?P)<(gib|mib|x|n)_\w+>")


def _with_numbers(text: str) -> re.Pattern[str]:
    """The pattern of a wording in which `<gib_weights>` stands for a figure and `<n_tokens>` for a count."""
    return re.compile(_FIGURE.sub(lambda found: f"(?P{found.group(0)}{_PATTERNS[found.group(1)]})", text))


_VLLM: Final = (
    r"vLLM API server version (?P<version>[\w.+]+)",
    r"Initializing an? (?:V[01] )?LLM engine \(v(?P<version>[^)]+)\) with config: model='(?P<model>[^']+)'",
    r"Initializing an? (?:V[01] )?LLM engine .*?dtype=(?:torch\.)?(?P<dtype>\w+), max_seq_len=<n_length>",
    r"Initializing an? (?:V[01] )?LLM engine .*?tensor_parallel_size=<n_tensor>, pipeline_parallel_size=<n_pipeline>",
    r"Initializing an? (?:V[01] )?LLM engine .*?[ ,]quantization=(?P<quantization>[\w-]+)",
    r"Initializing an? (?:V[01] )?LLM engine .*?kv_cache_dtype=(?P<cache>\w+)",
    r"(?:args: Namespace\(|non-default args: \{).*?max_num_seqs['\"]?[=:] ?<n_sequences>",
    r"(?:args: Namespace\(|non-default args: \{).*?gpu_memory_utilization['\"]?[=:] ?<x_share>",
    r"(?:args: Namespace\(|non-default args: \{).*?max_model_len['\"]?[=:] ?<n_length>",
    r"(?:Loading model weights|Model loading) took <gib_weights> (?:GB|GiB)",
    r"model weights take <gib_weights> ?GiB; non_torch_memory takes <gib_other> ?GiB",
    r"PyTorch activation peak memory takes <gib_activations> ?GiB",
    r"the rest of the memory reserved for KV Cache is <gib_pool> ?GiB",
    r"total_gpu_memory \(<gib_card> ?GiB\) x gpu_memory_utilization \(<x_share>\)",
    r"Memory profiling results: total_gpu_memory=<gib_card>GiB .*?peak_torch_memory=<gib_peak>GiB",
    r"Memory profiling results: .*?non_torch_memory=<gib_other>GiB kv_cache_size=<gib_pool>GiB",
    r"Memory profiling results: .*?gpu_memory_utilization=<x_share>",
    r"torch peak memory increase: <gib_activations> ?GiB; non-torch forward increase memory: <gib_other> ?GiB",
    r"Available KV cache memory: <gib_pool> GiB",
    r"available KV cache memory \(<gib_pool> ?GiB\)",
    r"GPU KV cache size: <n_tokens> tokens",
    r"# (?:GPU|cuda) blocks: <n_blocks>",
    r"Maximum concurrency for <n_length> tokens per request: <x_concurrency>x",
    r"Graph capturing finished in .*?took <gib_graphs> GiB",
    r"Estimated CUDA graph memory: <gib_estimated> GiB",
)
_SGLANG: Final = (
    r"server_args=ServerArgs\(model_path='(?P<model>[^']+)'",
    r"server_args=.*?[( ]mem_fraction_static=<x_share>",
    r"server_args=.*?[( ]tp_size=<n_tensor>",
    r"server_args=.*?[( ]pp_size=<n_pipeline>",
    r"server_args=.*?[( ]quantization='(?P<quantization>[\w-]+)'",
    r"server_args=.*?[( ]kv_cache_dtype='(?P<cache>\w+)'",
    r"server_args=.*?[( ]context_length=<n_length>",
    r"server_args=.*?[( ]max_running_requests=<n_sequences>",
    r"sglang[ =]+v?(?P<version>\d+\.\d+[\w.]*)",
    r"Load weight begin\. avail mem=<gib_card> GB",
    r"Load weight end\..*?mem usage=<gib_weights> GB",
    r"KV Cache is allocated\..*?K size: <gib_keys> GB, V size: <gib_values> GB",
    r"KV Cache is allocated\..*?KV size: <gib_pool> GB",
    r"KV Cache is allocated\..*?#tokens: <n_tokens>",
    r"max_total_num_tokens=<n_tokens>",
    r"Capture (?:decode )?cuda graph end\..*?mem usage=<gib_graphs> GB",
)
_TGI: Final = (
    r"text_generation_launcher: Args \{ model_id: \"(?P<model>[^\"]+)\"",
    r"text_generation_launcher: Args \{.*? num_shard: Some\(<n_tensor>\)",
    r"text_generation_launcher: Args \{.*? quantize: Some\((?P<quantization>\w+)\)",
    r"text_generation_launcher: Args \{.*? dtype: Some\((?P<dtype>\w+)\)",
    r"text_generation_launcher: Args \{.*? max_total_tokens: (?:Some\()?<n_length>",
    r"text_generation_launcher: Args \{.*? cuda_memory_fraction: <x_share>",
    r"Setting max batch total tokens to <n_tokens>",
    r"KV-cache blocks: <n_tokens>, size: 1\b",
    r"text_generation_router.*?\bVersion:? v?(?P<version>\d+\.\d+[\w.]*)",
    r"text-generation-(?:inference|router)[ :/@]+v?(?P<version>\d+\.\d+[\w.]*)",
)
_TENSORRT: Final = (
    r"TensorRT-LLM version: v?(?P<version>[\w.]+)",
    r"Engine version (?P<version>\d[\w.]+) found in the config file",
    r"Loaded engine size: <mib_weights> MiB",
    r"Allocated <mib_execution> MiB for execution context memory",
    r"Memory usage when calculating max tokens in paged kv cache: total: <gib_card> GiB, available: <gib_free> GiB",
    r"device total memory <gib_card> GiB",
    r"Allocated <gib_pool> GiB for max tokens in paged KV cache \(<n_tokens>\)",
    r"Using <n_tokens> tokens in paged KV cache",
    r"TRTGptModel maxBatchSize: <n_sequences>",
    r"TRTGptModel maxSequenceLen: <n_length>",
)

WORDINGS: Final = {
    "vllm": tuple(_with_numbers(text) for text in _VLLM),
    "sglang": tuple(_with_numbers(text) for text in _SGLANG),
    "tgi": tuple(_with_numbers(text) for text in _TGI),
    "tensorrt-llm": tuple(_with_numbers(text) for text in _TENSORRT),
}

NEWS: Final = re.compile(
    r"vLLM API server v|LLM engine|args: Namespace\(|non-default args|model weights|Model loading|GiB|KV [Cc]ache"
    r"|blocks: \d|Maximum concurrency|Graph capturing|server_args|sglang[ =]|Load weight|max_total_num_tokens|graph end"
    r"|launcher: Args|text-generation-|total tokens to|KV-cache blocks|TensorRT-LLM version|Engine version"
    r"|text_generation_router.*Version|Loaded engine size|paged KV cache|paged kv cache|TRTGptModel max"
    r"|execution context"
)
"""A line without any of this says nothing."""

STARTED: Final = re.compile(
    r"vLLM API server version|Initializing an? (?:V[01] )?LLM engine|server_args=ServerArgs\(|launcher: Args \{"
)
"""An engine begins to start."""

OPENED: Final = re.compile(r"launcher: Args \{\s*$")
"""What follows, down to a line that is `}`, is one structure."""

ENDED: Final = re.compile(r"\d:\d\d[.\d]*Z?\s+(?:INFO|WARN|ERROR)\b")
"""A line with a time of its own: the structure before it was cut off."""

FAILED: Final = re.compile(
    r"(torch\.(?:cuda\.)?OutOfMemoryError: .{0,200}|CUDA out of memory\..{0,160}"
    r"|No available memory for the cache blocks|To serve at least one request .{0,300}"
    r"|The model's max seq len .{0,300}|Not enough memory\. .{0,200}|CUDA runtime error .{0,120}out of memory)"
)
"""Why a start-up ended."""
