"""Encoders of pictures with their projectors. Called by the family dispatcher.

A tower is a stack of attention and MLP; towers differ by biases, gates, norms and what stands at the ends. A tower that
is not known is named among what was taken for granted, and its weights are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from compiler.sizing.families.facts import Facts
from compiler.sizing.layers import Matrix, Part, Split


@dataclass(frozen=True, kw_only=True)
class _Tower:
    """What differs between towers. Counts of biases: of the four attention linears, of the MLP's."""

    attention_biases: int = 4
    gated: bool = False
    mlp_bias: bool = True
    norm_width: int = 2
    patch_bias: bool = True
    positions: bool = True
    class_token: bool = False
    end_norms: int = 1
    scales: int = 0
    """Learned scales of the hidden size in one layer."""
    temporal: bool = False
    """Patches span `temporal_patch_size` frames."""


_SIGLIP = _Tower()
_QWEN2 = _Tower(temporal=True, patch_bias=False, positions=False, end_norms=0)
_GLM = _Tower(attention_biases=0, gated=True, mlp_bias=False, norm_width=1, temporal=True, end_norms=2)
_TOWERS: Mapping[str, _Tower] = {
    "clip_vision_model": _Tower(class_token=True, patch_bias=False, end_norms=2),
    "siglip_vision_model": _SIGLIP,
    "siglip2_vision_model": _SIGLIP,
    "idefics2_vision": _SIGLIP,
    "idefics3_vision": _SIGLIP,
    "smolvlm_vision": _SIGLIP,
    "qwen2_vl_vision": _QWEN2,
    "qwen2_5_vl_vision": _Tower(
        temporal=True, patch_bias=False, positions=False, end_norms=0, gated=True, norm_width=1
    ),
    "qwen3_vl_vision": _Tower(temporal=True, end_norms=0),
    "qwen3_vl_moe_vision": _Tower(temporal=True, end_norms=0),
    "qwen3_5_vision": _Tower(temporal=True, end_norms=0),
    "qwen3_5_moe_vision": _Tower(temporal=True, end_norms=0),
    "pixtral": _Tower(attention_biases=0, gated=True, mlp_bias=False, norm_width=1, patch_bias=False, positions=False),
    "internvl_vision": _Tower(attention_biases=1, class_token=True, scales=2, end_norms=0),
    "intern_vit_6b": _Tower(class_token=True, scales=2, end_norms=0),
    "glm4v_vision": _GLM,
    "glm4v_moe_vision": _GLM,
    "llama4_vision_model": _Tower(class_token=True, patch_bias=False, end_norms=2),
}

_BY_OUTER: Mapping[str, str] = {
    "llava": "clip_vision_model",
    "llava_next": "clip_vision_model",
    "llava_onevision": "siglip_vision_model",
    "gemma3": "siglip_vision_model",
    "paligemma": "siglip_vision_model",
    "qwen2_vl": "qwen2_vl_vision",
    "qwen2_5_vl": "qwen2_5_vl_vision",
    "qwen3_vl": "qwen3_vl_vision",
    "qwen3_vl_moe": "qwen3_vl_moe_vision",
    "qwen3_5": "qwen3_5_vision",
    "qwen3_5_moe": "qwen3_5_moe_vision",
    "mistral3": "pixtral",
    "pixtral": "pixtral",
    "mllama": "mllama_vision_model",
    "llama4": "llama4_vision_model",
    "glm4v": "glm4v_vision",
    "glm4v_moe": "glm4v_moe_vision",
    "internvl": "internvl_vision",
    "internvl_chat": "intern_vit_6b",
    "idefics2": "idefics2_vision",
    "idefics3": "idefics3_vision",
    "smolvlm": "smolvlm_vision",
}


def read_vision(outer: Facts, hidden: int) -> tuple[list[Matrix], str | None]:
    """(weights of the tower and the projector into `hidden` features, the tower's name where it is not known)."""
    config = outer.under("vision_config") or {}
    named = config.get("model_type")
    expected = _BY_OUTER.get(outer.model_type, "")
    kind = named if isinstance(named, str) and (named in _TOWERS or not expected) else expected
    kind = expected if kind in {"", outer.model_type} else kind
    facts = Facts(config, kind, outer.missing)
    if kind == "mllama_vision_model":
        return _mllama(facts, hidden), None
    tower = _TOWERS.get(kind)
    if tower is None:
        return [], kind or outer.model_type
    return [*_stack(facts, tower), *_ends(facts, tower), *_projector(outer, facts, hidden)], None


def _linear(name: str, inputs: int, outputs: int, split: Split, *, copies: int = 1, bias: bool = False) -> Matrix:
    return Matrix(name=name, part=Part.VISION, inputs=inputs, outputs=outputs, split=split, copies=copies, bias=bias)


def _vector(name: str, parameters: int) -> Matrix:
    return Matrix(name=name, part=Part.VISION, inputs=1, outputs=parameters, linear=False)


