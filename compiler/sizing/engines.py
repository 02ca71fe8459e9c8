"""Engines by version as data: the defaults that decide a memory budget, and the names that change between versions.

Called by the serving estimates and by checks on engine compatibility. Pure: reads `catalogue/engines.yaml` once.
`find_engine` never falls back in silence: for a version outside the catalogue it gives the nearest one's facts with
`known` false, and who uses them lowers its verdict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, Literal, NewType

from compiler.sizing.catalogue_files import Record, read_catalogue

ArchitectureName = NewType("ArchitectureName", str)
"""A class name of `config.json`'s `architectures`: `LlamaForCausalLM`."""

EngineName = Literal["vllm", "sglang", "tgi", "tensorrt-llm", "triton"]
ENGINE_NAMES: Final[tuple[EngineName, ...]] = ("vllm", "sglang", "tgi", "tensorrt-llm", "triton")
Usage = Literal["server", "offline"]
"""`server`: the OpenAI API server. `offline`: the library called in a program."""

Sampler = Literal["pytorch", "flashinfer"]
Support = Literal["supported", "unsupported", "unknown"]
Version = tuple[int, ...]
GIB: Final = 2**30


@dataclass(frozen=True, kw_only=True)
class SchedulerDefaults:
    """What the engine takes where the user sets neither."""

    max_num_seqs: int
    max_num_batched_tokens: int | None
    """None: the longest sequence sets it (vLLM before chunked prefill)."""


@dataclass(frozen=True, kw_only=True)
class SchedulerRule:
    """Defaults that hold for one usage, from a card size on."""

    usage: Usage | None
    """None: for both."""

    memory_bytes_at_least: int
    except_gpus: tuple[str, ...]
    """Words that the card's name must not hold (vLLM treats the A100 as a small card)."""

    only_gpus: tuple[str, ...]
    """Words of which the card's name must hold one; empty: any card."""

    defaults: SchedulerDefaults

    def covers(self, *, usage: Usage, gpu_name: str, memory_bytes: int) -> bool:
        """The rule speaks of this usage on this card."""
        name = gpu_name.casefold()
        return (
            self.usage in (None, usage)
            and memory_bytes >= self.memory_bytes_at_least
            and not any(word in name for word in self.except_gpus)
            and (not self.only_gpus or any(word in name for word in self.only_gpus))
        )


@dataclass(frozen=True, kw_only=True)
class EngineVersion:
    """The facts of one engine at one version."""

    engine: EngineName
    version: str
    """As it was asked for."""

    facts_from: str
    """The version of the record that the facts come from."""

    known: bool
    """False: the version is outside the catalogue, or no version; the facts are the nearest record's."""

    number: Version
    """`(0, 8, 5)`; the nearest record's where the version is not a number."""

    gpu_memory_fraction: float | None
    """Default share of the card (vLLM `gpu_memory_utilization`, TGI `cuda_memory_fraction`) or of what is free after
    load (TensorRT-LLM `free_gpu_memory_fraction`); None where the engine derives it (SGLang)."""

    core: str
    """Generation of the engine's scheduler and profiler: vLLM `v0` or `v1`; otherwise the engine's name."""

    chunked_prefill: Literal["on", "off", "long-context"]
    """`long-context`: on only where the declared length is above 32k (vLLM V0 from 0.5.4)."""

    sampler: Sampler
    """Which top-k/top-p sampler the start-up profile runs in the official image: `pytorch` sorts the logits,
    `flashinfer` stands for every kernel that does not (FlashInfer's, or the engine's own in Triton)."""

    graphs_in_budget: bool
    """An estimate of the CUDA graphs is taken off the KV pool (vLLM from 0.21); before, they came out of the rest."""

    block_tokens: int
    scheduler_rules: tuple[SchedulerRule, ...]
    """In order; the first that covers the case holds."""

    cuda_major: int
    """Major CUDA version of the released wheels and images."""

    cuda: str
    metrics: Mapping[str, str]
    """Prometheus name by role: `running`, `waiting`, `kv-usage`, `ttft`, `tpot`, `e2e`, `prompt-tokens`,
    `generation-tokens`, `preemptions`. A role that the version does not measure is absent."""

    source: str

    def scheduler_defaults(self, *, usage: Usage, gpu_name: str, memory_bytes: int) -> SchedulerDefaults | None:
        """Sequences and batched tokens by default on that card (`memory_bytes` as torch reports); None: no record."""
        for rule in self.scheduler_rules:
            if rule.covers(usage=usage, gpu_name=gpu_name, memory_bytes=memory_bytes):
                return rule.defaults
        return None


