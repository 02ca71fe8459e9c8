"""The smallest changes that fit, and the cheapest cards: every answer is tried before it is given."""

from dataclasses import replace

import pytest

from compiler.sizing.gpus import find_gpu
from compiler.sizing.legality import broken_rules
from compiler.sizing.models import find_model
from compiler.sizing.serving import ServingRequest, size_serving
from compiler.sizing.serving.search import search
from compiler.sizing.serving.suggestions import suggest

ORDER = ["max_num_seqs", "max_model_len", "kv_cache_dtype", "tensor_parallel", "gpu"]


def request(name: str, card: str, **changes: object) -> ServingRequest:
    found, gpu = find_model(name), find_gpu(card)
    assert found is not None
    assert gpu is not None
    return replace(ServingRequest(architecture=found.architecture, gpu=gpu), **changes)  # type: ignore[arg-type]


TIGHT = request("llama-3.1-8b", "L4", max_model_len=40960, engine_version="0.15")


def test_suggestions_come_in_order_and_fit() -> None:
    found = suggest(TIGHT)
    changes = [one.change for one in found]
    assert changes == [change for change in ORDER if change in changes]
    assert {"max_model_len", "kv_cache_dtype", "tensor_parallel", "gpu"} <= set(changes)
    for one in found:
        assert size_serving(one.request).verdict == "fits"
        assert not any(rule.fatal for rule in broken_rules(one.request))


def test_a_shorter_context_is_the_longest_that_fits() -> None:
    found = next(one for one in suggest(TIGHT) if one.change == "max_model_len")
    assert isinstance(found.value, int)
    assert found.value % 1024 == 0
    assert size_serving(replace(TIGHT, max_model_len=found.value + 1024)).verdict != "fits"


def test_fewer_sequences_suffice_where_the_sampler_takes_the_room() -> None:
    crowded = request("llama-3.1-8b", "A10G", max_model_len=8192, max_num_seqs=1024, engine_version="0.15")
    found = suggest(crowded)
    assert found[0].change == "max_num_seqs"
    assert found[0].value == 512
    assert size_serving(replace(crowded, max_num_seqs=1023)).verdict != "fits"


def test_a_bigger_card_is_the_smallest_of_them() -> None:
    found = next(one for one in suggest(TIGHT) if one.change == "gpu")
    assert found.request.gpu.visible_bytes > TIGHT.gpu.visible_bytes
    assert found.request.gpu.vendor == "nvidia"


def test_what_fits_and_what_is_unknown_need_no_suggestion() -> None:
    assert suggest(replace(TIGHT, max_model_len=4096)) == ()
    assert suggest(replace(TIGHT, quantization="zip")) == ()


@pytest.mark.parametrize("name", ["llama-3.1-8b", "llama-3.1-70b", "qwen3-30b-a3b"])
def test_the_search_gives_each_card_once_cheapest_first(name: str) -> None:
    found = search(request(name, "L4", max_model_len=8192))
    assert len(found) > 3
    assert len({one.gpu.name for one in found}) == len(found)
    costs = [one.usd_per_hour for one in found if one.usd_per_hour is not None]
    assert costs == sorted(costs)
    assert [one.usd_per_hour is None for one in found] == sorted(one.usd_per_hour is None for one in found)
    for one in found:
        assert one.budget.verdict == "fits"
        assert not any(rule.fatal for rule in broken_rules(one.request))
        if one.request.tensor_parallel > 1 and one.request.pipeline_parallel == 1:
            fewer = replace(one.request, tensor_parallel=one.request.tensor_parallel // 2)
            assert size_serving(fewer).verdict != "fits" or any(rule.fatal for rule in broken_rules(fewer))
