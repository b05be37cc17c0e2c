"""Runs: options, deadlines, handlers, and streams that are always closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from pyeino.callbacks import Handler, RunInfo
from pyeino.components import ModelOptions
from pyeino.compose import Chain, ComponentOptions, Graph, NodeCallbacks, RunOptions
from pyeino.errors import CompileError, DeclarationError, StreamClosedError, node_path
from pyeino.schema import Message
from pyeino.streams import SourceEnd, Stream


class Echo:
    """A model that answers with the options it was called with."""

    def __init__(self) -> None:
        self.closed = 0

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        return Message.assistant(self._text(options))

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        return Stream.from_iterator(self._chunks(options))

    async def _chunks(self, options: ModelOptions | None) -> AsyncIterator[Message]:
        try:
            for part in self._text(options).split("/"):
                yield Message.assistant(part + "/")
        finally:
            self.closed += 1

    def _text(self, options: ModelOptions | None) -> str:
        return "none" if options is None else f"{options.temperature}/{options.max_tokens}"


def to_messages(text: str) -> list[Message]:
    return [Message.user(text)]


async def test_options_reach_every_model_or_the_one_at_a_path() -> None:
    inner = Chain(list[Message]).then(Echo(), name="model").compile(name="inner")
    run = Chain(str).then(to_messages).then(inner, name="inner").compile()
    assert (await run.invoke("x")).content == "none"
    everywhere = RunOptions.of(ModelOptions(temperature=0.5), ModelOptions(max_tokens=7))
    assert (await run.invoke("x", options=everywhere)).content == "0.5/7"
    there = RunOptions(
        components=(
            ComponentOptions(options=ModelOptions(temperature=1.0), path=("inner", "model")),
            ComponentOptions(options=ModelOptions(temperature=2.0), path=("inner",)),
        )
    )
    assert (await run.invoke("x", options=there)).content == "1.0/None"
    assert (await run.stream("x", options=there).concat()).content == "1.0/None/"


async def test_row_81_a_path_that_leads_nowhere_is_refused() -> None:
    inner = Chain(list[Message]).then(Echo(), name="model").compile(name="inner")
    run = Chain(str).then(to_messages).then(inner, name="inner").compile()
    for path, word in (
        (("model",), "expected one of \\['inner', 'to_messages'\\]"),
        (("inner", "chat"), "at inner"),
        (("inner", "model", "more"), "it is no graph"),
        ((), "empty path"),
    ):
        wrong = ComponentOptions(options=ModelOptions(temperature=1), path=path)
        with pytest.raises(DeclarationError, match=word):
            await run.invoke("x", options=RunOptions(components=(wrong,)))
        handlers = NodeCallbacks(handlers=(), path=path)
        with pytest.raises(DeclarationError, match=word):
            run.stream("x", options=RunOptions(node_callbacks=(handlers,)))


async def test_options_out_of_range() -> None:
    run = Chain(str).then(to_messages).compile()
    for wrong in (RunOptions(max_steps=0), RunOptions(timeout=0), RunOptions(timeout=float("nan"))):
        with pytest.raises(DeclarationError, match="out of range"):
            await run.invoke("x", options=wrong)


async def test_a_timeout_ends_values_and_streams() -> None:
    cleaned: list[str] = []

    async def endless(text: str) -> AsyncIterator[str]:
        try:
            yield text
            await asyncio.Event().wait()
        finally:
            cleaned.append(text)

    run = Chain(str).then(endless).compile()
    soon = RunOptions(timeout=0.01)
    with pytest.raises(TimeoutError):
        await run.invoke("value", options=soon)
    async with run.stream("stream", options=RunOptions(timeout=0.05)) as chunks:
        assert await anext(chunks) == "stream"
        with pytest.raises(TimeoutError):
            await anext(chunks)
    assert cleaned == ["value", "stream"]


async def test_a_stream_that_is_never_read_runs_nothing_and_closes_its_input() -> None:
    called: list[str] = []

    async def node(text: str) -> str:
        called.append(text)
        return text

    run = Chain(str).then(node).compile()
    await run.stream("x").aclose()
    source = Stream.of(["x"])
    async with run.transform(source):
        pass
    assert source.closed
    assert called == []
    with pytest.raises(StreamClosedError):
        await anext(source)


async def test_closing_early_closes_every_source_inside_out() -> None:
    order: list[str] = []

    async def source(text: str) -> AsyncIterator[str]:
        try:
            while True:
                yield text
                await asyncio.sleep(0)
        finally:
            order.append("source")

    async def through(parts: Stream[str]) -> AsyncIterator[str]:
        try:
            async for part in parts:
                yield part
        finally:
            order.append("through")

    run = Chain(str).then(source).then(through).compile()
    async with run.stream("x") as chunks:
        assert await anext(chunks) == "x"
    assert order == ["through", "source"]

    order.clear()
    graph = Graph(str, dict[str, Any])
    graph.add("source", source)
    for name in ("a", "b"):
        graph.add(name, through, output_key=name)
        graph.edge("source", name)
        graph.edge(name, "end")
    graph.edge("start", "source")
    for trigger in ("any", "all"):
        async with graph.compile(trigger=trigger).stream("x") as merged:  # type: ignore[arg-type]
            seen: set[str] = set()
            async for chunk in merged:
                seen.update(chunk)
                if seen == {"a", "b"}:
                    break
        assert order.count("source") == 1
        assert order.count("through") == 2
        order.clear()


async def test_cancelling_a_reader_reaches_the_source() -> None:
    closed = asyncio.Event()
    waiting = asyncio.Event()

    async def stuck(text: str) -> AsyncIterator[str]:
        try:
            waiting.set()
            await asyncio.Event().wait()
            yield text
        finally:
            closed.set()

    run = Chain(str).then(stuck).compile()

    async def read() -> None:
        async with run.stream("x") as chunks:
            async for _ in chunks:
                pass

    task = asyncio.create_task(read())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


async def test_a_failing_node_closes_the_stream_it_was_given() -> None:
    closed: list[str] = []

    async def source(text: str) -> AsyncIterator[str]:
        try:
            yield text
            yield text
        finally:
            closed.append("source")

    def refuse(parts: Stream[str]) -> AsyncIterator[str]:
        raise ValueError("not today")

    run = Chain(str).then(source).then(refuse).compile()
    with pytest.raises(ValueError, match="not today") as caught:
        await run.stream("x").collect()
    assert node_path(caught.value) == ("refuse",)
    # the source was never read, so it has nothing to clean up; a read one has
    assert closed == []


class Recorder(Handler):
    """Notes each moment it is told of."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    def on_start(self, info: RunInfo, input: Any) -> Any:
        self.log.append(f"{self.name} start {info.component}:{info.name}")
        return info.name

    def on_start_with_stream_input(self, info: RunInfo) -> Any:
        self.log.append(f"{self.name} start-stream {info.component}:{info.name}")
        return info.name

    def on_end(self, info: RunInfo, output: Any, token: Any) -> None:
        assert token == info.name
        self.log.append(f"{self.name} end {info.component}:{info.name}")

    async def on_end_with_stream_output(
        self, info: RunInfo, stream: Stream[Any], token: Any
    ) -> None:
        assert token == info.name
        try:
            count = len([item async for item in stream])
        except (ValueError, StreamClosedError) as error:
            self.log.append(f"{self.name} end-stream {info.name} {type(error).__name__}")
        else:
            self.log.append(f"{self.name} end-stream {info.name} {count}")

    def on_error(self, info: RunInfo, error: Exception, token: Any) -> None:
        self.log.append(f"{self.name} error {info.component}:{info.name}")