def engine_name(text: str) -> EngineName | None:
    """The engine that the text names: `vLLM`, `TRT-LLM`, `text-generation-inference`; None where no one is.

    Triton with its back end, `triton+vllm` or `Triton/TensorRT-LLM`, is the back end, for it holds the memory.
    """
    letters = re.sub(r"[^a-z]", "", text.casefold())
    backend = _ALIASES.get(re.sub(r"^triton(inferenceserver|server)?", "", letters))
    if backend in ("vllm", "tensorrt-llm"):
        return backend
    return _ALIASES.get(letters)


_ALIASES: Final[Mapping[str, EngineName]] = {
    "vllm": "vllm",
    "sglang": "sglang",
    "sgl": "sglang",
    "tgi": "tgi",
    "textgenerationinference": "tgi",
    "tensorrtllm": "tensorrt-llm",
    "trtllm": "tensorrt-llm",
    "tensorrt": "tensorrt-llm",
    "triton": "triton",
    "tritonserver": "triton",
    "tritoninferenceserver": "triton",
}


@lru_cache(maxsize=256)
def find_engine(engine: EngineName, version: str | None = None) -> EngineVersion:
    """The engine's facts at that version; without one (None or empty), the newest of the catalogue, as known.

    `0.8`, `v0.8.5`, `0.8.5.post1` and `0.8.5-cu124` all read as numbers. A text that does not (`nightly`), a version
    past the newest record's reach or before the first gives the nearest facts with `known` false.
    """
    line = _lines()[engine]
    if not version:
        return _facts(line, asked=line.newest, number=version_number(line.newest), known=True)
    number = version_number(version)
    known = line.first <= number and not _beyond(number, version_number(line.newest))
    return _facts(line, asked=version, number=number or version_number(line.newest), known=known)


@lru_cache(maxsize=1024)
def version_number(text: str) -> Version:
    """The leading numbers of a version, without trailing zeros' meaning: `v0.8.5.post1` is (0, 8, 5); `()` if none."""
    match = re.match(r"\s*v?(\d+(?:\.\d+)*)", text.casefold())
    return tuple(int(part) for part in match.group(1).split(".")) if match else ()


def architecture_support(facts: EngineVersion, architecture: str) -> tuple[Support, str | None]:
    """Whether the version serves the model class, and the first version that does (None where it is not on record).

    A class that the catalogue does not know is `unknown`, as is any class under an unknown version older than its own.
    """
    since = _lines()[facts.engine].architectures.get(ArchitectureName(architecture))
    if since is None:
        return "unknown", None
    if facts.number >= version_number(since):
        return "supported", since
    return ("unsupported" if facts.known else "unknown"), since


@dataclass(frozen=True, kw_only=True)
class Parser:
    """A tool-call or reasoning parser of an engine."""

    name: str
    kind: Literal["tool", "reasoning"]
    families: tuple[str, ...]
    """Beginnings of catalogue names or repository names that it reads: `llama-3.1`, `qwen3`."""

    since: str


def parsers(facts: EngineVersion, kind: Literal["tool", "reasoning"]) -> tuple[Parser, ...]:
    """Parsers of that kind which the version has, in the catalogue's order."""
    line = _lines()[facts.engine]
    return tuple(one for one in line.parsers if one.kind == kind and facts.number >= version_number(one.since))


