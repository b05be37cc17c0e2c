"""The suite of chat models on the OpenAI client, over a provider of our own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from pyeino.integrations.openai import Endpoint, OpenAIChatModel
from pyeino.testing import CHAT_MODEL_CHECKS, ChatModelCheck, ChatModelSubject

WORDS = ("one ", "two ", "three ", "four ", "five")


class Provider:
    """Counts to five, obeys max_tokens, stop and a forced tool; `active` counts requests."""

    def __init__(self) -> None:
        self.active = 0
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._serve)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def until_idle(self) -> None:
        while self.active:  # noqa: ASYNC110 - requests end at many places
            await asyncio.sleep(0.002)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.active += 1
        try:
            deltas, ending = _script(body)
            if not body.get("stream"):
                return web.json_response(_whole(deltas, ending))
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            for delta in deltas:
                await response.write(_frame({"choices": [{"index": 0, "delta": delta}]}))
                await asyncio.sleep(0.001)
            last = {"index": 0, "delta": {}, "finish_reason": ending["finish_reason"]}
            await response.write(_frame({"choices": [last]}))
            await response.write(_frame({"choices": [], "usage": ending["usage"]}))
            await response.write(b"data: [DONE]\n\n")
            return response
        finally:
            self.active -= 1


def _script(body: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    words, reason = list(WORDS), "stop"
    stops = [word for word in words if word.strip() in (body.get("stop") or [])]
    if stops:
        words = words[: words.index(stops[0])]
    limit = body.get("max_tokens")
    if limit is not None and limit < len(words):
        words, reason = words[:limit], "length"
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if body.get("tools"):
        name, reason = body["tools"][0]["function"]["name"], "tool_calls"
        head = {"index": 0, "id": "c1", "type": "function", "function": {"name": name}}
        deltas.append({"tool_calls": [head]})
        for piece in ('{"city', '": "Ulm"}'):
            deltas.append({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    else:
        deltas += [{"content": word} for word in words]
    asked = sum(len(message["content"].split()) for message in body["messages"])
    usage = {
        "prompt_tokens": asked,
        "completion_tokens": len(words),
        "total_tokens": asked + len(words),
    }
    return deltas, {"finish_reason": reason, "usage": usage}


def _whole(deltas: list[dict[str, Any]], ending: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(delta.get("content", "") for delta in deltas),
    }
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    if calls:
        arguments = "".join(call["function"].get("arguments", "") for call in calls)
        function = {"name": calls[0]["function"]["name"], "arguments": arguments}
        message["tool_calls"] = [{"id": "c1", "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "finish_reason": ending["finish_reason"]}
    return {"choices": [choice], "usage": ending["usage"]}


def _frame(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    one = Provider()
    await one.start()
    yield one
    await one.stop()


@pytest.mark.parametrize("check", CHAT_MODEL_CHECKS, ids=lambda check: check.__name__)
async def test_the_openai_client_passes(check: ChatModelCheck, provider: Provider) -> None:
    async with Endpoint(provider.url, api_key="sk-test") as endpoint:
        model = OpenAIChatModel("m-1", endpoint=endpoint)
        await check(
            ChatModelSubject(
                model=model,
                repeatable=True,
                obeys=frozenset({"max_tokens", "stop", "tools"}),
                until_idle=provider.until_idle,
            )
        )
