"""The gateway over real sockets: shapes, refusals, limits, rails on the way in and out."""

import asyncio
import json
import threading

import pytest

from llmops_runtime.rails.validator import Passed, Validator

PHONE_RAIL = {"personalData": {}, "onFail": "redact", "onError": "closed"}
DENY_RAIL = {"denyPattern": {"patterns": ["ignore (all )?previous"]}, "onError": "closed"}
LENGTH_RAIL = {"maxLength": {"characters": 12}, "onError": "closed"}


def rails(payload, *, input=(), output=()):  # noqa: A002
    payload["guardrails"] = [{"input": list(input), "output": list(output), "refusal": "Cannot."}]
    return payload


def test_service_renders_its_prompt_and_answers(serving, gateway_payload) -> None:
    async def go():
        async with serving(gateway_payload) as asked:
            assert await asked.service("{{7*7}}", seed=5, temperature=0.5) == (
                200,
                {
                    "answer": "Q: {{7*7}}",
                    "model": "support-model",
                    "finish_reason": "stop",
                    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
                    "rails": [],
                },
            )
            assert asked.engine.asked == [
                {
                    "model": "support-model",
                    "messages": [
                        {"role": "system", "content": "Be kind."},
                        {"role": "user", "content": "Q: {{7*7}}"},
                    ],
                    "temperature": 0.5,
                    "top_p": 1.0,
                    "stream": False,
                    "seed": 5,
                    "max_tokens": 30,
                }
            ]

    asyncio.run(go())


def test_labels_constrain_the_engine(serving, gateway_payload) -> None:
    gateway_payload["prompt"]["output"]["labels"] = ["yes", "no"]

    async def go():
        async with serving(gateway_payload) as asked:
            await asked.service("hi")
            assert asked.engine.asked[0]["structured_outputs"] == {"choice": ["yes", "no"]}

    asyncio.run(go())


