"""The answers of `/v1/chat/completions`, whole and as a stream, and of `/v1/models`."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

FinishReason = Literal["stop", "length", "content_filter"]

STREAM_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}
STREAM_END: Final = b"data: [DONE]\n\n"


@dataclass(frozen=True, kw_only=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def to_json(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer, which knows how to be sent whole or in pieces."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, finish_reason: FinishReason, usage: Usage) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
        return self._frame("chat.completion", choices=[choice], usage=usage.to_json())

    def beginning(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""}, None)

    def piece(self, text: str) -> bytes:
        return self._chunk({"content": text}, None)

    def ending(self, finish_reason: FinishReason, usage: Usage | None) -> Iterator[bytes]:
        """The last pieces of a stream; `usage` where the caller asked for it."""
        yield self._chunk({}, finish_reason)
        if usage is not None:
            yield event(self._frame("chat.completion.chunk", choices=[], usage=usage.to_json()))
        yield STREAM_END

    def _chunk(self, delta: Mapping[str, str], finish_reason: FinishReason | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return event(self._frame("chat.completion.chunk", choices=[choice]))

    def _frame(self, kind: str, **content: Any) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, **content}


def event(data: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def model_list(names: Iterable[str], created: int) -> dict[str, Any]:
    models = [{"id": name, "object": "model", "created": created, "owned_by": "llmops"} for name in names]
    return {"object": "list", "data": models}
