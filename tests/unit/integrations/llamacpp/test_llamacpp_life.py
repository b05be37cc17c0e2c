"""Leaving, waiting, closing and failing, on the real model."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyeino.components import ModelOptions
from pyeino.errors import (
    AppError,
    DeclarationError,
    ExternalError,
    InternalError,
    NotFoundError,
    RateLimitError,
)
from pyeino.integrations.llamacpp import LlamaCppModel
from pyeino.schema import Message
from pyeino.streams import Stream

QUESTION = [Message.user("Count.")]
LONG_PROMPT = [Message.user("word " * 1500)]
ENDLESS = ModelOptions(extra={"ignore_eos": True})
SHORT = ModelOptions(max_tokens=1)


async def load(weights: Path, **settings: Any) -> LlamaCppModel:
    return await LlamaCppModel.load(weights, **{"slots": 1, "context": 2048, **settings})


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the engine tells nobody that it has begun
            await asyncio.sleep(0.005)


async def read(stream: Stream[Message]) -> list[Message]:
    async with stream:
        return [chunk async for chunk in stream]


def engine_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "pyeino-llama" in thread.name]


def native_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def listening() -> set[str]:
    """Addresses that this process listens on, over TCP of either kind."""
    own: set[str] = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            own.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            column = line.split()
            if column[3] == "0A" and f"socket:[{column[9]}]" in own:
                found.add(column[1])
    return found


def contents(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for that of a socket, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's /proc")
async def test_there_is_no_port_and_the_socket_is_private(
    weights: Path, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_folder))
    before = listening()
    async with await load(weights) as model:
        await model.generate(QUESTION, options=SHORT)
        assert listening() == before
        (folder,) = contents(short_folder)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert [path.name for path in contents(folder)] == ["llama.sock"]
        reader, writer = await asyncio.open_unix_connection(folder / "llama.sock")
        writer.write(b"POST /completion HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
        async with asyncio.timeout(30):
            answer = await reader.read()
        assert b" 401 " in answer.split(b"\r\n")[0]
        writer.close()
        await writer.wait_closed()
    assert contents(short_folder) == []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's /proc")
async def test_close_leaves_no_thread_and_may_come_again(weights: Path) -> None:
    await (await load(weights)).aclose()  # llama.cpp keeps one thread for its log, from now on
    before = native_threads()
    model = await load(weights)
    await model.generate(QUESTION, options=SHORT)
    await model.aclose()
    await model.aclose()
    assert engine_threads() == []
    await until(lambda: native_threads() <= before)
    with pytest.raises(InternalError) as caught:
        await model.generate(QUESTION)
    assert (caught.value.code, caught.value.http_status) == ("MODEL_CLOSED", 503)


async def test_close_while_busy_ends_readers_and_those_who_wait(weights: Path) -> None:
    model = await load(weights)
    running = model.stream(QUESTION, options=ENDLESS)
    await anext(running)
    waiting = asyncio.create_task(model.generate(QUESTION))
    await until(lambda: model.queue_length == 1)
    async with asyncio.timeout(30):
        await asyncio.gather(model.aclose(), model.aclose())
    assert model.active == 0
    for reading in (read(running), waiting):
        with pytest.raises(InternalError) as caught:
            await reading
        assert caught.value.code == "MODEL_CLOSED"
    assert engine_threads() == []


async def test_leaving_before_the_first_token_frees_the_slot(weights: Path) -> None:
    async with await load(weights) as model:
        asking = asyncio.create_task(model.generate(LONG_PROMPT, options=ENDLESS))
        await until(lambda: model.active == 1)
        await asyncio.sleep(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (model.active, model.free_slots) == (0, 1)
        assert (await model.generate(QUESTION, options=SHORT)).response_meta


async def test_leaving_mid_stream_frees_the_slot(weights: Path) -> None:
    async with await load(weights) as model:
        async with model.stream(QUESTION, options=ENDLESS) as stream:
            async for chunk in stream:
                assert chunk.content
                assert model.active == 1
                break
        assert (model.active, model.free_slots) == (0, 1)
        assert (await model.generate(QUESTION, options=SHORT)).response_meta


async def test_a_second_cancel_does_not_cut_the_wait_for_the_slot_short(weights: Path) -> None:
    async with await load(weights) as model:
        asking = asyncio.create_task(model.generate(LONG_PROMPT, options=ENDLESS))
        await until(lambda: model.active == 1)
        while not asking.done():
            asking.cancel()
            await asyncio.sleep(0.01)
        assert asking.cancelled()
        assert (model.active, model.free_slots) == (0, 1)


async def test_leaving_the_queue_takes_no_slot(weights: Path) -> None:
    async with await load(weights) as model:
        async with model.stream(QUESTION, options=ENDLESS) as running:
            await anext(running)
            waiting = [asyncio.create_task(model.generate(QUESTION, options=SHORT)) for _ in "ab"]
            await until(lambda: model.queue_length == 2)
            waiting[0].cancel()
            await until(lambda: waiting[0].done())
            assert model.queue_length == 1
        assert (await waiting[1]).response_meta
        assert (model.active, model.free_slots) == (0, 1)


async def test_a_full_queue_refuses_at_once_and_says_when(weights: Path) -> None:
    async with await load(weights, max_queue=1) as model:
        async with model.stream(QUESTION, options=ENDLESS) as running:
            await anext(running)
            waiting = asyncio.create_task(model.generate(QUESTION, options=SHORT))
            await until(lambda: model.queue_length == 1)
            with pytest.raises(RateLimitError) as caught:
                await model.generate(QUESTION)
            assert caught.value.code == "QUEUE_FULL"
            assert caught.value.metadata["retry_after"] >= 1
        assert (await waiting).response_meta


async def test_waiting_too_long_is_a_timeout(weights: Path) -> None:
    async with (
        await load(weights, queue_timeout=0.05) as model,
        model.stream(QUESTION, options=ENDLESS) as running,
    ):
        await anext(running)
        with pytest.raises(InternalError) as caught:
            await model.generate(QUESTION)
        assert (caught.value.code, caught.value.http_status) == ("TIMEOUT", 504)


async def test_a_slow_reader_holds_no_slot_after_the_answer_is_made(weights: Path) -> None:
    async with await load(weights) as model:
        stream = model.stream(QUESTION, options=ModelOptions(max_tokens=5))
        await anext(stream)
        await until(lambda: model.active == 0)
        assert model.free_slots == 1
        rest = await read(stream)
        assert rest[-1].response_meta


async def test_a_failing_engine_is_an_external_error_without_secrets(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await load(weights) as model:

        def fail(*_: object) -> None:
            raise RuntimeError(f"cannot read {weights}")

        with monkeypatch.context() as patch:
            patch.setattr(model._engine, "chat", fail)
            with pytest.raises(ExternalError) as caught:
                await model.generate(QUESTION)
        assert caught.value.code == "MODEL_FAILED"
        assert "***" in (caught.value.details or "")
        assert str(weights) not in str(caught.value.to_dict())
        assert model.free_slots == 1
        assert (await model.generate(QUESTION, options=SHORT)).response_meta


@pytest.mark.parametrize(
    "chunk",
    [
        {"error": {"code": 500, "message": "out of memory", "type": "server_error"}},
        {"error": "torn"},
        None,
    ],
)
async def test_what_the_engine_reports_midway_is_an_external_error(
    weights: Path, monkeypatch: pytest.MonkeyPatch, chunk: dict[str, Any] | None
) -> None:
    def chat(_: object, on_chunk: Any) -> None:
        on_chunk({"choices": [{"delta": {"content": "so"}, "finish_reason": None}]})
        if chunk is not None:
            on_chunk(chunk)

    async with await load(weights) as model:
        with monkeypatch.context() as patch:
            patch.setattr(model._engine, "chat", chat)
            stream = model.stream(QUESTION)
            assert (await anext(stream)).content == "so"
            with pytest.raises(ExternalError) as caught:
                await read(stream)
        assert caught.value.code == "MODEL_FAILED"
        assert model.free_slots == 1


async def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"<!doctype html>")
    torn = tmp_path / "torn.gguf"
    torn.write_bytes(b"GGUF" + b"\x00" * 100)
    for path, kind, code in (
        (tmp_path / "absent.gguf", NotFoundError, "MODEL_FILE_NOT_FOUND"),
        (wrong, ExternalError, "MODEL_LOAD_FAILED"),
        (torn, ExternalError, "MODEL_LOAD_FAILED"),
    ):
        with pytest.raises(AppError) as caught:
            await load(path)
        assert isinstance(caught.value, kind)
        assert caught.value.code == code
    assert engine_threads() == []


async def test_a_cancelled_load_leaves_nothing(weights: Path) -> None:
    loading = asyncio.create_task(load(weights))
    await until(lambda: engine_threads() != [])
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert engine_threads() == []


@pytest.mark.parametrize(
    "settings", [{"slots": 0}, {"context": 255}, {"threads": 0}, {"max_queue": -1}]
)
async def test_numbers_that_make_no_sense_are_refused(
    tmp_path: Path, settings: dict[str, int]
) -> None:
    with pytest.raises(DeclarationError, match=next(iter(settings))):
        await load(tmp_path / "any", **settings)
