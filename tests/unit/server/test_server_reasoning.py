"""What a model says of its thinking: beside the answer at every door, and never part of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from pyeino.components import ModelOptions
from pyeino.integrations.memory import MemoryDatabase
from pyeino.schema import Message, ResponseMeta, Role
from pyeino.service import ChatService, default_chat_chain
from pyeino.streams import Stream
from pyeino.testing import ScriptedChatModel
from pyeino.wire import SSEDecoder

from .conftest import MODELS, ListLogger, Metrics, serving

ASKED: Any = {"model": "default", "messages": [{"role": "user", "content": "6 times 7?"}]}
CHUNKS = (("", "Six sevens "), ("", "are forty-two."), ("It is ", ""), ("42.", ""))


class _Thinker:
    """Thinks first, then answers."""

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        async with self.stream(messages) as chunks:
            return await chunks.concat()

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        return Stream.from_iterator(self._say())

    async def _say(self) -> AsyncIterator[Message]:
        for text, thought in CHUNKS:
            yield Message(role=Role.ASSISTANT, content=text, reasoning_content=thought)
        meta = ResponseMeta(finish_reason="stop")
        yield Message(role=Role.ASSISTANT, content="", response_meta=meta)


@pytest.fixture
async def running() -> Any:
    logger, metrics, scope = ListLogger(), Metrics(), MemoryDatabase().scope()
    service = ChatService(
        default_chat_chain(_Thinker()),
        None,
        None,
        scope.sessions,
        scope.messages,
        logger,
        metrics,
        models=MODELS,
    )
    async with (
        service,
        serving(service, ScriptedChatModel(), logger=logger, metrics=metrics) as one,
    ):
        one.scope = scope
        yield one


async def test_the_official_client_gets_it_whole_and_streamed(running: Any) -> None:
    async with running.openai() as client:
        message = (await client.chat.completions.create(**ASKED)).choices[0].message
        assert message.content == "It is 42."
        assert message.model_extra["reasoning_content"] == "Six sevens are forty-two."
        stream = await client.chat.completions.create(**ASKED, stream=True)
        deltas = [chunk.choices[0].delta async for chunk in stream if chunk.choices]
    thoughts = [(one.model_extra or {}).get("reasoning_content", "") for one in deltas]
    assert "".join(thoughts) == "Six sevens are forty-two."
    assert "".join(one.content or "" for one in deltas) == "It is 42."


async def test_native_routes_have_it_beside_the_answer(running: Any) -> None:
    body = {"user_id": "ann", "message": "6 times 7?"}
    whole = (await running.http.post("/api/v1/chat", json=body)).json()
    assert (whole["content"], whole["reasoning"]) == ("It is 42.", "Six sevens are forty-two.")
    streamed = await running.http.post("/api/v1/chat/stream", json=body)
    events = [one for one in SSEDecoder().feed(streamed.content) if one.event == "message"]
    chunks = [json.loads(one.data) for one in events]
    assert [one["seq"] for one in chunks] == list(range(len(chunks)))
    assert "".join(one["delta"] for one in chunks) == "It is 42."
    # The last chunk does not say it again: each piece is there once.
    assert "".join(one.get("reasoning", "") for one in chunks) == "Six sevens are forty-two."


async def test_it_is_neither_stored_nor_shown_to_the_model_again(running: Any) -> None:
    body = {"user_id": "ann", "session_id": "s", "message": "6 times 7?"}
    await running.http.post("/api/v1/chat", json=body)
    page = await running.scope.messages.list("s", user_id="ann")
    assert [one.content for one in page.items] == ["6 times 7?", "It is 42."]
    assert not any("Six sevens" in str(one) for one in page.items)
