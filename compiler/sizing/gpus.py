"""GPUs as data: what memory a process sees, how fast the card is, and by which names people and nodes call it.

Called by the serving, training and throughput estimates, by `llmops size`, and by checks on GPU types and features.
Pure: reads `catalogue/gpus.yaml` of this package once. A name that fits several cards is never settled by guessing:
`find_gpu` answers only where the name, or the name with the memory, leaves one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, NewType

from compiler.sizing.catalogue_files import Record, read_catalogue

GpuName = NewType("GpuName", str)
Basis = Literal["measured", "datasheet", "given"]
"""`measured`: printed by torch or nvidia-smi in public logs. `datasheet`: the vendor's word, not verified here.
`given`: by who asks."""

GIB: Final = 2**30
SAME_MEMORY: Final = 0.06
"""Cards whose visible memory lies within this share of a stated figure may be meant by it: marketing GB, MiB figures of
clouds and torch's own differ by up to 8.5 %, sizes of one card by 50 % and more."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One card, or one die of a card where the driver shows them apart."""

    name: GpuName
    vendor: Literal["nvidia", "amd", "intel"]
    marketed_gb: int
    visible_bytes: int
    """What torch reports as total memory, always below the marketing size."""

    visible_basis: Basis
    bandwidth_bytes_per_second: float
    """Of the vendor's datasheet, as the peaks are."""

    tflops: Mapping[str, float]
    """Dense peak by format (`bf16`, `fp16`, `fp8`, `fp4`, `int8`), without sparsity, fp32 accumulation. A format that
    the tensor cores do not have is absent."""

    compute_capability: tuple[int, int] | None
    """CUDA's (major, minor); None where the vendor is not NVIDIA."""

    link: str
    """How cards of one node reach each other: `PCIe4`, `NVLink`, `bridge`, …"""

    product_labels: tuple[str, ...]
    """Beginnings of the node label `nvidia.com/gpu.product`, which may go on with `-SHARED`."""

    aliases: tuple[str, ...]
    source: str

    @property
    def has_bf16(self) -> bool:
        """The card computes in bfloat16 (compute capability 8.0 and above, or AMD Instinct)."""
        return "bf16" in self.tflops

    @property
    def has_native_fp8(self) -> bool:
        """The card multiplies in 8-bit floats (8.9 and above); below it engines keep FP8 weights and compute in 16."""
        return "fp8" in self.tflops


def find_gpu(name: str, *, memory_bytes: int | None = None) -> Gpu | None:
    """The card of that name, alias or product label; None where no card has it or several have.

    `memory_bytes` (total, as printed by a log or marketed) tells cards of one name apart. It is not a filter: where the
    name leaves one card, that one is the answer and the caller compares the memory.
    """
    found = gpus_named(name)
    if len(found) > 1 and memory_bytes is not None:
        found = _of_memory(found, memory_bytes)
    return found[0] if len(found) == 1 else None


def gpus_named(name: str) -> tuple[Gpu, ...]:
    """All cards that people mean by that name, in the catalogue's order: `A100` is two. A MIG slice is no card."""
    key = _key(name)
    if not key or _SLICE.search(name):
        return ()
    return _by_key().get(key) or _labelled(name) or _with_memory_apart(name)


def all_gpus() -> tuple[Gpu, ...]:
    """Every card of the catalogue, in its order."""
    return _catalogue()


def _of_memory(gpus: tuple[Gpu, ...], memory_bytes: int) -> tuple[Gpu, ...]:
    def distance(gpu: Gpu) -> float:
        seen, marketed = gpu.visible_bytes, gpu.marketed_gb * GIB
        return min(abs(memory_bytes - seen), abs(memory_bytes - marketed)) / seen

    nearest = min(gpus, key=distance, default=None)
    return (nearest,) if nearest is not None and distance(nearest) <= SAME_MEMORY else ()


def _labelled(name: str) -> tuple[Gpu, ...]:
    label = "-".join(re.sub(r"[()]", "", name).split()).casefold()
    hits = [
        (len(prefix), gpu)
        for gpu in _catalogue()
        for prefix in gpu.product_labels
        if label == prefix.casefold() or label.startswith(prefix.casefold() + "-")
    ]
    longest = max((length for length, _ in hits), default=0)
    return tuple(gpu for length, gpu in hits if length == longest)


def _with_memory_apart(name: str) -> tuple[Gpu, ...]:
    """Cards of a name that holds its memory where no alias has it: `A100 80G SXM4`."""
    memory = _MEMORY.search(name)
    if memory is None:
        return ()
    rest = _by_key().get(_key(_MEMORY.sub(" ", name)), ())
    return _of_memory(rest, int(memory.group(1)) * GIB)


_NOISE: Final = re.compile(r"nvidia|geforce|tesla|amd|instinct|quadro|intel|generation|graphics|radeon|[^a-z0-9]")
_COUNT: Final = re.compile(r"^\s*\d+\s*[x×*]\s*(?=[a-z])|\s+[x×*]\s*\d{1,2}\s*$", re.IGNORECASE)
_MEMORY: Final = re.compile(r"(?<![a-z0-9])(\d{1,3})\s*gi?b?(?![a-z0-9])", re.IGNORECASE)
_SLICE: Final = re.compile(r"\bMIG\b", re.IGNORECASE)


def _key(name: str) -> str:
    """The name without vendor words, blanks and a count: `2x NVIDIA GeForce RTX 4090` is `rtx4090`."""
    return _NOISE.sub("", _COUNT.sub("", name).casefold())


@cache
def _by_key() -> Mapping[str, tuple[Gpu, ...]]:
    found: dict[str, list[Gpu]] = {}
    for gpu in _catalogue():
        keys = {_key(word) for word in (gpu.name, *gpu.aliases, *gpu.product_labels)}
        for key in keys:
            found.setdefault(key, []).append(gpu)
    return {key: tuple(gpus) for key, gpus in found.items()}


@cache
def _catalogue() -> tuple[Gpu, ...]:
    return tuple(_gpus(read_catalogue("gpus.yaml")))


def _gpus(root: Record) -> Iterator[Gpu]:
    for record in root.records("gpus"):
        capability = record.text_or_none("computeCapability")
        yield Gpu(
            name=GpuName(record.text("name")),
            vendor=record.one_of("vendor", ("nvidia", "amd", "intel")),
            marketed_gb=int(record.number("marketedGb")),
            visible_bytes=int(record.number("visibleGib") * GIB),
            visible_basis=record.one_of("visibleFrom", ("measured", "datasheet")),
            bandwidth_bytes_per_second=record.number("bandwidthGbs") * 1e9,
            tflops=record.numbers("tflops"),
            compute_capability=_capability(capability),
            link=record.text("link"),
            product_labels=record.texts("labels"),
            aliases=record.texts("aliases"),
            source=record.text("source"),
        )


def _capability(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    major, minor = text.split(".")
    return int(major), int(minor)
