"""A chain of the user's as the chat chain: what it may take and give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from pyeino.compose import Chain
from pyeino.schema import Message
from pyeino.service import ChatInput
from pyeino.wiring import UnfitChainError, as_chat_chain

_INPUT = ChatInput(
    user_id="u",
    session_id="s",
    message_id="m",
    message="how are you",
    messages=(Message.user("hello"), Message.assistant("hi"), Message.user("how are you")),
)


async def _words(text: str) -> AsyncIterator[str]:
    for word in text.split():
        yield f"{word} "


async def test_a_chain_over_chat_input_is_taken_as_it_is() -> None:
    def answer(given: ChatInput) -> Message:
        return Message.assistant(given.user_id)

    chain = Chain(ChatInput).then(answer).compile(name="own")
    assert as_chat_chain(chain, name="app:own") is chain


async def test_a_chain_over_messages_gets_the_conversation() -> None:
    def count(messages: list[Message]) -> Message:
        return Message.assistant(str(len(messages)))

    served = as_chat_chain(Chain(list[Message]).then(count).compile(name="c"), name="app:c")
    assert (await served.invoke(_INPUT)).content == "3"

    def first(messages: Sequence[Message]) -> Message:
        return messages[0]

    served = as_chat_chain(Chain(Sequence[Message]).then(first).compile(), name="app:c")
    assert (await served.invoke(_INPUT)).content == "hello"


async def test_a_chain_over_text_gets_the_question_and_streams_its_words() -> None:
    served = as_chat_chain(Chain(str).then(_words).compile(name="w"), name="app:w")
    assert (await served.invoke(_INPUT)).content == "how are you "
    async with served.stream(_INPUT) as chunks:
        parts = [chunk.content async for chunk in chunks]
    assert parts == ["how ", "are ", "you "]


async def test_a_value_that_is_no_answer_is_an_error_with_a_remedy() -> None:
    def wrong(text: str) -> Any:
        return 7

    served = as_chat_chain(Chain(str).then(wrong).compile(name="w"), name="app:w")
    with pytest.raises(UnfitChainError, match="found int"):
        await served.invoke(_INPUT)


def test_what_cannot_be_served_is_refused_before_the_server_starts() -> None:
    def double(number: int) -> int:
        return 2 * number

    with pytest.raises(UnfitChainError, match=r"app:d cannot answer .* found one over int"):
        as_chat_chain(Chain(int).then(double).compile(), name="app:d")
    with pytest.raises(UnfitChainError, match=r"not compiled.*compile\(\)"):
        as_chat_chain(Chain(int).then(double), name="app:d")
    with pytest.raises(UnfitChainError, match="found int"):
        as_chat_chain(7, name="app:n")
