"""One turn and several, whole and streamed: ids, rows, metadata, metrics, logs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pyeino.components import ModelInfo, ModelOptions
from pyeino.errors import AppError
from pyeino.schema import Message, Role, TokenUsage
from pyeino.service import (
    CallContext,
    ChatChunk,
    ChatMessage,
    ChatOptions,
    ChatRequest,
    MultiTurnChatRequest,
    ServiceLimits,
    generate_message_id,
)
from pyeino.stores import MessageStatus
from pyeino.testing import ScriptedReply

OpenBench = Callable[..., Any]
ASK = ChatRequest(user_id="ann", message="How are you?")


async def test_chat_answers_with_the_fields_of_the_guide(bench: OpenBench) -> None:
    async with bench("I am fine.") as given:
        response = await given.service.chat(ASK)
        body = msgspec.to_builtins(response)
        assert set(body) == {"message_id", "content", "token_usage", "metadata", "process_time"}
        assert body["content"] == "I am fine."
        assert body["token_usage"] == {
            "prompt_tokens": 3,
            "completion_tokens": 3,
            "total_tokens": 6,
        }
        assert 0 < body["process_time"] < 60
        metadata = body["metadata"]
        assert metadata["chain"] == "plain"
        assert metadata["chain_reason"]
        assert metadata["finish_reason"] == "stop"
        assert metadata["session_id"]
        assert "degraded" not in metadata


async def test_g01_one_id_in_row_chunks_answer_and_log(bench: OpenBench) -> None:
    async with bench("I am fine.") as given:
        chunks = await given.service.stream_chat(ASK).collect()
        (message_id,) = {chunk.message_id for chunk in chunks}
        rows = await given.all_rows()
        assert rows[-1].id == message_id
        assert {row.turn_id for row in rows} == {message_id}
        (line,) = given.logs.of("Chat completed")
        assert line["message_id"] == message_id
        own = await given.service.chat(ASK, call=CallContext(message_id="mine"))
        assert own.message_id == "mine"


async def test_g02_question_is_stored_before_the_run(bench: OpenBench) -> None:
    hold = asyncio.Event()
    async with bench(ScriptedReply(hold=hold)) as given:
        task = asyncio.create_task(given.service.chat(ASK))
        await given.model.wait_for_calls(1)
        question, answer = await given.all_rows()
        assert (question.role, question.content) == ("user", "How are you?")
        assert {question.status, answer.status} == {MessageStatus.PENDING}
        hold.set()
        response = await task
        question, answer = await given.all_rows()
        assert {question.status, answer.status} == {MessageStatus.COMPLETED}
        assert answer.content == response.content == "ok"
        assert answer.usage is not None
        assert answer.metadata["chain"] == "plain"


async def test_stream_is_gap_free_and_only_the_last_chunk_carries_totals(
    bench: OpenBench,
) -> None:
    async with bench("one two three") as given:
        chunks = await given.service.stream_chat(ASK).collect()
        assert [chunk.seq for chunk in chunks] == list(range(len(chunks)))
        assert "".join(chunk.delta for chunk in chunks) == "one two three"
        for chunk in chunks[:-1]:
            assert set(msgspec.to_builtins(chunk)) == {"message_id", "seq", "delta"}
        last = chunks[-1]
        assert last.finish_reason == "stop"
        assert last.token_usage is not None
        assert last.token_usage.total_tokens == 6
        assert last.process_time is not None
        assert last.metadata is not None
        assert last.metadata["session_id"]


async def test_stream_is_lazy(bench: OpenBench) -> None:
    async with bench() as given:
        stream = given.service.stream_chat(ASK)
        await asyncio.sleep(0)
        assert given.model.calls == []
        await stream.aclose()
        assert await given.all_rows() == []


async def test_g09_session_is_made_and_returned_and_can_be_gone_on_with(bench: OpenBench) -> None:
    async with bench("one", "two") as given:
        first = await given.service.chat(ASK)
        assert first.metadata is not None
        session_id = first.metadata["session_id"]
        again = ChatRequest(
            user_id="ann",
            session_id=session_id,
            message="And now?",
            options=ChatOptions(history="session"),
        )
        await given.service.chat(again)
        assert [m.content for m in given.model.calls[1].messages] == [
            "How are you?",
            "one",
            "And now?",
        ]
        session = await given.scope.sessions.get(session_id, user_id="ann")
        assert session.title == "How are you?"


async def test_chat_sends_no_history_unless_asked(bench: OpenBench) -> None:
    async with bench("x") as given:
        request = ChatRequest(user_id="ann", session_id="s1", message="hi")
        await given.service.chat(request)
        await given.service.chat(request)
        assert [m.content for m in given.model.calls[1].messages] == ["hi"]


async def test_empty_session_id_means_none(bench: OpenBench) -> None:
    async with bench("x") as given:
        response = await given.service.chat(ChatRequest(user_id="ann", session_id="", message="hi"))
        assert response.metadata is not None
        assert response.metadata["session_id"]


async def test_multi_turn_is_history_and_messages(bench: OpenBench) -> None:
    async with bench("one", "two", "three") as given:
        for text in ("a", "b"):
            await given.service.multi_turn_chat(
                MultiTurnChatRequest(
                    user_id="ann",
                    session_id="s1",
                    messages=(ChatMessage(role="user", content=text),),
                )
            )
        request = MultiTurnChatRequest(
            user_id="ann",
            session_id="s1",
            messages=(
                ChatMessage(role="system", content="Be brief."),
                ChatMessage(role="user", content="c"),
            ),
        )
        chunks = await given.service.stream_multi_turn(request).collect()
        assert "".join(chunk.delta for chunk in chunks) == "three"
        seen = [(m.role, m.content) for m in given.model.calls[2].messages]
        assert seen == [
            (Role.USER, "a"),
            (Role.ASSISTANT, "one"),
            (Role.USER, "b"),
            (Role.ASSISTANT, "two"),
            (Role.SYSTEM, "Be brief."),
            (Role.USER, "c"),
        ]
        assert [row.role for row in await given.rows("s1")][-3:] == ["system", "user", "assistant"]


async def test_history_is_bounded_and_begins_with_a_question(bench: OpenBench) -> None:
    async with bench("answer", limits=ServiceLimits(history_messages=3)) as given:
        request = ChatRequest(
            user_id="ann",
            session_id="s1",
            message="q",
            options=ChatOptions(history="session"),
        )
        for _ in range(4):
            await given.service.chat(request)
        roles = [m.role for m in given.model.calls[-1].messages]
        assert roles == [Role.USER, Role.ASSISTANT, Role.USER]


async def test_metadata_of_the_request_is_stored_and_not_shown(bench: OpenBench) -> None:
    async with bench("x") as given:
        options = ChatOptions(metadata={"ticket": "T-1"})
        await given.service.chat(
            ChatRequest(user_id="ann", session_id="s1", message="hi", options=options)
        )
        question, answer = await given.rows("s1")
        assert question.metadata == {"ticket": "T-1"}
        assert "ticket" not in answer.metadata
        assert "T-1" not in str(given.model.calls[0].messages)


async def test_store_false_leaves_no_trace(bench: OpenBench) -> None:
    async with bench("x") as given:
        await given.service.chat(ASK, call=CallContext(store=False))
        assert (await given.scope.sessions.list(user_id="ann")).items == ()


async def test_sessions_of_others_are_as_if_they_never_were(bench: OpenBench) -> None:
    """S35: with sessions made on demand, and with unknown ones refused."""
    async with bench("secret") as given:
        mine = ChatRequest(user_id="ann", session_id="s1", message="my secret")
        await given.service.chat(mine)
        options = ChatOptions(history="session")
        theirs = ChatRequest(user_id="bob", session_id="s1", message="tell", options=options)
        await given.service.chat(theirs)
        assert [m.content for m in given.model.calls[1].messages] == ["tell"]
        assert len(await given.rows("s1")) == 2

    async with bench("secret", create_unknown_sessions=False) as given:
        await given.scope.sessions.create("s1", user_id="ann")
        await given.service.chat(mine)
        bodies = []
        for session_id in ("s1", "never"):
            for history in ("none", "session"):
                request = ChatRequest(
                    user_id="bob",
                    session_id=session_id,
                    message="x",
                    options=ChatOptions(history=history),
                )
                with pytest.raises(AppError) as caught:
                    await given.service.chat(request)
                assert caught.value.http_status == 404
                bodies.append(caught.value.to_dict())
        assert all(body == bodies[0] for body in bodies)
        assert bodies[0]["code"] == "SESSION_NOT_FOUND"


async def test_options_reach_the_model(bench: OpenBench) -> None:
    models = (ModelInfo(id="small", provider="test"), ModelInfo(id="big", provider="test"))
    async with bench("x", models=models) as given:
        options = ChatOptions(model="big", temperature=0.5, max_tokens=7)
        call = CallContext(model_options=ModelOptions(top_p=0.25, stop=("END",), temperature=2.0))
        response = await given.service.chat(
            ChatRequest(user_id="ann", message="hi", options=options), call=call
        )
        assert given.model.calls[0].options == ModelOptions(
            model="big", temperature=0.5, max_tokens=7, top_p=0.25, stop=("END",)
        )
        assert response.metadata is not None
        assert response.metadata["model"] == "big"
        response = await given.service.chat(
            ChatRequest(user_id="ann", message="hi", options=ChatOptions(model="default"))
        )
        assert given.model.calls[1].options is not None
        assert given.model.calls[1].options.model is None
        assert response.metadata is not None
        assert response.metadata["model"] == "small"


async def test_g16_what_was_applied_stands_in_the_metadata(bench: OpenBench) -> None:
    applied = {"max_tokens": 5, "requested_max_tokens": 4096}
    reply = ScriptedReply(chunks=("a", "b"), extra={"applied": applied, "model": "tiny"})
    async with bench(reply) as given:
        chunks: list[ChatChunk] = await given.service.stream_chat(ASK).collect()
        response = await given.service.chat(ASK)
        for metadata in (chunks[-1].metadata, response.metadata):
            assert metadata is not None
            assert metadata["applied"] == applied
            assert metadata["model"] == "tiny"


async def test_metrics_and_log_of_a_chat(bench: OpenBench) -> None:
    usage = TokenUsage(prompt_tokens=11, completion_tokens=5, total_tokens=16)
    models = (ModelInfo(id="small", provider="test"),)
    async with bench(ScriptedReply(usage=usage), models=models) as given:
        await given.service.chat(ASK, call=CallContext(request_id="req_1"))
        samples = given.samples()
        assert samples["eino_chat_requests_total{chain=plain}"] == 1
        assert samples["eino_chat_latency_seconds_count{outcome=ok}"] == 1
        assert samples["eino_token_usage_total{model=small,type=prompt}"] == 11
        assert samples["eino_token_usage_total{model=small,type=completion}"] == 5
        assert not any("ann" in name for name in samples), "G05: no user in a label"
        (line,) = given.logs.of("Chat completed")
        assert line["chain"] == "plain"
        assert line["reason"]
        assert line["request_id"] == "req_1"
        assert not any("How are you" in str(line) for line in given.logs.lines), "no user text"


def test_ids_sort_by_time_and_never_repeat() -> None:
    ids = [generate_message_id() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(one[14] == "7" and one[19] in "89ab" for one in ids)


async def test_the_chain_is_any_runnable(bench: OpenBench) -> None:
    from pyeino.compose import Chain
    from pyeino.service import ChatInput

    def shout(given: ChatInput) -> Message:
        return Message.assistant(given.message.upper())

    async with bench(chat_chain=Chain(ChatInput).then(shout).compile(name="shout")) as given:
        response = await given.service.chat(ASK)
        assert response.content == "HOW ARE YOU?"
        assert response.token_usage is None
        chunks = await given.service.stream_chat(ASK).collect()
        assert "".join(chunk.delta for chunk in chunks) == "HOW ARE YOU?"