def _sizes(facts: Facts) -> tuple[int, int, int]:
    """(hidden, layers, width of the MLP) of a tower."""
    hidden = facts.number("embed_dim") if facts.model_type == "qwen2_vl_vision" else facts.needed("hidden_size")
    layers = facts.number("depth") or facts.needed("num_hidden_layers")
    width = int(facts.share("mlp_ratio") * hidden) if facts.model_type == "qwen2_vl_vision" else 0
    if facts.model_type.startswith("glm4v"):
        width = facts.needed("out_hidden_size")
    return hidden, layers, width or facts.needed("intermediate_size")


def _stack(facts: Facts, tower: _Tower) -> list[Matrix]:
    hidden, layers, width = _sizes(facts)
    biases = tower.attention_biases
    made = [
        _linear("attn.qkv", hidden, 3 * hidden, Split.COLUMN, copies=layers, bias=biases == 4),
        _linear("attn.proj", hidden, hidden, Split.ROW, copies=layers, bias=biases > 0),
        _linear("mlp.up", hidden, width, Split.COLUMN, copies=layers, bias=tower.mlp_bias),
        _linear("mlp.down", width, hidden, Split.ROW, copies=layers, bias=tower.mlp_bias),
        _vector("norms", layers * hidden * (2 * tower.norm_width + tower.scales)),
    ]
    if tower.gated:
        made.append(_linear("mlp.gate", hidden, width, Split.COLUMN, copies=layers, bias=tower.mlp_bias))
    return made


