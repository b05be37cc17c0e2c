"""The model that the settings name: its options, its bound on waiting, where it is asked."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyeino.components import ChatModel, ModelOptions
from pyeino.errors import AppError
from pyeino.schema import Message
from pyeino.service import ChatOptions, ChatRequest
from pyeino.streams import Stream
from pyeino.wiring import build, load_settings
from pyeino.wiring._configured import ConfiguredModel

_QUESTION = [Message.user("hello")]


class Asked:
    """A model that notes the options it was asked with, and stalls where it is told to."""

    def __init__(self, *, stall_at: int | None = None) -> None:
        self.options: list[ModelOptions | None] = []
        self.stall_at = stall_at
        self.left = False

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        return await self.stream(messages, options=options).concat()

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        self.options.append(options)
        return Stream.from_iterator(self._chunks())

    async def _chunks(self) -> AsyncIterator[Message]:
        try:
            for number in range(3):
                if number == self.stall_at:
                    await asyncio.Event().wait()
                yield Message.assistant(str(number))
        finally:
            self.left = True


async def test_the_settings_fill_up_what_a_call_leaves_open() -> None:
    inner = Asked()
    defaults = ModelOptions(max_tokens=7, temperature=0.5, extra={"a": 1})
    model = ConfiguredModel(inner, defaults=defaults, stall_timeout=30)
    assert isinstance(model, ChatModel)
    assert (await model.generate(_QUESTION)).content == "012"
    async with model.stream(_QUESTION, options=ModelOptions(max_tokens=3)) as chunks:
        assert [chunk.content async for chunk in chunks] == ["0", "1", "2"]
    first, second = inner.options
    assert first == defaults
    assert second == ModelOptions(max_tokens=3, temperature=0.5, extra={"a": 1})
    assert model.get_type() == "Asked"


@pytest.mark.parametrize("stall_at", [0, 2])
async def test_a_model_that_stalls_is_a_timeout_and_is_left(stall_at: int) -> None:
    inner = Asked(stall_at=stall_at)
    model = ConfiguredModel(inner, defaults=ModelOptions(), stall_timeout=0.01)
    with pytest.raises(AppError) as error:
        await model.generate(_QUESTION)
    assert (error.value.code, error.value.http_status) == ("TIMEOUT", 504)
    assert inner.left


async def test_closing_early_leaves_the_model() -> None:
    inner = Asked(stall_at=1)
    model = ConfiguredModel(inner, defaults=ModelOptions(), stall_timeout=30)
    async with model.stream(_QUESTION) as chunks:
        assert (await anext(chunks)).content == "0"
    assert inner.left


async def test_a_local_model_that_is_not_there_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYEINO_MODELS_DIR", str(tmp_path / "models"))
    settings = load_settings(overrides={"database.url": f"sqlite:///{tmp_path}/p.db"})
    before = set(threading.enumerate())
    with pytest.raises(AppError, match="pyeino models pull") as error:
        async with build(settings):
            pass
    assert error.value.code == "MODEL_NOT_PULLED"
    left = set(threading.enumerate()) - before
    assert not [one for one in left if one.name.startswith("pyeino")]


@contextmanager
def _provider(statuses: list[int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An OpenAI-compatible endpoint that answers with `statuses`, one after the other."""
    asked: list[dict[str, Any]] = []
    answer = {
        "id": "x",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "hi there"},
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            key = self.headers["Authorization"]
            asked.append({"path": self.path, "key": key, **json.loads(body)})
            status = statuses.pop(0)
            content = json.dumps(answer if status == 200 else {"error": {"message": "no"}})
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", asked
        finally:
            server.shutdown()
            thread.join()


async def test_a_provider_is_asked_as_the_settings_say(tmp_path: Path) -> None:
    with _provider([503, 200]) as (url, asked):
        settings = load_settings(
            env={"PYEINO_LLM__API_KEY": "k-123", "PYEINO_LLM__EXTRA__TOP_LOGPROBS": "2"},
            overrides={
                "database.url": f"sqlite:///{tmp_path}/p.db",
                "llm.provider": "openai",
                "llm.base_url": url,
                "llm.model": "some-model",
                "llm.max_tokens": "9",
                "llm.retry_count": "1",
                "llm.system_prompt": "be brief",
            },
        )
        async with build(settings) as application:
            assert [model.id for model in application.service.models] == ["some-model"]
            response = await application.service.chat(
                ChatRequest(user_id="u", message="hello", options=ChatOptions(temperature=0.1))
            )
    assert response.content == "hi there"
    assert response.token_usage is not None
    assert response.token_usage.total_tokens == 5
    first, second = asked
    assert first == second  # tried again, as retry_count says
    assert second["path"] == "/v1/chat/completions"
    assert second["key"] == "Bearer k-123"
    assert second["model"] == "some-model"
    assert second["temperature"] == 0.1  # the request's own
    assert second["max_tokens"] == 9
    assert second["top_logprobs"] == 2
    contents = [message["content"] for message in second["messages"]]
    assert contents == ["be brief", "hello"]


async def test_the_tool_chain_offers_calculator_and_clock(tmp_path: Path) -> None:
    with _provider([200, 200]) as (url, asked):
        settings = load_settings(
            env={},
            overrides={
                "database.url": f"sqlite:///{tmp_path}/p.db",
                "llm.provider": "openai",
                "llm.base_url": url,
                "llm.api_key": "k",
                "llm.model": "some-model",
                "llm.system_prompt": "be brief",
            },
        )
        async with build(settings) as application:
            for options in (ChatOptions(chain="tools"), ChatOptions(tools=("clock",))):
                request = ChatRequest(user_id="u", message="hello", options=options)
                response = await application.service.chat(request)
                assert response.metadata is not None
                assert response.metadata["chain"] == "tools"
                assert "tool_calls" not in response.metadata
    names = [[one["function"]["name"] for one in body["tools"]] for body in asked]
    assert names == [["calculator", "clock"], ["clock"]]
    assert {body["tool_choice"] for body in asked} == {"auto"}
    assert asked[0]["messages"][0] == {"role": "system", "content": "be brief"}
