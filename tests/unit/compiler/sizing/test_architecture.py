"""Facts of a model from the keys of its configuration: defaults, nesting, windows, and what is missing."""

from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compiler.sizing.architecture import Architecture, read_architecture
from compiler.sizing.gpus import all_gpus
from compiler.sizing.layers import AttentionCache, LatentCache, Part, StateCache
from compiler.sizing.legality import broken_rules
from compiler.sizing.models import all_models
from compiler.sizing.parameters import parameters_by_part
from compiler.sizing.serving import ServingRequest, size_serving
from compiler.sizing.training import TrainingRequest, size_training
from compiler.sizing.training_words import Method, read_optimizer
from llmops_spec.digests import Json

LLAMA: dict[str, Json] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192},
}


def read(**changes: Json) -> Architecture:
    return read_architecture({**LLAMA, **changes}, name="model")


def windows(architecture: Architecture) -> list[int | None]:
    caches = [architecture.layers[index].caches[0] for index in architecture.pattern]
    return [cache.window for cache in caches if isinstance(cache, AttentionCache)]


def test_a_llama_is_read_whole() -> None:
    model = read()
    assert model.parameters == 8_030_261_248
    assert (model.heads, model.key_value_heads, model.head_dim) == (32, 8, 128)
    assert (model.layer_count, model.vocabulary_size, model.max_positions) == (32, 128256, 131072)
    assert (model.dtype, model.class_name) == ("bfloat16", "LlamaForCausalLM")
    assert not model.hybrid
    assert not model.tied_embeddings
    assert model.missing == ()


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_an_absent_fact_is_named_where_no_family_knows_it(key: str) -> None:
    config = {name: value for name, value in LLAMA.items() if name != key} | {"model_type": "brand-new"}
    model = read_architecture(config, name="model")
    assert key in model.missing
    assert any("brand-new" in text for text in model.assumed)


def test_an_absent_key_of_a_known_family_means_the_default_of_its_class() -> None:
    text: dict[str, Json] = {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240}
    config: dict[str, Json] = {"model_type": "gemma3", "text_config": {**text, "num_hidden_layers": 34}}
    model = read_architecture(config, name="model")
    assert model.missing == ()
    assert (model.heads, model.key_value_heads, model.head_dim) == (8, 4, 256)
    assert model.tied_embeddings
    assert windows(model).count(None) == 34 // 6


def test_a_family_whose_shape_no_reader_knows_is_missing_not_guessed() -> None:
    model = read(model_type="rwkv")
    assert model.missing == ("model_type",)
    assert model.parameters == 0


def test_a_null_is_a_value_and_not_an_absence() -> None:
    assert set(windows(read(model_type="mistral", sliding_window=None))) == {None}
    absent = {key: value for key, value in LLAMA.items() if key != "rope_scaling"} | {"model_type": "mistral"}
    assert set(windows(read_architecture(absent, name="m"))) == {4096}


def test_a_list_of_kinds_outranks_the_rule_of_the_family() -> None:
    kinds: list[Json] = ["full_attention", *["sliding_attention"] * 31]
    model = read(model_type="gemma2", layer_types=kinds, sliding_window=512, head_dim=128)
    assert windows(model) == [None, *[512] * 31]
    assert model.hybrid


