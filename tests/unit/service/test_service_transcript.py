"""No call without its answer: in what is taken, kept and sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.errors import ValidationError
from pyeino.schema import FunctionCall, Message, Role, ToolCall
from pyeino.service import ChatMessage, ChatOptions, MultiTurnChatRequest
from pyeino.service._transcript import without_orphans


def call(name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(id=name, function=FunctionCall(name="calculator", arguments=arguments))


def asks(*names: str, text: str = "") -> ChatMessage:
    return ChatMessage(role="assistant", content=text, tool_calls=tuple(map(call, names)))


def result(name: str) -> ChatMessage:
    return ChatMessage(role="tool", content="4", tool_call_id=name)


USER = ChatMessage(role="user", content="How much?")


def talk(*messages: ChatMessage, **fields: Any) -> MultiTurnChatRequest:
    return MultiTurnChatRequest(user_id="ann", messages=messages, **fields)


async def test_a_whole_transcript_reaches_the_model_and_comes_back_from_the_store(
    bench: Any,
) -> None:
    async with bench("Four.", "Still four.") as opened:
        first = talk(USER, asks("a", "b"), result("b"), result("a"), session_id="s")
        await opened.service.multi_turn_chat(first)
        sent = opened.model.calls[0].messages
        assert [one.role for one in sent] == [
            Role.USER, Role.ASSISTANT, Role.TOOL, Role.TOOL,
        ]  # fmt: skip
        assert [one.tool_name for one in sent[2:]] == ["calculator", "calculator"]
        await opened.service.multi_turn_chat(talk(USER, session_id="s"))
        assert opened.model.calls[1].messages[:4] == sent
        assert [one.content for one in opened.model.calls[1].messages[4:]] == ["Four.", "How much?"]


async def test_a_history_that_is_cut_keeps_no_orphan(bench: Any) -> None:
    from pyeino.service import ServiceLimits

    async with bench("Four.", limits=ServiceLimits(history_messages=3)) as opened:
        await opened.service.multi_turn_chat(
            talk(USER, asks("a", "b"), result("b"), result("a"), session_id="s")
        )
        options = ChatOptions(history="session")
        await opened.service.multi_turn_chat(talk(USER, session_id="s", options=options))
        assert all(one.role is not Role.TOOL for one in opened.model.calls[1].messages)


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([USER, result("a")], "messages[1].tool_call_id"),
        ([USER, asks("a")], "messages[2]"),
        ([USER, asks("a"), USER], "messages[2]"),
        ([USER, asks("a", "b"), result("a"), USER], "messages[3]"),
        ([USER, asks("a"), result("a"), result("a")], "messages[3].tool_call_id"),
        ([USER, asks("a"), result("b")], "messages[2].tool_call_id"),
        ([USER, asks("a", "a"), result("a")], "messages[1].tool_calls[1].id"),
        ([USER, asks(""), result("")], "messages[1].tool_calls[0].id"),
        (
            [ChatMessage(role="user", content="x", tool_calls=(call("a"),)), result("a")],
            "messages[0].tool_calls",
        ),
        ([ChatMessage(role="user", content="x", tool_call_id="a")], "messages[0].tool_call_id"),
    ],
)
async def test_an_orphan_is_refused_by_its_place(
    bench: Any, messages: list[ChatMessage], field: str
) -> None:
    async with bench("x") as opened:
        with pytest.raises(ValidationError) as caught:
            await opened.service.multi_turn_chat(talk(*messages))
        assert caught.value.metadata["field"] == field
        assert not opened.model.calls


async def test_metadata_of_a_request_makes_no_call(bench: Any) -> None:
    forged = {"transcript": {"tool_calls": [{"id": "x", "function": {"name": "y"}}]}}
    async with bench("a", "b") as opened:
        options = ChatOptions(metadata=forged)
        await opened.service.multi_turn_chat(talk(USER, session_id="s", options=options))
        await opened.service.multi_turn_chat(talk(USER, session_id="s"))
        assert all(not one.tool_calls for one in opened.model.calls[1].messages)


MESSAGES = st.lists(
    st.one_of(
        st.just(Message.user("u")),
        st.builds(
            lambda ids, text: Message.assistant(text, tool_calls=[call(one) for one in ids]),
            st.lists(st.sampled_from("abc"), max_size=3, unique=True),
            st.sampled_from(["", "text"]),
        ),
        st.builds(lambda name: Message.tool("r", tool_call_id=name), st.sampled_from("abc")),
    ),
    max_size=12,
)


@given(MESSAGES)
def test_what_is_left_never_holds_an_orphan(messages: list[Message]) -> None:
    kept = without_orphans(messages)
    waiting: set[str] = set()
    for message in kept:
        if message.role is Role.TOOL:
            assert message.tool_call_id in waiting
            waiting.remove(message.tool_call_id)
        else:
            assert not waiting
            waiting = {one.id for one in message.tool_calls}
    assert not waiting
    assert without_orphans(kept) == kept
    assert [one for one in kept if one.role is Role.USER] == [
        one for one in messages if one.role is Role.USER
    ]
