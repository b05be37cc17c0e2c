"""Types flow from one `.then` to the next."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import assert_type

from pyeino.components import ChatModel, PromptTemplate
from pyeino.compose import Chain, Compiled
from pyeino.schema import Message
from pyeino.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    text: str


async def read(question: Question) -> str: ...


def count(text: str) -> int: ...


async def words(text: str) -> AsyncIterator[str]:
    yield text


async def join(parts: Stream[str]) -> str: ...


async def shout(parts: Stream[str]) -> AsyncIterator[str]:
    async for part in parts:
        yield part.upper()


def variables(question: Question) -> dict[str, str]: ...


def content(message: Message) -> str: ...


async def infers(model: ChatModel, template: PromptTemplate) -> None:
    chain = Chain(Question).then(read).then(words).then(shout).then(join).then(count)
    app = chain.compile(name="count")
    assert_type(app, Compiled[Question, int])
    assert_type(await app.invoke(Question(text="a")), int)
    assert_type(app.stream(Question(text="a")), Stream[int])
    answer = Chain(Question).then(variables).then(template).then(model).then(content).compile()
    assert_type(await answer.invoke(Question(text="a")), str)


async def refuses(model: ChatModel, template: PromptTemplate) -> None:
    Chain(Question).then(count)  # refused
    Chain(str).then(count).then(words)  # refused
    Chain(int).then(join)  # refused
    Chain(int).then(shout)  # refused
    Chain(int).then(model)  # refused
    Chain(int).then(template)  # refused
    app = Chain(str).then(count).compile()
    await app.invoke(1)  # refused
    text: str = await app.invoke("a")  # refused
    print(text)
