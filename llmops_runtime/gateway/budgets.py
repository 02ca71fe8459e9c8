"""Holds values to the token budgets that the prompt declares for its variables.

A byte-level tokenizer never makes more tokens of a text than it has UTF-8 bytes, so a value within its budget in
bytes needs no question; only a longer one is counted by the engine, with the served model's own tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping

from llmops_runtime.gateway.engine_client import EngineClient
from llmops_runtime.serving.errors import bad_request
from llmops_spec.prompt import PromptSpec
from llmops_spec.prompt_language import Value


async def hold_to_budgets(engine: EngineClient, model: str, prompt: PromptSpec, values: Mapping[str, Value]) -> None:
    """Refuse a value that is longer than its variable allows.

    Raises:
        ApiError: 400 with both numbers; or the engine cannot count.
    """
    for name, variable in prompt.variables.items():
        text = str(values[name])
        if len(text.encode()) <= variable.max_tokens:
            continue
        tokens = await engine.count_tokens(model, text)
        if tokens > variable.max_tokens:
            raise bad_request(
                f"`{name}` has {tokens} tokens; the service takes {variable.max_tokens}",
                f"variables.{name}",
                code="variable_too_long",
            )