@pytest.mark.parametrize(
    ("scaling", "positions", "factor"),
    [
        ({"rope_type": "llama3", "factor": 8.0}, 131072, 1.0),
        ({"type": "linear", "factor": 4.0}, 4096, 4.0),
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, 32768, 4.0),
        ({"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096}, 163840, 1.0),
        (None, 2048, 1.0),
    ],
)
def test_a_rope_factor_counts_once(scaling: Json, positions: int, factor: float) -> None:
    model = read(rope_scaling=scaling, max_position_embeddings=positions)
    assert (model.max_positions, model.rope_factor) == (positions, factor)


def test_latent_attention_keeps_one_vector() -> None:
    model = read(
        model_type="deepseek_v3",
        kv_lora_rank=512,
        qk_rope_head_dim=64,
        qk_nope_head_dim=128,
        v_head_dim=128,
        q_lora_rank=1536,
        first_k_dense_replace=3,
    )
    assert model.latent
    assert {cache for layer in model.layers for cache in layer.caches} == {LatentCache(dim=576)}
    sparse = [any(m.part is Part.EXPERTS for m in model.layers[index].matrices) for index in model.pattern]
    assert sparse == [False] * 3 + [True] * 29


def test_hybrids_mix_states_and_keys() -> None:
    model = read(
        model_type="qwen3_next",
        head_dim=256,
        linear_num_value_heads=32,
        linear_num_key_heads=16,
        linear_key_head_dim=128,
        linear_value_head_dim=128,
        num_experts=512,
        num_experts_per_tok=10,
        mamba_ssm_dtype="float32",
    )
    kinds = [type(model.layers[index].caches[0]) for index in model.pattern]
    assert kinds == [StateCache, StateCache, StateCache, AttentionCache] * 8
    states = [cache for layer in model.layers for cache in layer.caches if isinstance(cache, StateCache)]
    assert states[0].state_bytes == 4
    assert (states[0].convolution, states[0].state) == ((2 * 2048 + 4096) * 3, 32 * 128 * 128)
    assert model.hybrid


def test_experts_count_whole_in_memory_and_chosen_in_work() -> None:
    model = read(model_type="mixtral", num_local_experts=8, num_experts_per_tok=2)
    assert (model.experts, model.experts_per_token, model.expert_intermediate_size) == (8, 2, 14336)
    parts = parameters_by_part(model)
    assert parts[Part.EXPERTS] == 32 * 8 * 3 * 4096 * 14336
    assert model.parameters - model.active_parameters == parts[Part.EXPERTS] * 6 // 8


def test_flags_of_a_wrong_type_are_as_good_as_absent() -> None:
    model = read(attention_bias="yes", num_key_value_heads=None, sliding_window="wide")
    assert model.key_value_heads == 32


def test_a_quantization_is_read_with_what_it_leaves_out() -> None:
    groups: Json = {"group_0": {"weights": {"num_bits": 4, "group_size": 128, "symmetric": True}}}
    model = read(
        quantization_config={
            "quant_method": "compressed-tensors",
            "format": "pack-quantized",
            "config_groups": groups,
            "ignore": ["lm_head", "re:.*gate$"],
        }
    )
    found = model.quantization
    assert found is not None
    assert (found.method, found.bits, found.group, found.symmetric) == ("compressed-tensors", 4, 128, True)
    assert found.kept == ("lm_head", "re:.*gate$")


def test_parts_sum_to_the_whole() -> None:
    model = read()
    assert sum(parameters_by_part(model).values()) == model.parameters
    assert parameters_by_part(model)[Part.NORMS] == (2 * 32 + 1) * 4096


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**6) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FAMILIES = ["llama", "qwen3_moe", "gemma3", "deepseek_v3", "nemotron_h", "bert", "t5", "mllama", "phi3", "nonsense", ""]
KEYS = [*LLAMA, "text_config", "vision_config", "quantization_config", "layer_types", "num_experts", "block_configs"]


@example(family="llama", changes={"model_type": None, "hidden_size": -1.0})
@example(family="qwen3_moe", changes={"intermediate_size": float("inf"), "num_experts": float("-inf")})
@settings(deadline=None)
@given(family=st.sampled_from(FAMILIES), changes=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6))
def test_no_configuration_makes_the_reader_fail(family: str, changes: Mapping[str, Json]) -> None:
    small = {key: value for key, value in LLAMA.items() if key != "num_hidden_layers"} | {"num_hidden_layers": 4}
    config = {**small, "model_type": family, **changes}
    if isinstance(config.get("num_hidden_layers"), int | float):
        config["num_hidden_layers"] = min(64, int(config["num_hidden_layers"]))  # type: ignore[arg-type]
    model = read_architecture(config, name="any")
    assert model.parameters >= 0
    assert all(0 <= index < len(model.layers) for index in model.pattern)


STRANGE: list[Json] = [
    None, True, "x", [], {}, -1, 0, 1, 3, 64, 10**5, 10**9, 10**18, 10**400, 0.5, 1e-300, 1e-4, 1e4, 1e300,
    float("inf"), float("-inf"), float("nan"), [0, 0], [1e308], [float("-inf")], ["full_attention"],
    {"factor": 1e308, "type": "linear"},
]  # fmt: skip
CARD = next(gpu for gpu in all_gpus() if gpu.name == "L4")


