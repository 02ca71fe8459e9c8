"""Bytes of a weight in each format, names of formats, and modules that checkpoints leave out."""

import pytest

from compiler.sizing.formats import PLAIN, format_of, keeps, named_format
from compiler.sizing.layers import Quantization

SIDE = 4096


def bytes_per_weight(name: str) -> float:
    format_ = named_format(name)
    assert format_ is not None, name
    return format_.bytes_of(SIDE, SIDE) / SIDE**2


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("fp8", "FP8", "fp8_e4m3", "w8a8", "int8", "bnb-8bit", "smoothquant"), 1.0),
        (("awq", "gptq", "AWQ-Marlin", "gptq_marlin", "int4", "w4a16", "4bit", "gptq-int4"), 0.5195),
        (("nf4", "bitsandbytes", "bnb-4bit", "qlora"), 0.5157),
        (("mxfp4",), 0.53125),
        (("nvfp4", "modelopt_fp4"), 0.5625),
        (("gptq-int8", "int8-g128"), 1.0234),
        (("Q4_K", "gguf-q4_k"), 0.5625),
        (("Q6_K",), 0.8203),
        (("Q8_0",), 1.0625),
        (("none", "", "bf16", "float16", "auto"), 2.0),
    ],
)
def test_names_and_their_bytes(names: tuple[str, ...], expected: float) -> None:
    for name in names:
        assert bytes_per_weight(name) == pytest.approx(expected, abs=0.0015), name


@pytest.mark.parametrize("name", ["zip", "fp9", "exl"])
def test_an_unknown_name_is_no_format(name: str) -> None:
    assert named_format(name) is None


@pytest.mark.parametrize(
    ("quantization", "expected"),
    [
        (Quantization(method="fp8", block=(128, 128)), 1 + 4 / 128**2),
        (Quantization(method="fbgemm_fp8"), 1 + 4 / SIDE),
        (Quantization(method="gptq", bits=4, group=128), 0.5195),
        (Quantization(method="gptq", bits=8, group=None), 1 + 2 / SIDE),
        (Quantization(method="awq", bits=4, group=64), 0.5391),
        (Quantization(method="bitsandbytes", bits=4, double=True), 0.5157),
        (Quantization(method="bitsandbytes", bits=4), 0.5625),
        (Quantization(method="bitsandbytes", bits=8), 1 + 4 / SIDE),
        (Quantization(method="compressed-tensors", format="pack-quantized", bits=4, group=128), 0.515625),
        (Quantization(method="compressed-tensors", format="float-quantized", bits=8), 1 + 4 / SIDE),
        (Quantization(method="compressed-tensors", format="nvfp4-pack-quantized", bits=4), 0.5625),
        (Quantization(method="modelopt", format="NVFP4"), 0.5625),
        (Quantization(method="modelopt", format="FP8"), 1 + 4 / SIDE),
        (Quantization(method="mxfp4"), 0.53125),
    ],
)
def test_a_checkpoints_own_format(quantization: Quantization, expected: float) -> None:
    format_ = format_of(quantization)
    assert format_ is not None
    assert format_.bytes_of(SIDE, SIDE) / SIDE**2 == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(("kind", "name"), [("int-quantized", "int8"), ("float-quantized", "fp8")])
def test_compressed_tensors_of_8_bits_are_integers_or_floats(kind: str, name: str) -> None:
    found = format_of(Quantization(method="compressed-tensors", format=kind, bits=8))
    assert found is not None
    assert found.name == name


def test_an_unknown_method_is_no_format_and_none_is_plain() -> None:
    assert format_of(Quantization(method="future-bits")) is None
    assert named_format(None) is PLAIN


@pytest.mark.parametrize(
    ("pattern", "path", "kept"),
    [
        ("lm_head", "lm_head", True),
        ("gate", "mlp.gate", True),
        ("gate", "mlp.gate_proj", False),
        ("re:.*self_attn.*", "model.layers.3.self_attn.q_proj", True),
        ("re:.*self_attn.*", "model.layers.3.mlp.up_proj", False),
        ("model.layers.0.mlp.down_proj", "model.layers.0.mlp.down_proj", True),
        ("model.layers.0.mlp.down_proj", "model.layers.10.mlp.down_proj", False),
        ("model.layers.*.self_attn", "model.layers.7.self_attn.o_proj", True),
        ("re:(", "anything", False),
        ("", "anything", False),
    ],
)
def test_modules_left_in_16_bits(pattern: str, path: str, kept: bool) -> None:
    assert keeps((pattern,), path) is kept


@pytest.mark.parametrize(
    "pattern", ["re:(a+)+$", "re:(.*)*x", "re:" + ".*" * 30 + "x", "re:" + "a" * 1000, "re:(", "re:(a|a)*b"]
)
def test_a_pattern_that_could_be_searched_for_ever_names_nothing(pattern: str) -> None:
    assert not keeps((pattern,), "a" * 60)