def metric_version(engine: EngineName, metric: str) -> tuple[str, str | None] | None:
    """First version that has the metric, and the first that no longer has it (None: still there); None if unknown."""
    line = _lines()[engine]
    having = [since for since, record in line.records if metric in record.metrics.values()]
    if not having:
        return None
    later = [since for since, _ in line.records if version_number(since) > version_number(having[-1])]
    return having[0], later[0] if later else None


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One engine's whole history, oldest first."""

    newest: str
    records: tuple[tuple[str, EngineVersion], ...]
    architectures: Mapping[ArchitectureName, str]
    parsers: tuple[Parser, ...]

    @property
    def first(self) -> Version:
        return version_number(self.records[0][0])


def _beyond(number: Version, newest: Version) -> bool:
    """`0.33.4` is within 0.33; `0.34` is beyond."""
    return number[: len(newest)] > newest


def _facts(line: _Line, *, asked: str, number: Version, known: bool) -> EngineVersion:
    from dataclasses import replace

    at_most = [record for since, record in line.records if version_number(since) <= number]
    base = at_most[-1] if at_most else line.records[0][1]
    return replace(base, version=asked, number=number, known=known)


@cache
def _lines() -> Mapping[EngineName, _Line]:
    root = read_catalogue("engines.yaml")
    return {name: _line(name, root.record(name)) for name in ENGINE_NAMES}


def _line(name: EngineName, record: Record) -> _Line:
    """The history of one engine. A version's record says what changed; the rest holds from the one before."""
    facts: dict[str, object] = {}
    versions: list[tuple[str, EngineVersion]] = []
    for change in record.records("versions"):
        facts = {**facts, **change.values}
        whole = Record(place=change.place, values=facts)
        versions.append((change.text("since"), _version(name, whole)))
    return _Line(
        newest=record.text("newest"),
        records=tuple(versions),
        architectures={ArchitectureName(key): value for key, value in record.words("architectures").items()},
        parsers=tuple(
            _parser(one, kind) for kind in ("tool", "reasoning") for one in record.record("parsers").records(kind)
        ),
    )


def _parser(record: Record, kind: Literal["tool", "reasoning"]) -> Parser:
    return Parser(name=record.text("name"), kind=kind, families=record.texts("families"), since=record.text("since"))


def _version(name: EngineName, record: Record) -> EngineVersion:
    since = record.text("since")
    cuda = record.text("cuda")
    return EngineVersion(
        engine=name,
        version=since,
        facts_from=since,
        known=True,
        number=version_number(since),
        gpu_memory_fraction=record.number_or_none("gpuMemoryFraction"),
        core=record.text("core"),
        chunked_prefill=record.one_of("chunkedPrefill", ("on", "off", "long-context")),
        sampler=record.one_of("sampler", ("pytorch", "flashinfer")),
        graphs_in_budget=record.flag("graphsInBudget"),
        block_tokens=int(record.number("blockTokens")),
        scheduler_rules=tuple(_rule(one) for one in record.records("scheduler")),
        cuda_major=version_number(cuda)[0],
        cuda=cuda,
        metrics=record.words("metrics"),
        source=record.text("source"),
    )


def _rule(record: Record) -> SchedulerRule:
    return SchedulerRule(
        usage=_usage(record),
        memory_bytes_at_least=int((record.number_or_none("memoryGib") or 0.0) * GIB),
        except_gpus=record.texts("except"),
        only_gpus=record.texts("only"),
        defaults=SchedulerDefaults(
            max_num_seqs=int(record.number("seqs")), max_num_batched_tokens=record.whole("tokens")
        ),
    )


def _usage(record: Record) -> Usage | None:
    if not record.has("usage"):
        return None
    usage: Usage = record.one_of("usage", ("server", "offline"))
    return usage
