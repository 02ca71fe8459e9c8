"""Reads the body of a chat request, strictly.

Used by engine and gateway. Promises: what comes out has the declared types and ranges; a parameter that would change
the answer and that we do not honour is refused, never dropped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, TypeAlias, cast

from aiohttp import web

from llmops_runtime.serving.errors import ApiError, bad_request

Body: TypeAlias = Mapping[str, Any]

_ROLES: Final = ("system", "user", "assistant")
_HONOURED: Final = frozenset(
    {
        "model",
        "messages",
        "temperature",
        "top_p",
        "seed",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "stream",
        "stream_options",
    }
)
_NEUTRAL: Final[Mapping[str, tuple[object, ...]]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "store": (False,),
    "response_format": ({"type": "text"},),
    "tools": ([],),
}
"""Parameters that we do not have, with the values that ask for nothing."""
_IGNORED: Final = frozenset({"user", "metadata", "safety_identifier"})
"""Parameters that never change an answer."""
_MOST_STOPS: Final = 4


Role: TypeAlias = Literal["system", "user", "assistant"]


@dataclass(frozen=True, kw_only=True)
class ChatMessage:
    role: Role
    content: str


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    model: str
    messages: tuple[ChatMessage, ...]
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    max_tokens: int | None = None
    """None: as many as fit."""
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    choices: tuple[str, ...] = ()
    """Where given, the answer is one of these texts. Ours only: from the gateway to the engine."""

    def to_json(self) -> dict[str, Any]:
        """The request as it goes to an engine."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": one.role, "content": one.content} for one in self.messages],
            "temperature": self.temperature,
            "top_p": self.top_p,
            "stream": self.stream,
        }
        if self.seed is not None:
            body["seed"] = self.seed
        if self.max_tokens is not None:
            body["max_tokens"] = self.max_tokens
        if self.stop:
            body["stop"] = list(self.stop)
        if self.stream and self.include_usage:
            body["stream_options"] = {"include_usage": True}
        if self.choices:
            body["structured_outputs"] = {"choice": list(self.choices)}
        return body


async def read_body(request: web.Request) -> Body:
    """The JSON object of a request.

    Raises:
        ApiError: 400, the body is no JSON object.
        web.HTTPRequestEntityTooLarge: it is too long.
    """
    data = await request.read()
    try:
        body: object = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the request body is not JSON: {error}", code="invalid_json") from error
    if not isinstance(body, dict):
        raise bad_request("the request body must be a JSON object", code="invalid_json")
    return cast("Body", body)


def _no_constant(spelled: str) -> NoReturn:
    raise ValueError(f"{spelled} is no JSON number")


def parse_chat(body: Body, *, choices: bool = False) -> ChatRequest:
    """A chat request; `choices` allows the engine's extension `structured_outputs`.

    Raises:
        ApiError: 400, naming the parameter.
    """
    _refuse_unknown(body, _HONOURED | ({"structured_outputs"} if choices else frozenset()))
    limits = [integer(body, name, 1, 10_000_000) for name in ("max_completion_tokens", "max_tokens")]
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise bad_request("`stream_options` must be an object", "stream_options")
    return ChatRequest(
        model=_text(body, "model"),
        messages=_messages(body),
        temperature=number(body, "temperature", 0.0, 2.0, default=1.0),
        top_p=number(body, "top_p", 0.0, 1.0, default=1.0),
        seed=integer(body, "seed", -(2**63), 2**63 - 1),
        max_tokens=next((limit for limit in limits if limit is not None), None),
        stop=_stops(body),
        stream=_flag(body, "stream"),
        include_usage=_flag(cast("Body", options), "include_usage"),
        choices=_choices(body) if choices else (),
    )


def _refuse_unknown(body: Body, honoured: frozenset[str]) -> None:
    for name, value in body.items():
        if name in honoured or name in _IGNORED or value is None:
            continue
        if name not in _NEUTRAL or value not in _NEUTRAL[name]:
            raise bad_request(f"`{name}` is not supported here", name, code="unsupported_parameter")


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise bad_request(f"`{name}` must be a text", name)
    return value


def _flag(body: Body, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise bad_request(f"`{name}` must be true or false", name)
    return bool(value)


def number(body: Body, name: str, low: float, high: float, *, default: float) -> float:
    """A number of the body within bounds. Raises: ApiError."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise bad_request(f"`{name}` must be a number", name)
    if not low <= value <= high:
        raise bad_request(f"`{name}` must be between {low:g} and {high:g}", name)
    return float(value)


def integer(body: Body, name: str, low: int, high: int) -> int | None:
    """A whole number of the body within bounds, None where there is none. Raises: ApiError."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_request(f"`{name}` must be a whole number", name)
    if not low <= value <= high:
        raise bad_request(f"`{name}` must be between {low} and {high}", name)
    return value


def _messages(body: Body) -> tuple[ChatMessage, ...]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise bad_request("`messages` must be a list with at least one message", "messages")
    return tuple(_message(cast("object", one), f"messages[{place}]") for place, one in enumerate(messages))


def _message(message: object, place: str) -> ChatMessage:
    if not isinstance(message, dict):
        raise bad_request(f"`{place}` must be an object", place)
    given = cast("Body", message)
    extra = [name for name in given if name not in {"role", "content", "name"} and given[name] is not None]
    if extra:
        raise bad_request(f"`{place}.{extra[0]}` is not supported here", place, code="unsupported_parameter")
    role = given.get("role")
    if role not in _ROLES:
        raise bad_request(f"`{place}.role` must be one of {', '.join(_ROLES)}", f"{place}.role")
    return ChatMessage(role=role, content=_content(given.get("content"), f"{place}.content"))


def _content(content: object, place: str) -> str:
    if isinstance(content, list):
        content = "".join(_part(cast("object", part), f"{place}[{at}]") for at, part in enumerate(content))
    if not isinstance(content, str):
        raise bad_request(f"`{place}` must be a text", place)
    if not is_unicode(content):
        raise bad_request(f"`{place}` holds half of a surrogate pair, which is no character", place)
    return content


def _part(part: object, place: str) -> str:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case _:
            raise bad_request(f"`{place}` must be a part of type `text`", place, code="unsupported_parameter")


def is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _stops(body: Body) -> tuple[str, ...]:
    stop = body.get("stop")
    found = [stop] if isinstance(stop, str) else ([] if stop is None else stop)
    if not isinstance(found, list) or not all(isinstance(one, str) and one for one in cast("list[object]", found)):
        raise bad_request("`stop` must be a text, or a list of texts", "stop")
    if len(cast("list[str]", found)) > _MOST_STOPS:
        raise bad_request(f"`stop` takes at most {_MOST_STOPS} texts", "stop")
    return tuple(cast("list[str]", found))


def _choices(body: Body) -> tuple[str, ...]:
    match body.get("structured_outputs"):
        case None:
            return ()
        case {"choice": [*given]} if given and all(isinstance(one, str) and one for one in given):
            return tuple(dict.fromkeys(cast("list[str]", given)))
        case _:
            raise bad_request("`structured_outputs` must be `{choice: [texts]}`", "structured_outputs")


def unknown_model(name: str, known: Iterable[str]) -> ApiError:
    there = ", ".join(f"`{one}`" for one in known)
    return ApiError(404, f"the model `{name}` does not exist; there is {there}", code="model_not_found", param="model")
