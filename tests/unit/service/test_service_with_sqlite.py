"""The service over the store that it is shipped with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyeino.integrations.sql import SqliteDatabase
from pyeino.monitoring import Metrics, StructuredLogger
from pyeino.service import (
    ChatOptions,
    ChatRequest,
    ChatService,
    ServiceLimits,
    default_chat_chain,
)
from pyeino.stores import MessageStatus
from pyeino.testing import ScriptedChatModel


@pytest.fixture
def logger() -> Iterator[StructuredLogger]:
    """A logger that writes, and is closed: it has a thread."""
    made = StructuredLogger()
    yield made
    made.close()


async def test_many_users_at_once_and_again_after_a_restart(
    tmp_path: Path, logger: StructuredLogger
) -> None:
    model = ScriptedChatModel("an answer of five words")
    options = ChatOptions(history="session")

    async def talk(service: ChatService, user: int, text: str) -> None:
        request = ChatRequest(user_id=f"u{user}", session_id="s", message=text, options=options)
        async with service.stream_chat(request) as chunks:
            answer = "".join([chunk.delta async for chunk in chunks])
        assert answer == "an answer of five words"

    for attempt in range(2):
        async with await SqliteDatabase.open(tmp_path / "db") as database:
            scope = database.scope()
            service = ChatService(
                default_chat_chain(model),
                None,
                None,
                scope.sessions,
                scope.messages,
                logger,
                Metrics(),
                limits=ServiceLimits(history_messages=10),
            )
            async with asyncio.timeout(60), service:
                await asyncio.gather(*(talk(service, n, f"q{attempt}") for n in range(30)))
            for user in range(30):
                page = await scope.messages.list("s", user_id=f"u{user}")
                assert len(page.items) == 2 * (attempt + 1)
                assert {row.status for row in page.items} == {MessageStatus.COMPLETED}
    assert len(model.calls[-1].messages) == 3


async def test_cancelled_while_saving_is_stored_whole(
    tmp_path: Path, logger: StructuredLogger
) -> None:
    async with await SqliteDatabase.open(tmp_path / "db") as database:
        scope = database.scope()
        service = ChatService(
            default_chat_chain(ScriptedChatModel("x")),
            None,
            None,
            scope.sessions,
            scope.messages,
            logger,
            Metrics(),
        )
        async with asyncio.timeout(60), service:
            for turns in range(0, 60, 3):
                request = ChatRequest(user_id="ann", session_id=f"s{turns}", message="hi")
                task = asyncio.create_task(service.chat(request))
                for _ in range(turns):
                    await asyncio.sleep(0.0001)
                task.cancel()
                await asyncio.wait((task,))
                sessions = await scope.sessions.list(user_id="ann", limit=500)
                if f"s{turns}" not in {session.id for session in sessions.items}:
                    continue
                page = await scope.messages.list(f"s{turns}", user_id="ann")
                assert MessageStatus.PENDING not in {row.status for row in page.items}
                assert len(page.items) in (0, 2)
