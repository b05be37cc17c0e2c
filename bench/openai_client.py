"""CPU of one model call and of one streamed chunk: our client and the official `openai` one.

    python bench/openai_client.py [--rounds 9] [--calls 200] [--chunks 1000]

One fake upstream in a process of its own answers both with the same bytes, over HTTP/1.1 on the
loopback. The two clients take turns round by round in this process, whose CPU time is what counts;
the table gives medians over the rounds. "burst": the upstream writes a whole stream at once.
"paced": every chunk is a packet of its own, as a model sends them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from multiprocessing.connection import Connection
from typing import Any

TEXT = "word "
WHOLE = json.dumps(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT * 50},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 50, "total_tokens": 53},
    }
).encode()


def event(delta: dict[str, str], finish: str | None = None) -> bytes:
    """One frame of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "m-1",
        "choices": [choice],
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def chunked(data: bytes) -> bytes:
    """One chunk of HTTP's chunked encoding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def serve(ready: Connection, chunks: int) -> None:
    """The upstream: the model's name says how to answer."""
    whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        len(WHOLE),
        WHOLE,
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    frames = [chunked(event({"content": TEXT}))] * chunks
    end = [chunked(event({}, "stop")), chunked(b"data: [DONE]\n\n"), b"0\r\n\r\n"]
    burst = b"".join([head, b"\r\n", *frames, *end])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                request = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            fields = request.lower().split(b"content-length:")
            body = await reader.readexactly(int(fields[1].split(b"\r\n")[0]))
            if b'"paced"' in body:
                for frame in (head + b"\r\n", *frames, *end):
                    writer.write(frame)
                    await asyncio.sleep(0.0002)
            else:
                writer.write(burst if b'"burst"' in body else whole)
            await writer.drain()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


async def cpu(call: Callable[[], Awaitable[object]], count: int) -> float:
    """Microseconds of this process's CPU for one of `count` calls."""
    gc.collect()
    begin = time.process_time()
    for _ in range(count):
        await call()
    return (time.process_time() - begin) / count * 1e6


async def measure(url: str, options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Samples by kind and client, in microseconds a call or a chunk."""
    import openai

    from pyeino.integrations.openai import Endpoint, OpenAIChatModel
    from pyeino.schema import Message

    asked: Any = [{"role": "user", "content": "Hi"}]
    ask = (Message.user("Hi"),)
    async with Endpoint(url) as endpoint, openai.AsyncOpenAI(base_url=url, api_key="x") as theirs:

        async def our_call() -> None:
            await OpenAIChatModel("whole", endpoint=endpoint).generate(ask)

        async def their_call() -> None:
            await theirs.chat.completions.create(model="whole", messages=asked)

        def our_stream(name: str) -> Callable[[], Awaitable[None]]:
            async def run() -> None:
                got = 0
                async with OpenAIChatModel(name, endpoint=endpoint).stream(ask) as stream:
                    async for chunk in stream:
                        got += len(chunk.content)
                check(got)

            return run

        def their_stream(name: str) -> Callable[[], Awaitable[None]]:
            async def run() -> None:
                got = 0
                stream = await theirs.chat.completions.create(
                    model=name, messages=asked, stream=True
                )
                async with stream:
                    async for chunk in stream:
                        got += len(chunk.choices[0].delta.content or "")
                check(got)

            return run

        def check(got: int) -> None:
            if got != options.chunks * len(TEXT):
                raise SystemExit(f"a stream lost something: {got} characters")

        kinds = {
            "call": (our_call, their_call, options.calls, 1),
            "chunk, burst": (our_stream("burst"), their_stream("burst"), 2, options.chunks),
            "chunk, paced": (our_stream("paced"), their_stream("paced"), 1, options.chunks),
        }
        samples: dict[str, dict[str, list[float]]] = {
            kind: {"pyeino": [], "openai": []} for kind in kinds
        }
        for number in range(options.rounds + 1):
            for kind, (ours, their, count, parts) in kinds.items():
                for name, run in (("pyeino", ours), ("openai", their)):
                    used = await cpu(run, count) / parts
                    if number:  # the first round warms up
                        samples[kind][name].append(used)
        return samples


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--chunks", type=int, default=1000)
    options = parser.parse_args()
    here, there = multiprocessing.get_context("spawn").Pipe()
    upstream = multiprocessing.get_context("spawn").Process(
        target=serve, args=(there, options.chunks), daemon=True
    )
    upstream.start()
    try:
        url = f"http://127.0.0.1:{here.recv()}/v1"
        samples = asyncio.run(measure(url, options))
    finally:
        upstream.terminate()
        upstream.join()
    names = ", ".join(f"{name} {version(name)}" for name in ("openai", "aiohttp", "msgspec"))
    lines = [
        f"Python {platform.python_version()}, {names}; {options.rounds} rounds",
        "",
        "| µs of CPU for one | pyeino: median (min–max) | openai: median (min–max) | ratio |",
        "|---|---|---|---|",
    ]
    for kind, by_client in samples.items():
        cells = [
            f"{statistics.median(times):.1f} ({min(times):.1f}–{max(times):.1f})"
            for times in by_client.values()
        ]
        ours, theirs = (statistics.median(times) for times in by_client.values())
        lines.append(f"| {kind} | {cells[0]} | {cells[1]} | {theirs / ours:.1f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