def _sized(config: Mapping[str, Json]) -> None:
    """Every rule runs over the configuration's facts."""
    model = read_architecture(config, name="any")
    for engine, version in (("vllm", "0.6"), ("vllm", "0.21"), ("sglang", ""), ("tgi", ""), ("tensorrt-llm", "")):
        request = ServingRequest(architecture=model, gpu=CARD, engine=engine, engine_version=version, tensor_parallel=2)
        budget = size_serving(request)
        assert budget.verdict == "unknown" or not model.missing
        assert broken_rules(request) is not None
    trainings: tuple[tuple[Method, int | None], ...] = (("full", None), ("qlora", 16))
    for method, rank in trainings:
        optimizer = read_optimizer("adamw")
        assert optimizer is not None
        question = TrainingRequest(
            architecture=model, method=method, sequence_length=512, micro_batch=1, optimizer=optimizer, lora_rank=rank
        )
        assert size_training(question).peak_bytes > 0


def _places(config: Mapping[str, Json], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The way to every key, nested ones too."""
    found: list[tuple[str, ...]] = []
    for key, value in config.items():
        found.append((*above, key))
        if isinstance(value, Mapping):
            found.extend(_places(value, (*above, key)))
    return found


def _with(config: Mapping[str, Json], place: tuple[str, ...], value: Json) -> Mapping[str, Json]:
    key, *below = place
    inner = config.get(key)
    if below and isinstance(inner, Mapping):
        return {**config, key: _with(inner, tuple(below), value)}
    return {**config, key: value}


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_no_fact_of_a_published_configuration_makes_sizing_fail_when_it_is_strange(data: st.DataObject) -> None:
    config = data.draw(st.sampled_from(all_models())).config
    for place in data.draw(st.lists(st.sampled_from(_places(config)), min_size=1, max_size=3)):
        config = _with(config, place, data.draw(st.sampled_from(STRANGE)))
    _sized(config)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rope_scaling": {"type": "linear", "factor": 1e308}}, "factor"),
        ({"hidden_size": 10**400}, "hidden_size"),
        ({"intermediate_size": float("inf")}, "intermediate_size"),
        ({"num_attention_heads": 1e300}, "num_attention_heads"),
        ({"num_attention_heads": 8192}, "head_dim"),
        ({"vocab_size": float("nan")}, "vocab_size"),
        ({"model_type": "mixtral", "num_local_experts": 10**6}, "num_experts"),
        ({"model_type": "llama4_text", "moe_layers": [10**400]}, "moe_layers"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 1e308}}, "bits"),
    ],
)
def test_a_fact_beyond_all_bounds_is_missing(changes: Mapping[str, Json], named: str) -> None:
    config: dict[str, Json] = {**LLAMA, "num_local_experts": 8, "num_experts_per_tok": 2, **changes}
    assert named in read_architecture(config, name="model").missing
    _sized(config)


@pytest.mark.parametrize("ratio", [1e-300, 0, 1e-5])
def test_a_picture_is_never_downsampled_to_nothing(ratio: float) -> None:
    config = next(one.config for one in all_models() if "downsample_ratio" in one.config)
    _sized({**config, "downsample_ratio": ratio})


def test_a_length_without_limit_is_no_length_and_stops_nothing() -> None:
    model = read(max_position_embeddings=1e30, rope_scaling=None)
    assert (model.max_positions, model.missing) == (None, ())
    budget = size_serving(ServingRequest(architecture=model, gpu=CARD, max_model_len=4096))
    assert budget.verdict == "fits"
    assert size_serving(ServingRequest(architecture=model, gpu=CARD)).missing == ("max_model_len",)


@pytest.mark.parametrize("count", [0, -1, 2**61])
def test_a_count_of_bytes_that_no_checkpoint_has_is_left_aside(count: int) -> None:
    assert read_architecture(LLAMA, name="m", weight_bytes=count).weight_bytes is None


def test_more_layers_than_any_model_has_are_no_fact() -> None:
    assert read(num_hidden_layers=10**12).missing == ("num_hidden_layers",)
