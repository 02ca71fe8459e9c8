"""What a training keeps of its prompt."""

from typing import Any

import pytest

from llmops_spec.payloads.base import step_key
from llmops_spec.payloads.training import RenderedPrompt, TrainPayload
from llmops_spec.prompt import PromptSpec

WHOLE: dict[str, Any] = {
    "messages": [{"role": "user", "content": "{{ q }}"}],
    "variables": {"q": {"type": "integer", "trust": "trusted", "maxTokens": 40}},
    "output": {"maxTokens": 8, "labels": ["a", "b"]},
}
KEPT: dict[str, Any] = {"messages": WHOLE["messages"], "variables": {"q": {"type": "integer"}}}


def payload(prompt: object) -> TrainPayload:
    return TrainPayload.model_validate(
        {
            "method": "full",
            "rows": {"ref": f"store://{'a' * 64}/rows"},
            "prompt": prompt,
            "hyperParameters": {"learningRate": 0.1, "steps": 1, "batchSize": 1, "sequenceLength": 8},
            "seed": 0,
            "recipe": 1,
            "versions": {},
        }
    )


def test_it_keeps_messages_and_types() -> None:
    kept = RenderedPrompt.of(PromptSpec.model_validate(WHOLE))

    assert kept.model_dump(mode="json", by_alias=True) == KEPT


def test_a_plan_of_before_that_held_the_whole_prompt_is_read() -> None:
    assert payload(WHOLE) == payload(KEPT)


@pytest.mark.parametrize(
    "other",
    [
        KEPT | {"variables": {"q": {"type": "number"}}},
        KEPT | {"messages": [{"role": "user", "content": "{{ q }}!"}]},
        KEPT | {"messages": [{"role": "system", "content": "{{ q }}"}]},
    ],
    ids=["type", "text", "role"],
)
def test_what_rendering_uses_moves_the_key(other: dict[str, Any]) -> None:
    assert step_key(payload(KEPT)) != step_key(payload(other))