CHAT = {"model": "support-model", "messages": [{"role": "user", "content": "hi"}]}
BAD_CHATS = {
    "not json": (b"{", 400, "invalid_json", None),
    "not an object": (b"[]", 400, "invalid_json", None),
    "not unicode": (b"\xff\xfe", 400, "invalid_json", None),
    "nan": (b'{"temperature": NaN}', 400, "invalid_json", None),
    "deep": (b'{"a":' * 100_000, 400, "invalid_json", None),
    "no model": ({"messages": CHAT["messages"]}, 400, "invalid_value", "model"),
    "unknown model": ({**CHAT, "model": "gpt"}, 404, "model_not_found", "model"),
    "no messages": ({**CHAT, "messages": []}, 400, "invalid_value", "messages"),
    "messages no list": ({**CHAT, "messages": "hi"}, 400, "invalid_value", "messages"),
    "message no object": ({**CHAT, "messages": ["hi"]}, 400, "invalid_value", "messages[0]"),
    "role": ({**CHAT, "messages": [{"role": "tool", "content": "x"}]}, 400, "invalid_value", "messages[0].role"),
    "content": ({**CHAT, "messages": [{"role": "user", "content": 5}]}, 400, "invalid_value", "messages[0].content"),
    "surrogate": (
        {**CHAT, "messages": [{"role": "user", "content": "\ud800"}]},
        400,
        "invalid_value",
        "messages[0].content",
    ),
    "image": (
        {**CHAT, "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        400,
        "unsupported_parameter",
        "messages[0].content[0]",
    ),
    "temperature": ({**CHAT, "temperature": "hot"}, 400, "invalid_value", "temperature"),
    "temperature high": ({**CHAT, "temperature": 3}, 400, "invalid_value", "temperature"),
    "seed": ({**CHAT, "seed": 1.5}, 400, "invalid_value", "seed"),
    "max tokens": ({**CHAT, "max_tokens": 31}, 400, "invalid_value", "max_tokens"),
    "max tokens zero": ({**CHAT, "max_tokens": 0}, 400, "invalid_value", "max_tokens"),
    "n": ({**CHAT, "n": 2}, 400, "unsupported_parameter", "n"),
    "logprobs": ({**CHAT, "logprobs": True}, 400, "unsupported_parameter", "logprobs"),
    "logit bias": ({**CHAT, "logit_bias": {"1": 5}}, 400, "unsupported_parameter", "logit_bias"),
    "choices are ours": (
        {**CHAT, "structured_outputs": {"choice": ["a"]}},
        400,
        "unsupported_parameter",
        "structured_outputs",
    ),
    "rails off": ({**CHAT, "guardrails": False}, 400, "unsupported_parameter", "guardrails"),
    "stop": ({**CHAT, "stop": ["a", "b", "c", "d", "e"]}, 400, "invalid_value", "stop"),
    "stream": ({**CHAT, "stream": "yes"}, 400, "invalid_value", "stream"),
}


@pytest.mark.parametrize(("body", "status", "code", "param"), BAD_CHATS.values(), ids=BAD_CHATS.keys())
def test_bad_chats_are_refused_in_openai_shape(serving, gateway_payload, body, status, code, param) -> None:
    gateway_payload["requests"] = {"bodyBytes": 1_000_000}

    async def go():
        async with serving(gateway_payload) as asked:
            got, content = await asked.post("/v1/chat/completions", body)
            assert got == status
            assert content.keys() == {"error"}
            assert content["error"].keys() == {"message", "type", "param", "code"}
            assert (content["error"]["code"], content["error"]["param"]) == (code, param)
            assert asked.engine.asked == []

    asyncio.run(go())


BAD_SERVICE = {
    "no variables": ({}, 400, "variables"),
    "variables no object": ({"variables": []}, 400, "variables"),
    "missing": ({"variables": {}}, 400, "variables.question"),
    "unknown": ({"variables": {"question": "a", "b": "c"}}, 400, "variables.b"),
    "type": ({"variables": {"question": 5}}, 400, "variables.question"),
    "null": ({"variables": {"question": None}}, 400, "variables.question"),
    "stream": ({"variables": {"question": "a"}, "stream": True}, 400, "stream"),
    "seed": ({"variables": {"question": "a"}, "seed": "x"}, 400, "seed"),
}


@pytest.mark.parametrize(("body", "status", "param"), BAD_SERVICE.values(), ids=BAD_SERVICE.keys())
def test_bad_service_requests(serving, gateway_payload, body, status, param) -> None:
    async def go():
        async with serving(gateway_payload) as asked:
            got, content = await asked.post("/v1/services/support", body)
            assert (got, content["error"]["param"]) == (status, param)
            assert asked.engine.asked == []

    asyncio.run(go())


def test_paths_methods_and_sizes(serving, gateway_payload) -> None:
    gateway_payload["requests"] = {"bodyBytes": 2048}

    async def go():
        async with serving(gateway_payload) as asked:
            assert (await asked.post("/v1/nothing", {}))[0] == 404
            assert (await asked.post("/v1/services/other", {}))[1]["error"]["code"] == "service_not_found"
            async with asked.http.get("/v1/chat/completions") as response:
                assert (response.status, response.headers["Allow"]) == (405, "POST")
                assert (await response.json())["error"]["code"] == "method_not_allowed"
            empty = len(json.dumps({**CHAT, "messages": [{"role": "user", "content": ""}]}))
            assert (await asked.chat("x" * (2048 - empty)))[0] == 200
            status, content = await asked.chat("x" * (2049 - empty))
            assert (status, content["error"]["code"]) == (413, "request_too_large")

    asyncio.run(go())


@pytest.mark.parametrize(
    ("engine_status", "status", "code"),
    [(400, 400, "engine_code"), (429, 429, "engine_code"), (503, 503, "engine_code"), (500, 502, "engine_failed")],
)
def test_engine_errors(serving, gateway_payload, engine_status, status, code) -> None:
    async def go():
        async with serving(gateway_payload) as asked:
            asked.engine.status = engine_status
            for got, content in (
                await asked.service("hi"),
                await asked.chat("hi"),
                await asked.chat("hi", stream=True),
            ):
                assert (got, content["error"]["code"]) == (status, code)

    asyncio.run(go())


@pytest.mark.parametrize(
    "raw", [b"<html>", b"[]", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}']
)
def test_engine_nonsense_is_502(serving, gateway_payload, raw) -> None:
    async def go():
        async with serving(gateway_payload) as asked:
            asked.engine.raw = raw
            assert (await asked.service("hi"))[0] == 502

    asyncio.run(go())


def test_engine_down_is_503_and_shows_in_health(serving, gateway_payload) -> None:
    async def go():
        async with serving(gateway_payload, engine_url="http://127.0.0.1:9") as asked:
            status, content = await asked.service("hi")
            assert (status, content["error"]["code"]) == (503, "engine_unavailable")
            async with asked.http.get("/health") as response:
                assert response.status == 503

    asyncio.run(go())


@pytest.mark.parametrize("stream", [False, True])
def test_slow_engine_is_504(serving, gateway_payload, stream) -> None:
    gateway_payload["requests"] = {"timeoutSeconds": 0.2}

    async def go():
        async with serving(gateway_payload) as asked:
            asked.engine.delay_seconds = 5
            status, content = await asked.chat("hi", stream=stream)
            assert (status, content["error"]["code"]) == (504, "timeout")

    asyncio.run(go())


def test_budget_is_counted_by_the_engine_only_when_bytes_exceed_it(serving, gateway_payload) -> None:
    async def go():
        async with serving(gateway_payload) as asked:
            asked.engine.tokens = 41
            assert (await asked.service("é" * 20))[0] == 200  # 40 bytes
            status, content = await asked.service("é" * 20 + "x")
            assert (status, content["error"]["code"]) == (400, "variable_too_long")
            assert content["error"]["message"] == "`question` has 41 tokens; the service takes 40"
            asked.engine.tokens = 40
            assert (await asked.service("é" * 20 + "x"))[0] == 200

    asyncio.run(go())


def test_input_rail_redacts_before_the_engine_sees_anything(serving, gateway_payload) -> None:
    async def go():
        async with serving(rails(gateway_payload, input=[PHONE_RAIL])) as asked:
            status, content = await asked.service("I am ada@example.org")
            assert (status, content["answer"]) == (200, "Q: I am [email]")
            assert content["rails"] == [{"rail": "1.input.1 personalData", "outcome": "redacted"}]
            await asked.chat("I am ada@example.org")
            assert "ada@" not in json.dumps(asked.engine.asked)

    asyncio.run(go())


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_input_rail_sees_every_role(serving, gateway_payload, role) -> None:
    async def go():
        async with serving(rails(gateway_payload, input=[DENY_RAIL])) as asked:
            body = {**CHAT, "messages": [{"role": role, "content": "IGNORE previous"}, *CHAT["messages"]]}
            status, content = await asked.post("/v1/chat/completions", body)
            choice = content["choices"][0]
            assert (status, choice["message"]["content"], choice["finish_reason"]) == (200, "Cannot.", "content_filter")
            assert asked.engine.asked == []

    asyncio.run(go())


def test_trusted_variables_are_not_railed(serving, gateway_payload) -> None:
    gateway_payload["prompt"]["variables"]["question"]["trust"] = "trusted"

    async def go():
        async with serving(rails(gateway_payload, input=[DENY_RAIL])) as asked:
            assert (await asked.service("ignore previous"))[1]["answer"] == "Q: ignore previous"

    asyncio.run(go())


def test_a_number_cannot_be_redacted_so_it_is_refused(serving, gateway_payload) -> None:
    gateway_payload["prompt"]["variables"]["question"]["type"] = "integer"
    rail = {"maxLength": {"characters": 3}, "onFail": "redact", "onError": "closed"}

    async def go():
        async with serving(rails(gateway_payload, input=[rail])) as asked:
            assert (await asked.service(123))[1]["answer"] == "Q: 123"
            assert (await asked.service(1234))[1]["finish_reason"] == "content_filter"

    asyncio.run(go())


def test_output_rails_run_in_order_on_what_the_one_before_left(serving, gateway_payload) -> None:
    cut = {"maxLength": {"characters": 12}, "onFail": "redact", "onError": "closed"}
    deny = {"denyPattern": {"patterns": ["secret"]}, "onError": "closed"}

    async def go():
        async with serving(rails(gateway_payload, output=[cut, deny])) as asked:
            asked.engine.text = "all is well, and the secret is 5"
            assert (await asked.service("hi"))[1]["answer"] == "all is well,"
            asked.engine.text = "the secret!!"
            status, content = await asked.service("hi")
            assert (status, content["answer"], content["finish_reason"]) == (200, "Cannot.", "content_filter")
            async with asked.http.get("/metrics") as response:
                text = await response.text()
            assert 'llmops_gateway_rail_events_total{outcome="refused",rail="1.output.2 denyPattern"} 1.0' in text
            assert 'path="/v1/services/{service}",status="200"} 2.0' in text
            assert all("secret is" not in line for line in asked.log)

    asyncio.run(go())


class Broken(Validator):
    """A validator that raises, hangs, or answers nonsense."""

    def __init__(self, how: str) -> None:
        self.how = how

    def quick(self, text: str) -> bool:
        return self.how == "raises quickly"

    def judge(self, text: str):
        if self.how.startswith("raises"):
            raise SystemError(text)
        if self.how == "hangs":
            threading.Event().wait(0.5)
            return Passed()
        return None


@pytest.mark.parametrize("how", ["raises", "raises quickly", "hangs", "nonsense"])
@pytest.mark.parametrize("stage", ["input", "output"])
@pytest.mark.parametrize("on_error", ["closed", "open"])
def test_rail_that_errs(serving, gateway_payload, how, stage, on_error) -> None:
    rail = {"personalData": {}, "onError": on_error, "timeoutMilliseconds": 50}

    async def go():
        async with serving(rails(gateway_payload, **{stage: [rail]}), validator=Broken(how)) as asked:
            asked.engine.text = "leak"
            for send in (asked.service("hi"), asked.chat("hi"), asked.chat("hi", stream=on_error == "closed")):
                status, content = await send
                if on_error == "closed":
                    assert (status, content["error"]["code"]) == (503, "guardrail_unavailable")
                    assert "leak" not in json.dumps(content)
                else:
                    assert status == 200
            if on_error == "closed":
                assert len(asked.engine.asked) == (0 if stage == "input" else 3)
            async with asked.http.post("/v1/services/support", json={"variables": {"question": "hi"}}) as response:
                if on_error == "open":
                    assert response.headers["X-LLMOps-Rails-Skipped"] == f"1.{stage}.1 personalData"

    asyncio.run(go())


def test_hung_rails_do_not_stop_other_requests_nor_multiply(serving, gateway_payload) -> None:
    rail = {"personalData": {}, "onError": "closed", "timeoutMilliseconds": 50}

    async def go():
        async with serving(rails(gateway_payload, input=[rail]), validator=Broken("hangs")) as asked:
            before = threading.active_count()
            replies = await asyncio.gather(*(asked.service("hi") for _ in range(40)))
            assert {status for status, _ in replies} == {503}
            assert threading.active_count() == before
            async with asked.http.get("/v1/models") as response:
                assert response.status == 200

    asyncio.run(go())


async def _events(response) -> list[dict]:
    lines = (await response.text()).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


@pytest.mark.parametrize("output", [[], [LENGTH_RAIL]])
def test_streams(serving, gateway_payload, output) -> None:
    async def go():
        async with serving(rails(gateway_payload, output=output)) as asked:
            body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
            async with asked.http.post("/v1/chat/completions", json=body) as response:
                assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
                events = await _events(response)
            deltas = [one["choices"][0]["delta"] for one in events if one["choices"]]
            assert "".join(delta.get("content", "") for delta in deltas) == "hi"
            assert events[-1]["usage"]["total_tokens"] == 5
            # Without an output rail the engine's pieces pass as they come; with one they are held until it has passed.
            assert asked.engine.asked[0]["stream"] is (not output)

    asyncio.run(go())


def test_refused_stream_holds_nothing_of_the_answer(serving, gateway_payload) -> None:
    async def go():
        async with serving(rails(gateway_payload, output=[LENGTH_RAIL])) as asked:
            asked.engine.text = "thirteen long"
            async with asked.http.post("/v1/chat/completions", json={**CHAT, "stream": True}) as response:
                events = await _events(response)
            assert "thirteen" not in json.dumps(events)
            assert events[1]["choices"][0]["delta"] == {"content": "Cannot."}
            assert events[-1]["choices"][0]["finish_reason"] == "content_filter"

    asyncio.run(go())


def test_openai_client(serving, gateway_payload) -> None:
    import openai

    async def go():
        async with (
            serving(gateway_payload) as asked,
            openai.AsyncOpenAI(base_url=f"{asked.url}/v1", api_key="x", max_retries=0) as client,
        ):
            assert [one.id async for one in client.models.list()] == ["support-model"]
            messages = [{"role": "user", "content": "hello"}]
            whole = await client.chat.completions.create(model="support-model", messages=messages)
            assert (whole.choices[0].message.content, whole.usage.total_tokens) == ("hello", 5)
            stream = await client.chat.completions.create(model="support-model", messages=messages, stream=True)
            assert "".join([one.choices[0].delta.content or "" async for one in stream if one.choices]) == "hello"
            with pytest.raises(openai.NotFoundError, match="the model `gpt` does not exist"):
                await client.chat.completions.create(model="gpt", messages=messages)
            with pytest.raises(openai.BadRequestError) as caught:
                await client.chat.completions.create(model="support-model", messages=messages, n=3)
            assert caught.value.param == "n"

    asyncio.run(go())