def _ends(facts: Facts, tower: _Tower) -> list[Matrix]:
    hidden, _, _ = _sizes(facts)
    patch = facts.number("patch_size") or next(iter(facts.numbers("patch_size")), 0) or 14
    image = facts.number("image_size") or next(iter(facts.numbers("image_size")), 0)
    channels = facts.number("num_channels") or facts.number("in_channels") or 3
    frames = facts.number("temporal_patch_size") or 1 if tower.temporal else 1
    parameters = hidden * channels * patch * patch * frames + (hidden if tower.patch_bias else 0)
    parameters += tower.end_norms * tower.norm_width * hidden
    if tower.positions:
        rows = facts.number("num_position_embeddings") or facts.number("num_patches") or (image // patch) ** 2
        parameters += (rows + (1 if tower.class_token else 0)) * hidden
    if tower.class_token:
        parameters += hidden
    if facts.model_type.startswith("siglip") and facts.flag("vision_use_head", default=True):
        parameters += _pooling_head(facts, hidden)
    return [_vector("ends", parameters)]


def _pooling_head(facts: Facts, hidden: int) -> int:
    width = facts.needed("intermediate_size")
    return 4 * hidden * (hidden + 1) + 2 * hidden * width + width + 4 * hidden


def _projector(outer: Facts, tower: Facts, hidden: int) -> list[Matrix]:
    make = _PROJECTORS.get(outer.model_type, _two_layers)
    return make(outer, tower, hidden)


def _two_layers(outer: Facts, tower: Facts, hidden: int) -> list[Matrix]:
    inputs, _, _ = _sizes(tower)
    bias = outer.flag("multimodal_projector_bias", default=True)
    return [
        _linear("linear_1", inputs, hidden, Split.NONE, bias=bias),
        _linear("linear_2", hidden, hidden, Split.NONE, bias=bias),
    ]


def _gemma(outer: Facts, tower: Facts, hidden: int) -> list[Matrix]:
    del outer
    inputs, _, _ = _sizes(tower)
    return [_vector("projector", inputs * hidden + inputs)]


def _paligemma(outer: Facts, tower: Facts, hidden: int) -> list[Matrix]:
    del outer
    inputs, _, _ = _sizes(tower)
    return [_linear("projector", inputs, hidden, Split.NONE, bias=True)]


def _mistral(outer: Facts, tower: Facts, hidden: int) -> list[Matrix]:
    inputs, _, _ = _sizes(tower)
    merge = outer.number("spatial_merge_size") or 1
    bias = outer.flag("multimodal_projector_bias")
    return [
        _vector("norm", inputs),
        _linear("patch_merger", inputs * merge * merge, inputs, Split.NONE),
        _linear("linear_1", inputs, hidden, Split.NONE, bias=bias),
        _linear("linear_2", hidden, hidden, Split.NONE, bias=bias),
    ]


def _merger(outer: Facts, tower: Facts, hidden: int) -> list[Matrix]:
    """Qwen: pictures' patches merged four to one; Qwen3-VL merges inner layers too."""
    inputs, _, _ = _sizes(tower)
    outputs = tower.number("out_hidden_size") if outer.model_type != "qwen2_vl" else tower.number("hidden_size")
    merge = (tower.number("spatial_merge_size") or 2) ** 2
    width = inputs * merge
    norm = 1 if outer.model_type == "qwen2_5_vl" else 2
    made = [
        _linear("merger.fc1", width, width, Split.COLUMN, bias=True),
        _linear("merger.fc2", width, outputs or hidden, Split.ROW, bias=True),
        _vector("merger.norm", norm * inputs),
    ]
    deep = len(tower.numbers("deepstack_visual_indexes")) if outer.model_type.startswith("qwen3_vl") else 0
    if not deep and outer.model_type.startswith("qwen3_vl") and not tower.given("deepstack_visual_indexes"):
        deep = 3
    if deep:
        made.append(_linear("deepstack.fc1", width, width, Split.COLUMN, copies=deep, bias=True))
        made.append(_linear("deepstack.fc2", width, outputs or hidden, Split.ROW, copies=deep, bias=True))
        made.append(_vector("deepstack.norm", deep * 2 * width))
    return made


def _glm(outer: Facts, tower: Facts, hidden: int) -> list[Matrix]:
    """GLM-4V: four patches convolved to one, then a gated MLP as wide as the language model's."""
    del outer
    inputs, _, out = _sizes(tower)
    wide, merge = tower.needed("intermediate_size"), (tower.number("spatial_merge_size") or 2) ** 2
    return [
        _vector("downsample", out * inputs * merge + out),
        _linear("merger.proj", out, hidden, Split.COLUMN),
        _vector("merger.norm", 2 * hidden),
        _linear("merger.gate", hidden, wide, Split.COLUMN),
        _linear("merger.up", hidden, wide, Split.COLUMN),
        _linear("merger.down", wide, hidden, Split.ROW),
    ]


def _internvl(outer: Facts, tower: Facts, hidden: int) -> list[Matrix]:
    inputs, _, _ = _sizes(tower)
    wide = int(inputs / ((outer.share("downsample_ratio") or 0.5) ** 2))
    return [
        _vector("layer_norm", 2 * wide),
        _linear("linear_1", wide, hidden, Split.NONE, bias=True),
        _linear("linear_2", hidden, hidden, Split.NONE, bias=True),
    ]


def _llama4(outer: Facts, tower: Facts, hidden: int) -> list[Matrix]:
    del outer
    width, between = tower.needed("intermediate_size"), tower.number("projector_input_dim")
    outputs = tower.number("projector_output_dim")
    return [
        _linear("adapter.fc1", width, between, Split.COLUMN),
        _linear("adapter.fc2", outputs, outputs, Split.ROW),
        _linear("projector", tower.number("vision_output_dim"), hidden, Split.NONE),
    ]


def _idefics3(outer: Facts, tower: Facts, hidden: int) -> list[Matrix]:
    inputs, _, _ = _sizes(tower)
    return [_linear("connector", inputs * (outer.number("scale_factor") or 2) ** 2, hidden, Split.NONE)]


_PROJECTORS: Mapping[str, Callable[[Facts, Facts, int], list[Matrix]]] = {
    "gemma3": _gemma,
    "paligemma": _paligemma,
    "mistral3": _mistral,
    "qwen2_vl": _merger,
    "qwen2_5_vl": _merger,
    "qwen3_vl": _merger,
    "qwen3_vl_moe": _merger,
    "qwen3_5": _merger,
    "qwen3_5_moe": _merger,
    "glm4v": _glm,
    "glm4v_moe": _glm,
    "internvl": _internvl,
    "internvl_chat": _internvl,
    "llama4": _llama4,
    "idefics3": _idefics3,
    "smolvlm": _idefics3,
}


def _mllama(facts: Facts, hidden: int) -> list[Matrix]:
    """Llama 3.2 Vision: 32 layers, 8 gated global ones, tables of positions for each number of tiles."""
    size, width = facts.needed("hidden_size"), facts.needed("intermediate_size")
    local, wide = facts.needed("num_hidden_layers"), facts.number("num_global_layers") or 8
    layers = local + wide
    patches = (facts.needed("image_size") // max(1, facts.needed("patch_size"))) ** 2 + 1
    tiles = facts.number("max_num_tiles") or 4
    ratios = 9  # (1 + 8 aspect ratios of up to four tiles)
    tables = ratios * tiles * patches * size + 2 * ratios * tiles * size + patches * size + 3
    ends = size + size * 3 * facts.number("patch_size") ** 2 + 4 * size
    return [
        _linear("attn.qkv", size, 3 * size, Split.COLUMN, copies=layers),
        _linear("attn.proj", size, size, Split.ROW, copies=layers),
        _linear("mlp.fc1", size, width, Split.COLUMN, copies=layers, bias=True),
        _linear("mlp.fc2", width, size, Split.ROW, copies=layers, bias=True),
        _vector("norms", layers * 4 * size + 2 * wide),
        _vector("ends", tables + ends),
        _linear("projector", facts.needed("vision_output_dim"), hidden, Split.NONE, bias=True),
    ]
