"""with_cache: what is found again, what never is, and calls that overlap."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pyeino.components import ChatModel, EmbedderOptions, ModelOptions, tool, with_cache
from pyeino.errors import DeclarationError, ExternalError, node_path, with_node
from pyeino.integrations.memory import MemoryCache
from pyeino.schema import Document, FunctionCall, Message, ToolCall, ToolInfo
from pyeino.testing import CallState, ScriptedChatModel, ScriptedReply

ASK = [Message.user("hi")]
BROKEN = ExternalError("MODEL_FAILED", "broken")


def cached(inner: ChatModel, cache: MemoryCache | None = None, **rules: Any) -> ChatModel:
    store = MemoryCache() if cache is None else cache
    return with_cache(inner, store, name="m", **rules)


async def spoken(answering: ChatModel, **options: Any) -> list[str]:
    given = ModelOptions(**options) if options else None
    return [chunk.content for chunk in await answering.stream(ASK, options=given).collect()]


async def test_whole_and_streamed_calls_find_each_others_answers() -> None:
    inner = ScriptedChatModel("one two three", "other")
    model = cached(inner)
    first = await model.stream(ASK).collect()
    again = await model.stream(ASK).collect()
    assert [chunk.content for chunk in again] == [chunk.content for chunk in first]
    whole = await model.generate(ASK)
    assert whole.content == "one two three"
    assert whole.response_meta == first[-1].response_meta
    assert whole.extra == {"cached": True}
    assert "cached" not in first[-1].extra
    assert len(inner.calls) == 1
    inner = ScriptedChatModel("one two three", "other")
    model = cached(inner)
    await model.generate(ASK)
    assert await spoken(model) == ["one two three"]
    assert len(inner.calls) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"model": "big"},
        {"max_tokens": 3},
        {"stop": ("x",)},
        {"seed": 1},
        {"tools": (ToolInfo(name="t", description="d"),)},
        {"response_format": {"type": "object"}},
        {"extra": {"k": 1}},
    ],
)
async def test_every_option_is_part_of_the_key(options: dict[str, Any]) -> None:
    inner = ScriptedChatModel("a", "b")
    model = cached(inner)
    assert await spoken(model) == ["a", ""]
    assert await spoken(model, **options) == ["b", ""]
    assert await spoken(model, **options) == ["b", ""]
    assert len(inner.calls) == 2


async def test_name_and_messages_are_part_of_the_key() -> None:
    cache, inner = MemoryCache(), ScriptedChatModel("a", "b", "c")
    one = with_cache(inner, cache, name="one")
    other = with_cache(inner, cache, name="other")
    assert (await one.generate(ASK)).content == "a"
    assert (await other.generate(ASK)).content == "b"
    assert (await one.generate([*ASK, Message.user("more")])).content == "c"
    assert len(cache) == 3


async def test_sampled_answers_and_tool_calls_are_kept_only_when_asked() -> None:
    call = ToolCall(id="1", function=FunctionCall(name="t", arguments="{}"))
    replies = (ScriptedReply(tool_calls=(call,)), ScriptedReply(chunks=("fresh",)))
    for ask in (False, True):
        inner = ScriptedChatModel(*replies)
        model = cached(inner, tool_calls=ask)
        await model.generate(ASK)
        assert bool((await model.generate(ASK)).tool_calls) is ask
        inner = ScriptedChatModel("a", "b")
        model = cached(inner, sampled=ask)
        hot = ModelOptions(temperature=0.7)
        await model.generate(ASK, options=hot)
        assert (await model.generate(ASK, options=hot)).content == ("a" if ask else "b")
    inner = ScriptedChatModel("a", "b")
    model = cached(inner)
    assert await spoken(model, temperature=0.0) == await spoken(model, temperature=0.0)


async def test_errors_and_broken_off_streams_are_not_kept() -> None:
    late = ScriptedReply(chunks=("a", "b"), at=1, error=BROKEN)
    inner = ScriptedChatModel(BROKEN, late, ScriptedReply(chunks=("c", "d")), "whole")
    cache = MemoryCache()
    model = cached(inner, cache)
    with pytest.raises(ExternalError):
        await model.generate(ASK)
    with pytest.raises(ExternalError):
        await model.stream(ASK).collect()
    async with model.stream(ASK) as chunks:
        assert (await anext(chunks)).content == "c"
    assert inner.calls[2].state is CallState.CANCELLED
    assert len(cache) == 0
    assert (await model.generate(ASK)).content == "whole"


async def test_overlapping_calls_are_made_once() -> None:
    hold = asyncio.Event()
    inner = ScriptedChatModel(ScriptedReply(chunks=("a", "b"), hold=hold), "second")
    model = cached(inner)
    tasks = [asyncio.create_task(model.generate(ASK)) for _ in range(5)]
    await inner.wait_for_calls(1)
    hold.set()
    answers = await asyncio.gather(*tasks)
    assert {answer.content for answer in answers} == {"ab"}
    assert len(inner.calls) == 1


async def test_an_error_goes_to_all_that_wait_each_its_own() -> None:
    hold = asyncio.Event()
    error = ExternalError("MODEL_FAILED", "broken")  # of its own: notes are put on it
    inner = ScriptedChatModel(ScriptedReply(hold=hold, error=error))
    model = cached(inner)

    async def ask(number: int) -> tuple[str, ...]:
        try:
            await model.generate(ASK)
        except ExternalError as error:
            return node_path(with_node(error, str(number)))
        return ()

    tasks = [asyncio.create_task(ask(number)) for number in range(3)]
    await inner.wait_for_calls(1)
    await asyncio.sleep(0)
    hold.set()
    assert await asyncio.gather(*tasks) == [("0",), ("1",), ("2",)]
    assert len(inner.calls) == 1


async def test_when_the_first_caller_leaves_the_others_keep_its_call() -> None:
    hold = asyncio.Event()
    inner = ScriptedChatModel(ScriptedReply(hold=hold), "second")
    model = cached(inner)
    first = asyncio.create_task(model.generate(ASK))
    await inner.wait_for_calls(1)
    others = [asyncio.create_task(model.generate(ASK)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    hold.set()
    answers = await asyncio.gather(*others)
    assert {answer.content for answer in answers} == {"ok"}
    assert [call.state for call in inner.calls] == [CallState.COMPLETED]


async def test_when_the_last_caller_leaves_the_call_ends() -> None:
    inner = ScriptedChatModel(ScriptedReply(hold=asyncio.Event()))
    model = cached(inner)
    callers = [asyncio.create_task(model.generate(ASK)) for _ in range(2)]
    await inner.wait_for_calls(1)
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    assert [call.state for call in inner.calls] == [CallState.CANCELLED]


async def test_a_follower_that_leaves_does_not_disturb_the_call() -> None:
    hold = asyncio.Event()
    inner = ScriptedChatModel(ScriptedReply(hold=hold))
    model = cached(inner)
    first, second = (asyncio.create_task(model.generate(ASK)) for _ in range(2))
    await inner.wait_for_calls(1)
    await asyncio.sleep(0)
    second.cancel()
    hold.set()
    assert (await first).content == "ok"


async def test_streams_that_overlap_share_one_source_from_its_first_chunk() -> None:
    hold = asyncio.Event()
    inner = ScriptedChatModel(ScriptedReply(chunks=("a", "b", "c"), at=2, hold=hold))
    cache = MemoryCache()
    model = cached(inner, cache)
    async with model.stream(ASK) as first, model.stream(ASK) as second:
        assert [(await anext(first)).content for _ in range(2)] == ["a", "b"]
        assert (await anext(second)).content == "a"
        await first.aclose()  # the one that came first leaves; the other goes on
        hold.set()
        rest = [chunk.content async for chunk in second]
    assert rest == ["b", "c", ""]
    assert len(inner.calls) == 1
    assert len(cache) == 1


async def test_the_last_reader_that_leaves_ends_the_call() -> None:
    hold = asyncio.Event()
    inner = ScriptedChatModel(ScriptedReply(chunks=("a", "b", "c"), at=2, hold=hold))
    model = cached(inner)
    async with model.stream(ASK) as first, model.stream(ASK) as second:
        await anext(first)
        await anext(second)
        await first.aclose()
        assert inner.calls[0].state is CallState.RUNNING
    assert inner.calls[0].state is CallState.CANCELLED
    hold.set()
    assert await spoken(model) == ["a", "b", "c", ""]
    assert len(inner.calls) == 2


async def test_an_entry_has_its_time() -> None:
    clock = [0.0]
    inner = ScriptedChatModel("a", "b")
    model = cached(inner, MemoryCache(clock=lambda: clock[0]), ttl=10)
    await model.generate(ASK)
    clock[0] = 9.9
    assert (await model.generate(ASK)).content == "a"
    clock[0] = 10.0
    assert (await model.generate(ASK)).content == "b"


class Down:
    """A store in trouble."""

    async def get(self, key: str) -> bytes | None:
        raise BROKEN

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        raise BROKEN

    async def delete(self, key: str) -> None: ...

    async def clear(self) -> None: ...


async def test_trouble_with_the_cache_is_raised_or_told() -> None:
    model = with_cache(ScriptedChatModel("a"), Down(), name="m")
    with pytest.raises(ExternalError):
        await model.generate(ASK)
    told: list[Exception] = []
    model = with_cache(ScriptedChatModel("a"), Down(), name="m", on_error=told.append)
    assert (await model.generate(ASK)).content == "a"
    assert await spoken(model) == ["a", ""]
    assert told == [BROKEN] * 4


async def test_bytes_that_cannot_be_read_are_a_miss() -> None:
    class Garbage(MemoryCache):
        async def get(self, key: str) -> bytes | None:
            return b"\xc1garbage"

    told: list[Exception] = []
    model = with_cache(ScriptedChatModel("a"), Garbage(), name="m", on_error=told.append)
    assert (await model.generate(ASK)).content == "a"
    assert len(told) == 1


async def test_what_is_no_data_is_not_looked_up() -> None:
    inner = ScriptedChatModel("a", "b")
    options = ModelOptions(extra={"hook": object()})
    model = cached(inner)
    assert (await model.generate(ASK, options=options)).content == "a"
    assert (await model.generate(ASK, options=options)).content == "b"


async def test_embedders_retrievers_and_tools() -> None:
    calls: list[Any] = []

    class Both:
        async def retrieve(self, query: str, *, options: Any = None) -> list[Document]:
            calls.append(query)
            return [Document(id="1", content=query, meta_data={"n": 1}).with_score(0.5)]

    class Embeds:
        async def embed(self, texts: Sequence[str], *, options: Any = None) -> list[list[float]]:
            calls.append(texts)
            return [[0.5, 1.0] for _ in texts]

    @tool
    async def shout(word: str) -> str:
        """Say it loudly."""
        calls.append(word)
        return word.upper()

    cache = MemoryCache()
    retriever = with_cache(Both(), cache, name="r")
    assert await retriever.retrieve("q") == await retriever.retrieve("q")
    embedder = with_cache(Embeds(), cache, name="e")
    assert await embedder.embed(["a"]) == await embedder.embed(["a"]) == [[0.5, 1.0]]
    loud = with_cache(shout, cache, name="t")
    assert await loud.run('{"word": "x"}') == await loud.stream('{"word": "x"}').concat() == "X"
    assert calls == ["q", ["a"], "x"]


async def test_vectors_are_kept_text_by_text() -> None:
    calls: list[list[str]] = []
    hold = asyncio.Event()

    class Embeds:
        async def embed(self, texts: Sequence[str], *, options: Any = None) -> list[list[float]]:
            calls.append(list(texts))
            await hold.wait()
            return [[float(len(text))] for text in texts]

    embedder = with_cache(Embeds(), MemoryCache(), name="e")
    both = [asyncio.create_task(embedder.embed(["a", "bb", "a"])) for _ in range(2)]
    await asyncio.sleep(0)
    hold.set()
    assert await asyncio.gather(*both) == [[[1.0], [2.0], [1.0]]] * 2
    found = await embedder.embed(["ccc", "a", "bb"])
    assert found == [[3.0], [1.0], [2.0]]
    assert calls == [["a", "bb"], ["ccc"]]
    assert await embedder.embed(["a"], options=EmbedderOptions(model="other")) == [[1.0]]
    assert calls[2:] == [["a"]]
    first = await embedder.embed(["a"])
    first[0].append(9.0)  # what was given out is the caller's own
    assert await embedder.embed(["a"]) == [[1.0]]


async def test_the_memory_cache_is_bounded_and_drops_what_was_used_longest_ago() -> None:
    cache = MemoryCache(max_entries=2, max_bytes=12)
    await cache.set("a", b"1")
    await cache.set("b", b"2")
    assert await cache.get("a") == b"1"
    await cache.set("c", b"3")
    assert [await cache.get(key) for key in "abc"] == [b"1", None, b"3"]
    await cache.set("d", b"x" * 9)
    assert [await cache.get(key) for key in "acd"] == [None, b"3", b"x" * 9]
    await cache.set("e", b"x" * 12)
    assert await cache.get("e") is None
    await cache.set("c", b"33")
    assert [await cache.get(key) for key in "cd"] == [b"33", None]
    await cache.delete("c")
    await cache.delete("c")
    assert len(cache) == 0
    await cache.set("f", b"1")
    await cache.clear()
    assert await cache.get("f") is None
    with pytest.raises(DeclarationError):
        MemoryCache(max_entries=0)


async def test_streams_that_share_a_failure_each_raise_their_own() -> None:
    error = ExternalError("MODEL_FAILED", "broken")  # of its own: notes are put on it
    model = cached(ScriptedChatModel(ScriptedReply(chunks=("a", "b"), at=1, error=error)))
    paths: list[tuple[str, ...]] = []
    async with model.stream(ASK) as first, model.stream(ASK) as second:
        for stream in (first, second):
            assert (await anext(stream)).content == "a"
        for name, stream in (("1", first), ("2", second)):
            with pytest.raises(ExternalError) as caught:
                await anext(stream)
            paths.append(node_path(with_node(caught.value, name)))
    assert paths == [("1",), ("2",)]
