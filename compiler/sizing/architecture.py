"""The facts of one model that every estimate reads, and how they are read from a `config.json`.

Called by the catalogue, the lock, checks and `llmops size`. Reading never guesses in silence: a fact that the
estimates need and that neither the keys nor the family's documented default gives is named in `missing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from compiler.sizing.layers import AttentionCache, LatentCache, Layer, Matrix, Part, StateCache

Task = Literal["causal", "encoder", "encoder-decoder"]


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """The `quantization_config` of a checkpoint: how its linear weights are stored."""

    format: str
    """A name of `compiler.sizing.formats`."""
    kept: tuple[str, ...] = ()
    """Modules left in 16 bits, as the checkpoint lists them: names, parts of names, `re:` patterns."""


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
    """Width of the widest MLP that works on every token (for mixtures of experts without one, of all active experts)."""
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
