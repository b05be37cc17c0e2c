"""Whatever fails, and whenever a caller leaves: one terminal item, one stored outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pyeino.errors import AppError, ExternalError, InternalError, RateLimitError, ValidationError
from pyeino.service import (
    ChatMessage,
    ChatOptions,
    ChatRequest,
    MultiTurnChatRequest,
    ServiceLimits,
)
from pyeino.stores import MessageStatus
from pyeino.testing import CallState, ScriptedReply

OpenBench = Callable[..., Any]
ASK = ChatRequest(user_id="ann", session_id="s1", message="hi")
WORDS = ("one ", "two ", "three")


async def read_all(stream: Any) -> tuple[list[Any], BaseException | None]:
    """Every chunk and the error at the end; the stream is closed."""
    chunks: list[Any] = []
    async with stream:
        try:
            async for chunk in stream:
                chunks.append(chunk)
        except AppError as error:
            return chunks, error
    return chunks, None


@pytest.mark.parametrize("at", range(len(WORDS) + 1))
@pytest.mark.parametrize(
    ("raised", "kind", "code", "status"),
    [
        (RuntimeError("secret detail"), ExternalError, "CHAIN_EXECUTION_ERROR", 502),
        (TimeoutError(), InternalError, "TIMEOUT", 504),
        (RateLimitError("QUEUE_FULL", "full"), RateLimitError, "QUEUE_FULL", 429),
        (ValidationError("CONTEXT_LENGTH_EXCEEDED", "long"), ValidationError, None, 400),
        (asyncio.CancelledError(), ExternalError, "CHAIN_EXECUTION_ERROR", 502),
    ],
    ids=["unknown", "timeout", "rate", "validation", "cancelled-itself"],
)
async def test_g03_model_fails_at_any_point(
    bench: OpenBench,
    at: int,
    raised: BaseException,
    kind: type[AppError],
    code: str | None,
    status: int,
) -> None:
    async with bench(ScriptedReply(chunks=WORDS, at=at, error=raised)) as given:
        chunks, error = await read_all(given.service.stream_chat(ASK))
        assert isinstance(error, kind)
        assert error.code == (code or "CONTEXT_LENGTH_EXCEEDED")
        assert error.http_status == status
        assert "secret" not in str(error.to_dict())
        assert [chunk.delta for chunk in chunks] == list(WORDS[:at])
        assert all(chunk.finish_reason is None for chunk in chunks)
        question, answer = await given.rows("s1")
        assert {question.status, answer.status} == {MessageStatus.FAILED}
        assert answer.content == "".join(WORDS[:at])
        assert answer.error_code == error.code

        with pytest.raises(kind) as caught:
            await given.service.chat(ASK)
        assert caught.value.http_status == status
        samples = given.samples()
        assert samples["eino_chat_latency_seconds_count{outcome=error}"] == 2, "G04"
        assert samples["eino_chat_errors_total{error_type=chain_execution_error}"] == 2
        first, _ = given.logs.of("Chain execution failed")
        assert first["error"] is error
        assert first["user_id"] == "ann"
        assert first["session_id"] == "s1"
        assert first["message_id"] == answer.id


@pytest.mark.parametrize("method", ["ensure", "begin_turn", "finish_turn"])
@pytest.mark.parametrize(
    "broken", [OSError("disk"), ExternalError("DATABASE_FULL", "full"), None], ids=str
)
async def test_failed_save_is_logged_counted_and_the_answer_returned(
    bench: OpenBench, method: str, broken: Exception | None
) -> None:
    """A store that raises, and (None) one that hangs."""
    limits = ServiceLimits(store_timeout=10.0 if broken else 0.25)
    async with bench("one two", limits=limits) as given:
        if broken is not None:
            given.faults.failing[method] = broken
        else:
            given.faults.hanging.add(method)
        response = await given.service.chat(ASK)
        assert response.content == "one two"
        assert response.metadata is not None
        assert response.metadata["degraded"] == ["history"]
        chunks, error = await read_all(given.service.stream_chat(ASK))
        assert error is None
        assert chunks[-1].finish_reason == "stop"
        assert chunks[-1].metadata["degraded"] == ["history"]
        lines = given.logs.of("Failed to save message history")
        assert len(lines) == 2
        assert lines[0]["error"] is broken or broken is None
        samples = given.samples()
        assert samples["eino_chat_errors_total{error_type=message_history_error}"] == 2
        assert samples["eino_chat_latency_seconds_count{outcome=ok}"] == 2


@pytest.mark.parametrize("broken", [OSError("disk"), ExternalError("DATABASE_FULL", "full")])
async def test_history_that_cannot_be_read_is_an_error(bench: OpenBench, broken: Exception) -> None:
    async with bench("x") as given:
        given.faults.failing["history"] = broken
        request = MultiTurnChatRequest(
            user_id="ann", session_id="s1", messages=(ChatMessage(role="user", content="a"),)
        )
        with pytest.raises(ExternalError) as caught:
            await given.service.multi_turn_chat(request)
        code = broken.code if isinstance(broken, AppError) else "HISTORY_UNAVAILABLE"
        assert caught.value.code == code
        assert given.model.calls == []


async def test_taken_message_id_is_refused(bench: OpenBench) -> None:
    from pyeino.service import CallContext

    async with bench("x") as given:
        call = CallContext(message_id="m1")
        await given.service.chat(ASK, call=call)
        with pytest.raises(ValidationError) as caught:
            await given.service.chat(ASK, call=call)
        assert caught.value.http_status == 409
        first = await given.scope.messages.get("m1", user_id="ann")
        assert first.status is MessageStatus.COMPLETED
        assert len(given.model.calls) == 1


async def _cancel_after(task: asyncio.Task[Any], turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))


@pytest.mark.parametrize("streamed", [False, True])
async def test_cancel_at_each_await(bench: OpenBench, streamed: bool) -> None:
    """Cancelled after 0, 1, 2, … turns of the loop until one gets through."""
    for turns in range(500):
        async with bench(ScriptedReply(chunks=WORDS)) as given:
            request = ChatRequest(
                user_id="ann",
                session_id="s1",
                message="hi",
                options=ChatOptions(history="session"),
            )
            service = given.service
            call = read_all(service.stream_chat(request)) if streamed else service.chat(request)
            task = asyncio.create_task(call)
            await _cancel_after(task, turns)
            assert service.active_runs == 0
            rows = await given.all_rows()
            statuses = {row.status for row in rows}
            assert MessageStatus.PENDING not in statuses
            assert len(statuses) <= 1
            assert all(one.state is not CallState.RUNNING for one in given.model.calls)
            latencies = given.samples()
            assert "eino_chat_errors_total{error_type=chain_execution_error}" not in latencies
            if not task.cancelled():
                assert statuses == {MessageStatus.COMPLETED}
                assert turns > 5
                return
            assert MessageStatus.FAILED not in statuses
    pytest.fail("no run got through")


@pytest.mark.parametrize("reads", range(len(WORDS) + 2))
async def test_g08_reader_that_leaves_cancels_the_run(bench: OpenBench, reads: int) -> None:
    hold, reached = asyncio.Event(), asyncio.Event()
    reply = ScriptedReply(chunks=WORDS, at=min(reads, len(WORDS)), hold=hold, reached=reached)
    async with bench(reply) as given:
        if reads > len(WORDS):
            hold.set()
        stream = given.service.stream_chat(ASK)
        for _ in range(reads):
            await anext(stream)
        if reads == 0:
            reader = asyncio.create_task(anext(stream))
            await reached.wait()
            reader.cancel()
            await asyncio.wait((reader,))
        await stream.aclose()
        assert given.service.active_runs == 0
        question, answer = await given.rows("s1")
        if reads > len(WORDS):
            assert answer.status is MessageStatus.COMPLETED
            return
        assert given.model.calls[0].state is CallState.CANCELLED
        assert {question.status, answer.status} == {MessageStatus.CANCELLED}
        assert answer.content == "".join(WORDS[:reads])
        assert answer.finish_reason == "cancelled"
        samples = given.samples()
        assert samples["eino_chat_latency_seconds_count{outcome=cancelled}"] == 1
        assert not any(name.startswith("eino_chat_errors_total{") for name in samples)
        assert given.logs.of("Chat cancelled")


async def test_slow_reader_holds_the_model_back(bench: OpenBench) -> None:
    reply = ScriptedReply(chunks=tuple("x" * 200))
    async with bench(reply) as given:
        stream = given.service.stream_chat(ASK)
        await anext(stream)
        for _ in range(300):
            await asyncio.sleep(0)
        assert given.model.calls[0].sent < 40
        chunks = await stream.collect()
        assert sum(len(chunk.delta) for chunk in chunks) == 199


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("by_request", [False, True])
async def test_deadline(bench: OpenBench, streamed: bool, by_request: bool) -> None:
    limits = ServiceLimits(timeout=60.0 if by_request else 0.3)
    options = ChatOptions(timeout=0.3) if by_request else None
    reply = ScriptedReply(chunks=WORDS, at=1, hold=asyncio.Event())
    async with bench(reply, limits=limits) as given:
        request = ChatRequest(user_id="ann", session_id="s1", message="hi", options=options)
        if streamed:
            chunks, error = await read_all(given.service.stream_chat(request))
            assert [chunk.delta for chunk in chunks] == ["one "]
        else:
            with pytest.raises(InternalError) as caught:
                await given.service.chat(request)
            error = caught.value
        assert isinstance(error, InternalError)
        assert (error.code, error.http_status) == ("TIMEOUT", 504)
        assert error.metadata == {"timeout": 0.3}
        assert given.model.calls[0].state is CallState.CANCELLED
        answer = (await given.rows("s1"))[-1]
        assert (answer.status, answer.error_code) == (MessageStatus.FAILED, "TIMEOUT")


async def test_drain_ends_runs_and_refuses_new_ones(bench: OpenBench) -> None:
    reached = asyncio.Event()
    streaming = ScriptedReply(chunks=WORDS, at=1, hold=asyncio.Event(), reached=reached)
    async with bench(streaming, ScriptedReply(hold=asyncio.Event())) as given:
        service = given.service
        streamed = asyncio.create_task(read_all(service.stream_chat(ASK)))
        await reached.wait()
        whole = asyncio.create_task(service.chat(ASK))
        await given.model.wait_for_calls(2)
        assert service.active_runs == 2
        await service.drain()
        assert service.active_runs == 0
        chunks, error = await streamed
        assert [chunk.delta for chunk in chunks] == ["one "]
        assert isinstance(error, InternalError)
        assert (error.code, error.http_status) == ("SERVER_STOPPED", 503)
        with pytest.raises(InternalError, match="SERVER_STOPPED"):
            await whole
        rows = await given.rows("s1")
        assert {(row.status, row.error_code) for row in rows if row.role == "assistant"} == {
            (MessageStatus.FAILED, "SERVER_STOPPED")
        }
        for call in (service.chat(ASK), anext(service.stream_chat(ASK))):
            with pytest.raises(InternalError, match="SERVER_DRAINING") as caught:
                await call
            assert caught.value.http_status == 503


async def test_drain_does_not_wait_for_a_reader_that_does_not_read(bench: OpenBench) -> None:
    reply = ScriptedReply(chunks=tuple("x" * 200))
    async with bench(reply) as given:
        stream = given.service.stream_chat(ASK)
        await anext(stream)
        await given.service.drain()
        _, error = await read_all(stream)
        assert isinstance(error, InternalError)
        assert error.code == "SERVER_STOPPED"


async def test_error_of_the_body_leaves_the_service_unwrapped(bench: OpenBench) -> None:
    with pytest.raises(KeyError, match="body"):
        async with bench("x"):
            raise KeyError("body")


async def test_owner_that_is_cancelled_stores_the_outcome(bench: OpenBench) -> None:
    reached = asyncio.Event()
    reply = ScriptedReply(chunks=WORDS, at=1, hold=asyncio.Event(), reached=reached)
    async with bench(reply, enter=False) as given:
        errors: list[BaseException | None] = []

        async def owner() -> None:
            async with given.service:
                reader = asyncio.create_task(read_all(given.service.stream_chat(ASK)))
                try:
                    await asyncio.Event().wait()
                finally:
                    errors.append((await asyncio.wait_for(asyncio.shield(reader), 30))[1])

        task = asyncio.create_task(owner())
        await reached.wait()
        await given.service.drain()
        task.cancel()
        await asyncio.wait((task,))
        assert isinstance(errors[0], InternalError)
        answer = (await given.rows("s1"))[-1]
        assert answer.status is MessageStatus.FAILED


async def test_runs_are_bounded(bench: OpenBench) -> None:
    hold = asyncio.Event()
    async with bench(ScriptedReply(hold=hold), limits=ServiceLimits(active_runs=1)) as given:
        first = asyncio.create_task(given.service.chat(ASK))
        await given.model.wait_for_calls(1)
        with pytest.raises(RateLimitError, match="QUEUE_FULL") as caught:
            await given.service.chat(ASK)
        assert caught.value.metadata["retry_after"] > 0
        assert given.samples()["eino_chat_errors_total{error_type=queue_full}"] == 1
        hold.set()
        assert (await first).content == "ok"


async def test_broken_logger_breaks_its_own_request_only(
    bench: OpenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, reached = asyncio.Event(), asyncio.Event()
    slow = ScriptedReply(at=0, hold=hold, reached=reached)
    async with bench(slow, "quick", "quick") as given:
        other = asyncio.create_task(given.service.chat(ASK))
        await reached.wait()

        def broken(*_: Any, **__: Any) -> None:
            raise OSError("no space for logs")

        with monkeypatch.context() as patch:
            patch.setattr(given.logs, "info", broken)
            with pytest.raises(InternalError, match="UNKNOWN_ERROR"):
                await given.service.chat(ASK)
            chunks, error = await read_all(given.service.stream_chat(ASK))
            assert "".join(chunk.delta for chunk in chunks) == "quick"
            assert isinstance(error, InternalError)
        hold.set()
        assert (await other).content == "ok"


async def test_not_entered_is_a_clear_error(bench: OpenBench) -> None:
    from pyeino.errors import DeclarationError

    async with bench("x", enter=False) as given:
        with pytest.raises(DeclarationError, match="async with service"):
            await given.service.chat(ASK)


async def test_lost_turns_are_ended_at_the_start(bench: OpenBench) -> None:
    async with bench("x", enter=False, limits=ServiceLimits(timeout=1.0)) as given:
        async with given.service:
            assert "fail_pending" in given.faults.calls
        given.faults.failing["fail_pending"] = OSError("disk")
        async with given.service:
            assert (await given.service.chat(ASK)).content == "x"
        assert given.logs.of("Failed to end lost turns")


async def test_interleaved_streams_are_not_mixed_up(bench: OpenBench) -> None:
    replies = [ScriptedReply(chunks=tuple(f"{n}-{i} " for i in range(20))) for n in range(8)]
    async with bench(*replies) as given:
        results = await asyncio.gather(
            *(
                read_all(
                    given.service.stream_chat(
                        ChatRequest(user_id="ann", session_id=f"s{n}", message="hi")
                    )
                )
                for n in range(8)
            )
        )
        for chunks, error in results:
            assert error is None
            names = {word.split("-")[0] for chunk in chunks for word in chunk.delta.split()}
            assert len(names) == 1
            assert [chunk.seq for chunk in chunks] == list(range(21))