async def test_handlers_are_told_by_native_shape() -> None:
    log: list[str] = []
    model = Echo()
    run = Chain(str).then(to_messages, name="prompt").then(model, name="model").compile(name="run")
    await run.invoke("x", options=RunOptions(callbacks=(Recorder("h", log),)))
    assert log == [
        "h start Chain:run",
        "h start Lambda:prompt",
        "h end Lambda:prompt",
        "h start ChatModel:model",
        "h end ChatModel:model",
        "h end Chain:run",
    ]
    log.clear()
    options = RunOptions.of(
        ModelOptions(temperature=1, max_tokens=2), callbacks=(Recorder("h", log),)
    )
    assert len(await run.stream("x", options=options).collect()) == 2
    assert log[:4] == [
        "h start-stream Chain:run",
        "h start Lambda:prompt",
        "h end Lambda:prompt",
        "h start ChatModel:model",
    ]
    assert sorted(log[4:]) == ["h end-stream model 2", "h end-stream run 2"]


async def test_the_first_handler_is_the_outermost() -> None:
    log: list[str] = []
    run = Chain(str).then(to_messages, name="prompt").compile()
    handlers = (Recorder("a", log), Recorder("b", log))
    await run.invoke("x", options=RunOptions(callbacks=handlers))
    assert [entry for entry in log if "Lambda" in entry] == [
        "b start Lambda:prompt",
        "a start Lambda:prompt",
        "a end Lambda:prompt",
        "b end Lambda:prompt",
    ]


