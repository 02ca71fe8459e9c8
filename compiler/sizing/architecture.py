"""The facts of one model that every estimate reads, and how they are read from a `config.json`.

Called by the catalogue, the lock, checks and `llmops size`. Reading never guesses in silence: a fact that the
estimates need and that neither the keys nor the family's documented default gives is named in `missing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from compiler.sizing.families.facts import Facts
from compiler.sizing.families.positions import read_positions
from compiler.sizing.families.reading import language_facts, read_structure
from compiler.sizing.families.storage import read_dtype, read_quantization
from compiler.sizing.json_values import Json
from compiler.sizing.layers import AttentionCache, LatentCache, Layer, Matrix, Part, Quantization, StateCache, Task

MOST_BYTES = 2**60
"""No checkpoint is larger: an index that says so is wrong, and its count is no fact."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Facts of one model. Numbers that are not known are 0 and named in `missing`."""

    name: str
    model_type: str
    task: Task
    hidden_size: int
    layers: tuple[Layer, ...]
    """The distinct kinds of layers."""
    pattern: tuple[int, ...]
    """For each layer in order, the index of its kind in `layers`."""
    outside: tuple[Matrix, ...]
    """Embeddings, the head (absent when tied), the final norm and other weights beside the layers."""
    vision: tuple[Matrix, ...] = ()
    """Encoders of pictures and sound with their projectors."""
    draft: tuple[Matrix, ...] = ()
    """Multi-token-prediction layers in the checkpoint: loaded only for speculative decoding."""
    heads: int
    """Attention heads of the principal attention layer; 0 for models without attention."""
    key_value_heads: int
    head_dim: int
    intermediate_size: int
    """Width of the dense MLP, as the configuration gives it."""
    vocabulary_size: int
    tied_embeddings: bool
    max_positions: int | None
    """Longest context that the configuration declares, in tokens, a rope factor included where it is known to apply."""
    rope_factor: float = 1.0
    """The factor of a rope scaling that is *not* in `max_positions`."""
    dtype: str | None = None
    """`bfloat16`, `float16` or `float32`: what the checkpoint declares."""
    quantization: Quantization | None = None
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate_size: int = 0
    multimodal: bool = False
    """Engines profile an encoder beside the language model."""
    weight_bytes: int | None = None
    """Exact bytes of the checkpoint's tensors (`metadata.total_size` of the safetensors index), where known."""
    class_name: str | None = None
    """The first of `architectures`, what engines look up."""
    missing: tuple[str, ...] = ()
    """Facts that were needed and not given, by their configuration keys."""
    assumed: tuple[str, ...] = ()
    """What was taken for granted, in words: a family that is not known. Verdicts are lowered by it."""

    @property
    def layer_count(self) -> int:
        """Layers in order, of whatever kind."""
        return len(self.pattern)

    @property
    def hybrid(self) -> bool:
        """Whether layers keep caches of different kinds (windows beside full attention, states beside keys)."""
        return len({_cache_kind(layer) for layer, _ in self.stage() if layer.caches}) > 1

    @property
    def latent(self) -> bool:
        """Whether attention keeps one latent vector (MLA), which tensor parallelism replicates."""
        return any(isinstance(cache, LatentCache) for layer in self.layers for cache in layer.caches)

    def stage(self, start: int = 0, stop: int | None = None) -> tuple[tuple[Layer, int], ...]:
        """Each kind of layer among the layers [start, stop) with how often it occurs."""
        counts = Counter(self.pattern[start:stop])
        return tuple((self.layers[index], count) for index, count in sorted(counts.items()))

    def matrices(self) -> Iterator[tuple[Matrix, int]]:
        """Every matrix with how often it occurs: outside, layers, vision (drafts are not part of the model)."""
        for matrix in self.outside:
            yield matrix, 1
        for layer, count in self.stage():
            for matrix in layer.matrices:
                yield matrix, count
        for matrix in self.vision:
            yield matrix, 1

    @cached_property
    def parameters(self) -> int:
        """All parameters, tied weights once; multi-token-prediction layers apart."""
        return sum(matrix.parameters * count for matrix, count in self.matrices())

    @cached_property
    def active_parameters(self) -> int:
        """Parameters that take part in one token: the chosen experts only, without encoders of pictures."""
        return sum(m.active_parameters * count for m, count in self.matrices() if m.part is not Part.VISION)


def read_architecture(config: Mapping[str, Json], *, name: str, weight_bytes: int | None = None) -> Architecture:
    """The facts of a model from the keys of its `config.json`, whatever the family.

    `weight_bytes` is the checkpoint's `metadata.total_size`, where known. Never raises for a strange configuration:
    what is absent, of another type or beyond all bounds (`families.facts`) is named in `missing`.
    """
    missing: list[str] = []
    facts = language_facts(config, missing)
    outer = Facts(config, str(config.get("model_type") or ""), missing)
    read = read_structure(facts, outer)
    positions, factor = read_positions(facts)
    return Architecture(
        name=name,
        model_type=outer.model_type or facts.model_type,
        task=read.task,
        hidden_size=read.hidden_size,
        layers=tuple(read.layers),
        pattern=tuple(read.pattern),
        outside=tuple(read.outside),
        vision=tuple(read.vision),
        draft=tuple(read.draft),
        heads=read.heads,
        key_value_heads=read.key_value_heads,
        head_dim=read.head_dim,
        intermediate_size=read.intermediate_size,
        vocabulary_size=read.vocabulary_size,
        tied_embeddings=read.tied,
        max_positions=positions,
        rope_factor=factor,
        dtype=read_dtype(outer) or read_dtype(facts),
        quantization=read_quantization(outer) or read_quantization(facts),
        experts=read.experts,
        experts_per_token=read.experts_per_token,
        expert_intermediate_size=read.expert_intermediate_size,
        multimodal=read.multimodal,
        weight_bytes=weight_bytes if weight_bytes is not None and 0 < weight_bytes <= MOST_BYTES else None,
        class_name=next(iter(outer.words("architectures")), None),
        missing=tuple(missing),
        assumed=tuple(read.assumed),
    )


def _cache_kind(layer: Layer) -> tuple[object, ...]:
    kinds: list[object] = []
    for cache in layer.caches:
        match cache:
            case AttentionCache():
                kinds.append(("attention", cache.window))
            case LatentCache():
                kinds.append("latent")
            case StateCache():
                kinds.append("state")
    return tuple(kinds)
