"""What the gateway adds to an engine's own time, and what `evaluate` adds to a bare loop of requests.

    python benchmarks/gateway.py [requests]

Starts a trivial engine and a real gateway with five rails as processes, asks both in turns over one kept-alive
connection, and prints p50 and p99 of each, their difference and their ratio. Then asks with 64 in flight, by a bare
aiohttp loop and by the evaluate task's own asking, and prints what each item costs more.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import psutil
from aiohttp import web

from llmops_runtime.evaluation.ask import IN_FLIGHT, Question, ServiceAddress, ask_all
from llmops_spec.payloads.serving import Ready

ROOT = Path(__file__).parents[1]
WARM_UP = 100
QUESTION = "My parcel with the number 1234 has not come yet, can you see where it is and when I will get it?"
GUARDRAIL = {
    "input": [
        {"maxLength": {"characters": 2000}, "onError": "closed"},
        {"denyPattern": {"patterns": ["ignore (all )?previous", "system prompt"]}, "onError": "closed"},
        {"personalData": {}, "onFail": "redact", "onError": "closed"},
    ],
    "output": [
        {"personalData": {}, "onFail": "redact", "onError": "closed"},
        {"denyPattern": {"patterns": ["password"]}, "onError": "closed"},
    ],
}
GATEWAY = {
    "task": "gateway",
    "service": "support",
    "modelName": "model",
    "prompt": {
        "messages": [{"role": "user", "content": "{{ question }}"}],
        "variables": {"question": {"maxTokens": 512}},
        "output": {"maxTokens": 64},
    },
    "guardrails": [GUARDRAIL],
}
ANSWER = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": QUESTION}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()


def serve_engine(ready: multiprocessing.Queue[int]) -> None:
    async def chat(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=ANSWER, content_type="application/json")

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


def start_gateway(folder: Path, engine_url: str) -> tuple[subprocess.Popen[bytes], str]:
    payload, result = folder / "gateway.json", folder / "result.json"
    payload.write_text(json.dumps(GATEWAY))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LLMOPS_ENGINE_URL": engine_url}
    command = [sys.executable, "-m", "llmops_runtime", "gateway", "--payload", str(payload), "--result", str(result)]
    child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not result.exists():
        if child.poll() is not None:
            sys.exit("the gateway did not start")
        time.sleep(0.05)
    return child, f"http://127.0.0.1:{Ready.model_validate_json(result.read_bytes()).port}"


def cpu_seconds(pid: int) -> float:
    """Processor time of a process: what a busy machine does not distort."""
    return sum(psutil.Process(pid).cpu_times()[:2])


async def one_at_a_time(urls: dict[str, str], count: int) -> dict[str, list[float]]:
    """Milliseconds of each request, asked in turns so that both see the same machine."""
    body = json.dumps({"model": "model", "messages": [{"role": "user", "content": QUESTION}]}).encode()
    taken: dict[str, list[float]] = {name: [] for name in urls}
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        for turn in range(count + WARM_UP):
            for name, url in urls.items():
                started = time.perf_counter()
                async with session.post(f"{url}/v1/chat/completions", data=body) as response:
                    await response.read()
                if turn >= WARM_UP:
                    taken[name].append((time.perf_counter() - started) * 1000)
    return taken


async def bare_loop(url: str, count: int) -> float:
    waiting = iter(range(count))
    body = json.dumps({"variables": {"question": QUESTION}, "temperature": 0.0, "seed": 0}).encode()

    async def work(session: aiohttp.ClientSession) -> None:
        for _ in waiting:
            async with session.post(f"{url}/v1/services/support", data=body) as response:
                json.loads(await response.read())

    started = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:
        await asyncio.gather(*(work(session) for _ in range(IN_FLIGHT)))
    return time.perf_counter() - started


async def evaluate_loop(url: str, count: int) -> float:
    address = ServiceAddress(url=url, service="support", temperature=0.0, timeout_seconds=30)
    questions = [Question(key=(str(n), 0), variables={"question": QUESTION}, seed=0) for n in range(count)]
    started = time.perf_counter()
    await ask_all(address, questions, lambda _done: None)
    return time.perf_counter() - started


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    ready: multiprocessing.Queue[int] = multiprocessing.Queue()
    engine = multiprocessing.Process(target=serve_engine, args=(ready,), daemon=True)
    engine.start()
    engine_url = f"http://127.0.0.1:{ready.get()}"
    with tempfile.TemporaryDirectory() as folder:
        gateway, gateway_url = start_gateway(Path(folder), engine_url)
        try:
            before = cpu_seconds(gateway.pid)
            taken = asyncio.run(one_at_a_time({"engine": engine_url, "gateway": gateway_url}, count))
            percentiles = {name: statistics.quantiles(times, n=100) for name, times in taken.items()}
            for name, of in percentiles.items():
                print(f"{name:8} p50 {of[49]:.2f} ms  p99 {of[98]:.2f} ms")
            used = (cpu_seconds(gateway.pid) - before) / (count + WARM_UP) * 1000
            print(f"gateway's own processor time {used:.2f} ms a request")
            direct, through = percentiles["engine"], percentiles["gateway"]
            added = f"p50 {through[49] - direct[49]:.2f} ms  p99 {through[98] - direct[98]:.2f} ms"
            print(f"added    {added}  (p50 ratio {through[49] / direct[49]:.2f}, 5 rails)")
            bare = asyncio.run(bare_loop(gateway_url, count))
            ours = asyncio.run(evaluate_loop(gateway_url, count))
            each, cost = ours / count * 1000, (ours - bare) / count * 1000
            print(f"asking   bare {bare / count * 1000:.3f} ms an item, evaluate {each:.3f}: {cost:+.3f} ms")
        finally:
            gateway.terminate()
            gateway.wait()
    engine.terminate()


if __name__ == "__main__":
    main()