async def test_handlers_are_told_of_errors_before_and_inside_streams() -> None:
    log: list[str] = []

    async def fail(text: str) -> str:
        raise ValueError("no")

    run = Chain(str).then(fail).compile(name="run")
    with pytest.raises(ValueError, match="no"):
        await run.invoke("x", options=RunOptions(callbacks=(Recorder("h", log),)))
    assert log[-2:] == ["h error Lambda:fail", "h error Chain:run"]

    async def fail_late(text: str) -> AsyncIterator[str]:
        yield text
        raise ValueError("late")

    log.clear()
    run = Chain(str).then(fail_late).compile(name="run")
    with pytest.raises(ValueError, match="late"):
        await run.stream("x", options=RunOptions(callbacks=(Recorder("h", log),))).collect()
    assert sorted(log[-2:]) == [
        "h end-stream fail_late ValueError",
        "h end-stream run ValueError",
    ]


async def test_a_handler_never_keeps_a_generation_alive() -> None:
    log: list[str] = []
    closed = asyncio.Event()

    async def endless(text: str) -> AsyncIterator[str]:
        try:
            while True:
                yield text
                await asyncio.sleep(0)
        finally:
            closed.set()

    run = Chain(str).then(endless).compile(name="run")
    async with run.stream("x", options=RunOptions(callbacks=(Recorder("h", log),))) as chunks:
        assert await anext(chunks) == "x"
    assert closed.is_set()
    assert sorted(log[-2:]) == [
        "h end-stream endless StreamClosedError",
        "h end-stream run StreamClosedError",
    ]


def nested_run() -> Any:
    inner = Chain(list[Message]).then(Echo(), name="model").compile(name="inner")
    return Chain(str).then(to_messages, name="prompt").then(inner, name="sub").compile(name="outer")


async def test_row_87_handlers_of_a_run_are_told_of_every_graph_and_node_in_order() -> None:
    log: list[str] = []
    options = RunOptions(callbacks=(Recorder("h", log),))
    await nested_run().invoke("x", options=options)
    assert [entry for entry in log if " start " in entry] == [
        "h start Chain:outer",
        "h start Lambda:prompt",
        "h start Chain:inner",
        "h start ChatModel:model",
    ]
    log.clear()
    await nested_run().stream("x", options=options).collect()
    assert {entry.split(" ", 1)[1] for entry in log if "start" in entry} == {
        "start-stream Chain:outer",
        "start Lambda:prompt",
        "start-stream Chain:inner",
        "start ChatModel:model",
    }


async def test_row_88_handlers_for_one_place_are_told_of_it_and_of_what_is_inside() -> None:
    for path, told in (
        (("sub",), ["Chain:inner", "ChatModel:model"]),
        (("sub", "model"), ["ChatModel:model"]),
        (("prompt",), ["Lambda:prompt"]),
    ):
        log: list[str] = []
        place = NodeCallbacks(handlers=(Recorder("h", log),), path=path)
        await nested_run().invoke("x", options=RunOptions(node_callbacks=(place,)))
        assert [entry.split()[-1] for entry in log if " start " in entry] == told
        assert [entry.split()[-1] for entry in log if " end " in entry] == told[::-1]
        log.clear()
        await nested_run().stream("x", options=RunOptions(node_callbacks=(place,))).collect()
        assert {entry.split()[-1] for entry in log if "start" in entry} == set(told)


async def test_row_41_the_end_of_each_source_is_told_where_that_is_asked() -> None:
    async def two(text: str) -> AsyncIterator[str]:
        yield text
        yield text

    seen: list[Any] = []

    async def watch(parts: Stream[Any]) -> AsyncIterator[Any]:
        async for part in parts:
            seen.append(part)
            yield part

    graph = Graph(str, dict[str, Any])
    for name in ("s1", "s2"):
        graph.add(name, two, output_key=name)
        graph.edge("start", name)
        graph.edge(name, "watch")
    graph.add("watch", watch)
    graph.edge("watch", "end")
    for trigger in ("any", "all"):
        seen.clear()
        run = graph.compile(trigger=trigger, source_ends=["watch"])  # type: ignore[arg-type]
        assert await run.stream("x").concat() == {"s1": "xx", "s2": "xx"}
        ends = [part.name for part in seen if isinstance(part, SourceEnd)]
        assert sorted(ends) == ["s1", "s2"]
        assert sum(isinstance(part, dict) for part in seen) == 4
    assert await run.invoke("x") == {"s1": "xx", "s2": "xx"}
    with pytest.raises(CompileError, match="source_ends"):
        graph.compile(source_ends=["nobody"])


async def test_row_41_also_for_a_single_source() -> None:
    async def two(text: str) -> AsyncIterator[str]:
        yield text
        yield text

    graph = Graph(str, str)
    graph.add("s1", two)
    graph.edge("start", "s1")
    graph.edge("s1", "end")
    run = graph.compile(source_ends=["end"])
    assert await run.stream("x").collect() == ["x", "x", SourceEnd(name="s1")]
    assert await run.stream("x").concat() == "xx"
