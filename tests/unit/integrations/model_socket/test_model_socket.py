"""A model in one process for others: the same answers, options, errors and cancels."""

from __future__ import annotations

import asyncio
import io
import socket
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pyeino.components import ChatModel, ModelInfo, ModelOptions
from pyeino.errors import AppError, ExternalError, InternalError, RateLimitError, ValidationError
from pyeino.integrations.llamacpp import LlamaCppModel
from pyeino.integrations.model_socket import ModelAddress, ModelServer, SocketModel
from pyeino.monitoring import StructuredLogger
from pyeino.schema import DataType, Message, ParameterInfo, Role, TextPart, ToolInfo
from pyeino.testing import (
    CHAT_MODEL_CHECKS,
    ChatModelCheck,
    ChatModelSubject,
    ScriptedChatModel,
    ScriptedReply,
)

KEY = b"k" * 32
INFO = ModelInfo(id="small", provider="llamacpp", context_length=512, local=True)
ASK = [Message.user("hi")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    address: ModelAddress
    listener: socket.socket
    log: io.StringIO


@asynccontextmanager
async def served(model: ChatModel) -> AsyncGenerator[Place]:
    log = io.StringIO()
    logger = StructuredLogger(log)
    # Not under pytest's folder: the path of a socket may have about a hundred bytes.
    with tempfile.TemporaryDirectory(prefix="ms") as folder:
        path = str(Path(folder) / "s")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen(64)
            listener.setblocking(False)
            server = ModelServer(model, info=INFO, listener=listener, key=KEY, logger=logger)
            async with server:
                yield Place(address=ModelAddress(path=path, key=KEY), listener=listener, log=log)
    await asyncio.to_thread(logger.close)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(local_model: Path) -> AsyncGenerator[LlamaCppModel]:
    """Two slots: six calls at once have to wait in line."""
    async with await LlamaCppModel.load(local_model, slots=2, context=1024) as loaded:
        yield loaded


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("check", CHAT_MODEL_CHECKS, ids=lambda check: check.__name__)
async def test_g87_one_local_model_for_all_workers_passes_the_suite(
    check: ChatModelCheck, model: LlamaCppModel
) -> None:
    async def until_idle() -> None:
        while model.active or model.free_slots < 2:  # noqa: ASYNC110 - the engine has no event
            await asyncio.sleep(0.01)

    async with served(model) as place:
        remote = await SocketModel.connect(place.address)
        assert remote.info == INFO
        await check(
            ChatModelSubject(
                model=remote,
                options=ModelOptions(temperature=0.0, seed=7, max_tokens=12),
                obeys=frozenset({"max_tokens", "stop", "tools"}),
                until_idle=until_idle,
            )
        )


async def test_messages_options_and_chunks_arrive_as_they_were() -> None:
    tool = ToolInfo(name="look", parameters={"q": ParameterInfo(type=DataType.STRING)})
    options = ModelOptions(
        temperature=0.5, stop=("x",), tools=(tool,), response_format={"type": "object"}, seed=3
    )
    messages = [
        Message.system("be brief"),
        Message(role=Role.USER, content="", user_input_multi_content=(TextPart(text="grüß"),)),
    ]
    reply = ScriptedReply.calling(("look", {"q": "ulm"}), text="well", size=3)
    model, twin = ScriptedChatModel(reply), ScriptedChatModel(reply)
    async with served(model) as place:
        remote = await SocketModel.connect(place.address)
        chunks = await remote.stream(messages, options=options).collect()
        assert await remote.generate(messages, options=options) == await twin.generate(messages)
    assert chunks == await twin.stream(messages).collect()
    assert tuple(model.calls[0].messages) == tuple(messages)
    assert model.calls[0].options == options


@pytest.mark.parametrize(
    "error",
    [
        ValidationError("CONTEXT_LENGTH_EXCEEDED", "too long", metadata={"prompt_tokens": 9}),
        RateLimitError("QUEUE_FULL", "later", metadata={"retry_after": 1.5}),
        ExternalError("MODEL_FAILED", "broken", details="mend it"),
        InternalError("TIMEOUT", "slow", http_status=504),
    ],
    ids=lambda error: error.code,
)
async def test_errors_arrive_as_they_were(error: AppError) -> None:
    reply = ScriptedReply(chunks=("a ", "b"), at=1, error=error)
    async with served(ScriptedChatModel(reply)) as place:
        remote = await SocketModel.connect(place.address)
        async with remote.stream(ASK) as chunks:
            assert (await anext(chunks)).content == "a "
            with pytest.raises(type(error)) as raised:
                await anext(chunks)
    assert raised.value.to_dict() == error.to_dict()
    assert raised.value.http_status == error.http_status


async def test_an_unknown_error_stays_in_the_log_of_the_model() -> None:
    reply = ScriptedReply(error=KeyError("secret of the engine"))
    async with served(ScriptedChatModel(reply)) as place:
        remote = await SocketModel.connect(place.address)
        with pytest.raises(InternalError) as raised:
            await remote.generate(ASK)
    assert raised.value.code == "UNKNOWN_ERROR"
    assert "secret" not in str(raised.value)
    assert "Model call failed" in place.log.getvalue()


async def test_without_the_key_there_is_no_answer() -> None:
    model = ScriptedChatModel("secret")
    async with served(model) as place:
        stranger = ModelAddress(path=place.address.path, key=b"x" * 32)
        with pytest.raises(ExternalError, match="MODEL_FAILED"):
            await SocketModel.connect(stranger)
        with pytest.raises(ExternalError, match="MODEL_FAILED"):
            await SocketModel(stranger, info=INFO).generate(ASK)
        reader, writer = await asyncio.open_unix_connection(place.address.path)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert model.calls == []
    assert "KEY" not in repr(place.address)


async def test_closing_the_stream_ends_the_call_over_there() -> None:
    reached, hold = asyncio.Event(), asyncio.Event()
    model = ScriptedChatModel(ScriptedReply(chunks=("a", "b"), at=1, hold=hold, reached=reached))
    async with served(model) as place, asyncio.timeout(30):
        remote = await SocketModel.connect(place.address)
        async with remote.stream(ASK) as chunks:
            assert (await anext(chunks)).content == "a"
            await reached.wait()
            assert model.active == 1
        await model.wait_until_idle()


async def test_a_model_that_goes_away_is_an_error_and_comes_back() -> None:
    reached, hold = asyncio.Event(), asyncio.Event()
    first = ScriptedChatModel(ScriptedReply(chunks=("a", "b"), at=1, hold=hold, reached=reached))
    async with served(first) as place, asyncio.timeout(30):
        remote = await SocketModel.connect(place.address)
        async with remote.stream(ASK) as chunks:
            await anext(chunks)
            for call in asyncio.all_tasks():
                if call.get_name() == "model call":
                    call.cancel()  # as if its process had been killed
            with pytest.raises(ExternalError) as raised:
                await anext(chunks)
        assert (raised.value.code, raised.value.http_status) == ("MODEL_FAILED", 502)
        hold.set()
        assert (await remote.generate(ASK)).content == "ab"
        await remote.check()
    with pytest.raises(ExternalError, match="MODEL_FAILED"):
        await remote.check()


@pytest.mark.parametrize("extra", [{"n": 2**70}, {"n": object()}], ids=["number", "object"])
async def test_what_cannot_be_sent_is_the_callers_error(extra: dict[str, Any]) -> None:
    async with served(ScriptedChatModel("ok")) as place:
        remote = await SocketModel.connect(place.address)
        with pytest.raises(ValidationError, match="INVALID_MESSAGE"):
            await remote.generate(ASK, options=ModelOptions(extra=extra))
        halves: Sequence[Message] = [Message.user("\ud83d")]
        with pytest.raises(ValidationError, match="INVALID_MESSAGE"):
            await remote.generate(halves)
