"""GPUs by every name that people, logs and nodes give them."""

import re

import pytest

from compiler.sizing.gpus import GIB, all_gpus, find_gpu, gpus_named


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("H100", "H100-SXM"),
        ("h100-sxm", "H100-SXM"),
        ("NVIDIA H100 80GB HBM3", "H100-SXM"),
        ("NVIDIA-H100-80GB-HBM3-SHARED", "H100-SXM"),
        ("H100 NVL", "H100-NVL"),
        ("H100 PCIe", "H100-PCIe"),
        ("A100-80GB", "A100-80"),
        ("A100 80G SXM4", "A100-80"),
        ("NVIDIA A100 80GB PCIe", "A100-80-PCIe"),
        ("NVIDIA-A100-SXM4-40GB", "A100-40"),
        ("2x RTX 3090", "RTX 3090"),
        ("RTX 4090 x 4", "RTX 4090"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA GeForce RTX 4060 Ti", "RTX 4060 Ti"),
        ("NVIDIA-L4", "L4"),
        ("L40S", "L40S"),
        ("Tesla T4", "T4"),
        ("AMD Instinct MI300X", "MI300X"),
        ("RTX PRO 6000", "RTX PRO 6000 Blackwell"),
    ],
)
def test_a_card_is_found_by_the_names_it_goes_by(name: str, expected: str) -> None:
    found = find_gpu(name)
    assert found is not None
    assert found.name == expected


def test_a_name_of_two_cards_needs_the_memory() -> None:
    assert [gpu.name for gpu in gpus_named("A100")] == ["A100-40", "A100-80"]
    assert find_gpu("A100") is None
    small, large = find_gpu("A100", memory_bytes=40 * GIB), find_gpu("A100", memory_bytes=int(79.2 * GIB))
    assert small is not None
    assert large is not None
    assert (small.name, large.name) == ("A100-40", "A100-80")


def test_a_memory_that_no_card_of_the_name_has_finds_none() -> None:
    assert find_gpu("A100", memory_bytes=60 * GIB) is None


@pytest.mark.parametrize("name", ["", "  ", "Voodoo 2", "NVIDIA", "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"])
def test_what_is_no_card_is_not_guessed(name: str) -> None:
    assert find_gpu(name) is None
    assert gpus_named(name) == ()


def test_a_memory_does_not_veto_an_unambiguous_name() -> None:
    found = find_gpu("L4", memory_bytes=8 * GIB)
    assert found is not None
    assert found.name == "L4"


@pytest.mark.parametrize("gpu", all_gpus(), ids=lambda gpu: str(gpu.name))
def test_every_card_is_plausible_and_names_its_source(gpu) -> None:
    assert 0.90 * gpu.marketed_gb * 1e9 < gpu.visible_bytes <= gpu.marketed_gb * GIB
    assert 1e11 < gpu.bandwidth_bytes_per_second < 2e13
    assert gpu.tflops
    assert gpu.tflops.get("fp8", 1e9) >= gpu.tflops.get("bf16", gpu.tflops.get("fp16", 0))
    assert len(gpu.source) > 10
    assert gpu.visible_basis == ("measured" if "visible: torch" in gpu.source else "datasheet")
    found = find_gpu(gpu.name)
    assert found is gpu


def test_features_follow_the_generation() -> None:
    for gpu in all_gpus():
        if gpu.compute_capability is None:
            continue
        assert gpu.has_bf16 == (gpu.compute_capability >= (8, 0)), gpu.name
        assert gpu.has_native_fp8 == (gpu.compute_capability >= (8, 9)), gpu.name
        assert ("fp4" in gpu.tflops) == (gpu.compute_capability >= (10, 0)), gpu.name


def test_names_and_labels_are_distinct() -> None:
    names = [re.sub(r"[^a-z0-9]", "", gpu.name.casefold()) for gpu in all_gpus()]
    assert len(names) == len(set(names))
    labels = [label for gpu in all_gpus() for label in gpu.product_labels]
    assert len(labels) == len(set(labels))
