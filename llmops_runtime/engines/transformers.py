"""The transformers engine: from chat requests to rows of the batch, and back.

Called by the engine's server, in its event loop.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any, Final

from llmops_runtime.engines.batch import Row
from llmops_runtime.engines.choices import ChoiceTree
from llmops_runtime.engines.sampling import Sampler
from llmops_runtime.engines.text import TextAssembler
from llmops_runtime.engines.weights import LoadedModel
from llmops_runtime.engines.worker import DecodingWorker, Job, QueueFull
from llmops_runtime.serving.errors import ApiError, bad_request
from llmops_runtime.serving.requests import ChatMessage, ChatRequest
from llmops_spec.engine import TransformersEngine

_BUSY: Final = {"Retry-After": "1"}


class TransformersServer:
    def __init__(self, loaded: LoadedModel, settings: TransformersEngine) -> None:
        self._loaded = loaded
        self._tokenizer = loaded.tokenizer
        self._special = tuple(
            token.content for token in loaded.tokenizer.added_tokens_decoder.values() if token.special
        )
        self.worker = DecodingWorker(
            loaded, max_batch_size=settings.max_batch_size, max_queued=settings.max_queued_requests
        )

    def start(self, request: ChatRequest) -> Job:
        """Put a request in the queue.

        Raises:
            ApiError: it does not fit the model, or the queue is full.
        """
        row = self._row(request, self._prompt(request.messages))
        job = Job(row=row, loop=asyncio.get_running_loop())
        try:
            self.worker.submit(job)
        except QueueFull as error:
            raise ApiError(429, "too many requests wait already", code="queue_full", headers=_BUSY) from error
        return job

    async def warm_up(self) -> None:
        """Decode two tokens of nothing in particular: the first call of a model is the one that fails or is slow.

        Raises:
            ModelFailed: the model cannot decode.
        """
        request = ChatRequest(model="", messages=(), temperature=0.0, max_tokens=2)
        job = Job(row=self._row(request, self._encode("a") or [0]), loop=asyncio.get_running_loop())
        self.worker.submit(job)
        async for _ in job.listen():
            pass

    def count_tokens(self, text: str, *, add_special_tokens: bool) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=add_special_tokens))

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False)

    def _decode(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _prompt(self, messages: Sequence[ChatMessage]) -> list[int]:
        from jinja2 import TemplateError

        for place, message in enumerate(messages):
            found = next((one for one in self._special if one in message.content), None)
            if found is not None:  # it would be read as the end of the message, and what follows as somebody else's
                raise bad_request(
                    f"the text holds `{found}`, which is a special token of this model",
                    f"messages[{place}].content",
                    code="special_token",
                )
        chat: list[dict[str, Any]] = [{"role": one.role, "content": one.content} for one in messages]
        try:
            return self._tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, tokenize=True, return_dict=True
            )["input_ids"]
        except TemplateError as error:
            raise bad_request(f"the model's chat template refuses these messages: {error}", "messages") from error

    def _row(self, request: ChatRequest, prompt: list[int]) -> Row:
        ends = self._loaded.end_tokens
        choices = ChoiceTree([self._encode(one) for one in request.choices], ends) if request.choices else None
        room = self._loaded.context_length - len(prompt)
        # A choice is never cut short: its tokens are few and known, and half a label is none.
        wanted = choices.longest if choices else (request.max_tokens or max(room, 1))
        if wanted > room:
            raise bad_request(
                f"the messages have {len(prompt)} tokens and the answer may have {wanted}; "
                f"the model's context holds {self._loaded.context_length}",
                "messages",
                code="context_length_exceeded",
            )
        seed = request.seed if request.seed is not None else secrets.randbits(63)
        return Row(
            prompt=prompt,
            max_tokens=wanted,
            sampler=Sampler(temperature=request.temperature, top_p=request.top_p, seed=seed),
            assembler=TextAssembler(self._decode, request.stop, at_once=not request.stream),
            choices=choices,
            end_tokens=ends,
        )
