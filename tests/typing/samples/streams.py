"""A stream knows what flows through it."""

from typing import assert_type

from pyeino.streams import Stream, StreamWriter, concat_items, merge


def size(text: str) -> int: ...


async def infers() -> None:
    texts = Stream.of(["a", "b"])
    assert_type(texts, Stream[str])
    assert_type(texts.map(size), Stream[int])
    one, two = texts.copy(2)
    assert_type(one, Stream[str])
    assert_type(merge([one, two]), Stream[str])
    assert_type(await two.concat(), str)
    assert_type(await one.collect(), list[str])
    assert_type(concat_items(["a", "b"]), str)
    async with Stream.of([1]) as numbers:
        async for number in numbers:
            assert_type(number, int)


async def writes(writer: StreamWriter[int]) -> None:
    await writer.send(1)
    await writer.send("a")  # refused


def refuses() -> None:
    Stream.of([1]).map(size)  # refused
