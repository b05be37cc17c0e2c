"""build: everything opened from settings, and closed again."""

from __future__ import annotations

import io
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pyeino.compose import Chain
from pyeino.errors import AppError
from pyeino.monitoring import StructuredLogger
from pyeino.service import ChatOptions, ChatRequest
from pyeino.wiring import Settings, as_chat_chain, build, load_settings, make_logger


async def _echo(text: str) -> AsyncIterator[str]:
    for word in text.split():
        yield f"{word} "


_CHAIN = as_chat_chain(Chain(str).then(_echo).compile(name="echo"), name="app:echo")


def _settings(folder: Path, **overrides: str) -> Settings:
    return load_settings(
        env={}, overrides={"database.url": f"sqlite:///{folder}/new/p.db", **overrides}
    )


def _threads() -> set[str]:
    """Threads of ours, which have to end with the application; asyncio keeps its own."""
    return {one.name for one in threading.enumerate() if one.name.startswith("pyeino")}


async def test_an_application_answers_and_leaves_nothing_open(tmp_path: Path) -> None:
    before = _threads()
    async with build(_settings(tmp_path), chat_chain=_CHAIN) as application:
        request = ChatRequest(user_id="u", message="one two", session_id="s")
        async with application.service.stream_chat(request) as stream:
            chunks = [chunk async for chunk in stream]
        assert "".join(chunk.delta for chunk in chunks) == "one two "
        assert [model.id for model in application.service.models] == ["echo"]
        for probe in application.probes.values():
            await probe()
        text = application.metrics.render()[0].decode()
        assert 'eino_queue_length{queue_name="runs"} 0.0' in text
        assert 'eino_chat_requests_total{chain="plain"} 1.0' in text
    assert _threads() <= before
    assert (tmp_path / "new" / "p.db").exists()
    with pytest.raises(AppError):
        await application.service.chat(ChatRequest(user_id="u", message="late"))


async def test_history_outlives_the_application(tmp_path: Path) -> None:
    seen: list[int] = []

    def count(messages: list[object]) -> str:
        seen.append(len(messages))
        return "ok"

    chain = as_chat_chain(Chain(list).then(count).compile(name="c"), name="app:c")
    request = ChatRequest(
        user_id="u", message="again", session_id="s", options=ChatOptions(history="session")
    )
    for _ in range(2):
        async with build(_settings(tmp_path), chat_chain=chain) as application:
            await application.service.chat(request)
    assert seen == [1, 3]


async def test_what_was_opened_is_closed_when_a_later_part_fails(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way of the folder")
    before = _threads()
    settings = load_settings(env={}, overrides={"database.url": f"sqlite:///{file}/p.db"})
    with pytest.raises(AppError):
        async with build(settings, chat_chain=_CHAIN):
            pass
    assert _threads() <= before


async def test_limits_come_from_the_settings(tmp_path: Path) -> None:
    settings = _settings(tmp_path, **{"limits.message_bytes": "3"})
    async with build(settings, chat_chain=_CHAIN) as application:
        with pytest.raises(AppError, match="at most 3 bytes"):
            await application.service.chat(ChatRequest(user_id="u", message="four"))


async def test_a_logger_that_is_given_stays_open(tmp_path: Path) -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink)
    async with build(_settings(tmp_path), chat_chain=_CHAIN, logger=logger) as application:
        assert application.logger is logger
    logger.info("still here")
    assert logger.close()
    assert "still here" in sink.getvalue()


def test_the_log_is_json_unless_a_human_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(_settings(tmp_path, **{"logging.level": "warn"}))
    logger.info("unseen")
    logger.warn("seen")
    logger.close()
    assert capsys.readouterr().err.startswith('{"timestamp"')


async def test_g103_the_log_says_what_the_start_waits_for(tmp_path: Path) -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink)
    settings = load_settings(
        env={"DATABASE_URL": f"postgres://ann:hunter2@/chat?host={tmp_path}"},
        overrides={"database.start_timeout": "200ms"},
    )
    with pytest.raises(AppError, match="DATABASE_UNREACHABLE"):
        async with build(settings, chat_chain=_CHAIN, logger=logger):
            pass
    assert logger.close()
    assert "Waiting for the database" in sink.getvalue()
    assert "hunter2" not in sink.getvalue()


async def test_an_application_on_postgresql_answers_and_remembers(postgres_url: str) -> None:
    settings = load_settings(env={"DATABASE_URL": postgres_url})
    request = ChatRequest(user_id="u", message="one two", session_id="s")
    for _ in range(2):
        async with build(settings, chat_chain=_CHAIN) as application:
            assert (await application.service.chat(request)).content == "one two "
            for probe in application.probes.values():
                await probe()
