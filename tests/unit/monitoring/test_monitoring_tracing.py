"""Tracing: spans of components and chains, their attributes, and what is no error (G88-G91)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from span_kit import Kept, kept_spans

from pyeino.components import ModelOptions, tool
from pyeino.compose import Chain, RunOptions, ToolsNode
from pyeino.monitoring import (
    TraceInfo,
    TracingHandler,
    add_span_event,
    request_context,
    set_span_attributes,
    trace_chain_execution,
    tracing_middleware,
)
from pyeino.schema import FunctionCall, Message, TokenUsage, ToolCall
from pyeino.testing import ScriptedChatModel, ScriptedReply

QUESTION = [Message.user("how high is the tower of Pisa")]


def traced(kept: Kept, *options: Any) -> RunOptions:
    return RunOptions.of(*options, callbacks=(TracingHandler(kept.tracing),))


def chain_of(model: Any) -> Any:
    return Chain(list[Message]).then(model, name="model").compile(name="answer")


def attributes(span: Any) -> dict[str, Any]:
    return dict(span.attributes)


async def test_a_component_and_its_chain_have_the_spans_of_the_guide() -> None:
    with kept_spans() as kept:
        model = ScriptedChatModel(ScriptedReply(chunks=("5", "6 m"), finish_reason="stop"))
        await chain_of(model).invoke(QUESTION, options=traced(kept))
        span, chain = kept.one("ChatModel.model"), kept.one("chain.answer")
    found = attributes(span)
    assert found["component.type"] == "ChatModel"
    assert found["component.name"] == "model"
    assert found["input.type"] == "ModelCall"
    assert found["output.type"] == "Message"
    assert "error.type" not in found
    assert (span.status.status_code, span.status.description) == (StatusCode.OK, None)
    assert attributes(chain)["chain.name"] == "answer"
    assert attributes(chain)["operation"] == "execute"
    assert span.parent is not None
    assert span.parent.span_id == chain.context.span_id
    assert chain.parent is None
    assert span.instrumentation_scope.name == "eino"
    assert span.resource.attributes["service.name"] == "pyeino"


async def test_the_same_spans_carry_the_genai_conventions() -> None:
    usage = TokenUsage(prompt_tokens=9, completion_tokens=2, total_tokens=11)
    reply = ScriptedReply(usage=usage, extra={"model": "scripted-2"})
    with kept_spans() as kept:
        asked = ModelOptions(temperature=0.5, max_tokens=7, stop=("END",))
        await chain_of(ScriptedChatModel(reply)).invoke(QUESTION, options=traced(kept, asked))
        found = attributes(kept.one("ChatModel.model"))
        chain = attributes(kept.one("chain.answer"))
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.provider.name"] == "scripted"
    assert found["gen_ai.request.model"] == "scripted"
    assert found["gen_ai.response.model"] == "scripted-2"
    assert found["gen_ai.request.temperature"] == 0.5
    assert found["gen_ai.request.max_tokens"] == 7
    assert found["gen_ai.request.stop_sequences"] == ("END",)
    assert found["gen_ai.response.finish_reasons"] == ("stop",)
    assert found["gen_ai.usage.input_tokens"] == 9
    assert found["gen_ai.usage.output_tokens"] == 2
    assert chain["gen_ai.operation.name"] == "invoke_workflow"
    assert chain["gen_ai.workflow.name"] == "answer"


async def test_g88_a_streamed_span_ends_with_its_stream_and_tells_the_first_chunk() -> None:
    hold = asyncio.Event()
    reply = ScriptedReply(chunks=("a", "b"), hold=hold, at=1)
    with kept_spans() as kept:
        run = chain_of(ScriptedChatModel(reply))
        async with run.stream(QUESTION, options=traced(kept)) as chunks:
            assert (await anext(chunks)).content == "a"
            assert kept.spans() == []  # nothing has ended: half of the answer is still to come
            hold.set()
            async for _ in chunks:
                pass
        span = kept.one("ChatModel.model")
    (event,) = [one for one in span.events if one.name == "first_chunk"]
    assert event.timestamp < span.end_time
    first = attributes(span)["gen_ai.response.time_to_first_chunk"]
    assert 0 < first < (span.end_time - span.start_time) / 1e9
    assert attributes(span)["gen_ai.request.stream"] is True
    assert attributes(span)["output.type"] == "Stream[Message]"
    assert span.status.status_code is StatusCode.OK


async def test_g88_an_error_in_the_stream_is_recorded() -> None:
    reply = ScriptedReply(chunks=("a", "b"), at=1, error=ValueError("the line broke"))
    with kept_spans() as kept:
        run = chain_of(ScriptedChatModel(reply))
        with pytest.raises(ValueError, match="broke"):
            await run.stream(QUESTION, options=traced(kept)).collect()
        for span in (kept.one("ChatModel.model"), kept.one("chain.answer")):
            assert span.status.status_code is StatusCode.ERROR
            assert attributes(span)["error.type"] == "ValueError"
            assert [one.name for one in span.events] == ["first_chunk", "exception"]


async def test_g89_error_text_is_masked_and_its_type_is_the_class() -> None:
    secret = "sk-proj-abcdefghijkl1234"

    class ProviderDown(Exception):
        pass

    error = ProviderDown(f"key {secret} of ann@example.com refused: {QUESTION[0].content!r}")
    with kept_spans() as kept:
        with pytest.raises(ProviderDown):
            await chain_of(ScriptedChatModel(error)).invoke(QUESTION, options=traced(kept))
        span = kept.one("ChatModel.model")
    found = attributes(span)
    assert found["error.type"] == "ProviderDown"
    assert found["error.message"] == "key sk-*** of a***n@example.com refused: '***'"
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == found["error.message"]
    (event,) = span.events
    assert event.name == "exception"
    everything = f"{span.to_json()}"
    for hidden in (secret, "ann@", "tower of Pisa"):
        assert hidden not in everything
    assert "test_monitoring_tracing" not in str(event.attributes["exception.message"])
    assert event.attributes["exception.stacktrace"]


async def test_g89_a_cancel_and_a_reader_that_leaves_are_no_errors() -> None:
    reached = asyncio.Event()
    reply = ScriptedReply(chunks=("a", "b"), hold=asyncio.Event(), reached=reached, at=1)
    with kept_spans() as kept:
        run = chain_of(ScriptedChatModel(reply))
        task = asyncio.create_task(run.invoke(QUESTION, options=traced(kept)))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with run.stream(QUESTION, options=traced(kept)) as chunks:
            await anext(chunks)
        spans = kept.spans()
    assert sorted(span.name for span in spans) == [
        *("ChatModel.model", "ChatModel.model"),
        *("chain.answer", "chain.answer"),
    ]
    for span in spans:
        assert span.status.status_code is StatusCode.UNSET
        assert "error.type" not in attributes(span)
        assert [one.name for one in span.events][-1] == "cancelled"


def test_g90_attributes_keep_their_types_and_texts_are_bounded() -> None:
    with kept_spans() as kept:
        with kept.tracing.span("work"):
            set_span_attributes(
                {
                    "count": 3,
                    "ratio": 0.5,
                    "good": True,
                    "names": ["a", "b"],
                    "sizes": (1, 2),
                    "mixed": [1, 2.5],
                    "odd": [1, "x"],
                    "took": timedelta(milliseconds=250),
                    "raw": b"1234",
                    "none": None,
                    "long": "x" * 100_000,
                    "api_key": "hunter2",
                    "user_id": "user-12345",
                    "object": Message.user("x"),
                }
            )
            add_span_event("step", {"number": 2, "note": "to bob@example.com"})
        span = kept.one("work")
    found = attributes(span)
    assert (found["count"], found["ratio"], found["good"]) == (3, 0.5, True)
    assert type(found["count"]) is int
    assert type(found["good"]) is bool
    assert (found["names"], found["sizes"]) == (("a", "b"), (1, 2))
    assert (found["mixed"], found["odd"]) == ((1.0, 2.5), ("1", "x"))
    assert (found["took"], found["raw"]) == (0.25, "<4 bytes>")
    assert "none" not in found
    assert len(found["long"]) == 1024
    assert (found["api_key"], found["user_id"]) == ("***", "us***45")
    assert len(found["object"]) <= 1024
    (event,) = span.events
    assert dict(event.attributes) == {"number": 2, "note": "to b***b@example.com"}


async def test_g91_what_a_component_says_of_itself_is_on_its_span() -> None:
    class Known(ScriptedChatModel):
        def get_trace_info(self) -> TraceInfo:
            return TraceInfo(
                component_type="ChatModel",
                component_name="known",
                version="2.1",
                attributes={"region": "eu", "replicas": 3, "server.address": "models.example"},
            )

    with kept_spans() as kept:
        await chain_of(Known("x")).invoke(QUESTION, options=traced(kept))
        span = kept.one("ChatModel.model")
    found = attributes(span)
    assert found["component.version"] == "2.1"
    assert (found["region"], found["replicas"]) == ("eu", 3)
    assert span.kind is SpanKind.CLIENT  # somebody else's server answers


async def test_tools_have_spans_below_their_node() -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        set_span_attributes({"inside": request_context().span_id})
        return a + b

    call = ToolCall(id="c1", function=FunctionCall(name="add", arguments='{"a":1,"b":2}'))
    with kept_spans() as kept:
        run = Chain(Message).then(ToolsNode([add]), name="tools").compile(name="run")
        await run.invoke(Message.assistant("", tool_calls=[call]), options=traced(kept))
        span, node = kept.one("Tool.add"), kept.one("ToolsNode.tools")
    found = attributes(span)
    assert found["gen_ai.operation.name"] == "execute_tool"
    assert (found["gen_ai.tool.name"], found["gen_ai.tool.call.id"]) == ("add", "c1")
    assert "gen_ai.tool.call.arguments" not in found
    assert span.parent.span_id == node.context.span_id
    # what the tool itself does belongs to its own span, and so do its log lines
    assert found["inside"] == f"{span.context.span_id:016x}"


async def test_spans_of_a_stream_are_children_of_what_opened_them() -> None:
    async def shout(text: str) -> AsyncIterator[str]:
        for word in text.split():
            add_span_event("word")
            yield word.upper()

    async def count(text: str) -> str:
        set_span_attributes({"counted": True})
        return text

    with kept_spans() as kept:
        run = Chain(str).then(count).then(shout).compile(name="run")
        with kept.tracing.span("outer"):
            async with run.stream("a b", options=traced(kept)) as chunks:
                assert [chunk async for chunk in chunks] == ["A", "B"]
                # the reader's own work is its own again between two reads
                set_span_attributes({"read": True})
        outer, chain = kept.one("outer"), kept.one("chain.run")
        first, second = kept.one("Lambda.count"), kept.one("Lambda.shout")
    assert chain.parent.span_id == outer.context.span_id
    assert first.parent.span_id == second.parent.span_id == chain.context.span_id
    assert attributes(first)["counted"] is True
    assert attributes(outer)["read"] is True
    assert [one.name for one in second.events].count("word") == 2


async def test_runs_at_the_same_time_do_not_mix() -> None:
    with kept_spans() as kept:
        run = chain_of(ScriptedChatModel("x"))
        await asyncio.gather(*(run.invoke(QUESTION, options=traced(kept)) for _ in range(20)))
        chains = {span.context.span_id for span in kept.spans() if span.name == "chain.answer"}
        models = [span for span in kept.spans() if span.name == "ChatModel.model"]
    assert len(chains) == 20
    assert {span.parent.span_id for span in models} == chains


async def test_the_helpers_trace_what_no_graph_runs() -> None:
    async def look_up(query: str) -> list[str]:
        return [query]

    async def fail(query: str) -> None:
        raise LookupError(f"no {query}")

    with kept_spans() as kept:
        looked = tracing_middleware("Retriever", "files", tracing=kept.tracing)(look_up)
        assert await looked("a question") == ["a question"]

        async def work() -> str:
            # inside a span there is no need to say where to
            with pytest.raises(LookupError):
                await tracing_middleware("Tool", "broken")(fail)("such question")
            return "done"

        assert await trace_chain_execution("steps", work, tracing=kept.tracing) == "done"
        chain, broken = kept.one("chain.steps"), kept.one("Tool.broken")
        found = attributes(kept.one("Retriever.files"))
    assert found["output.type"] == "list[str]"
    assert found["input.type"] == "str"
    assert chain.status.status_code is StatusCode.OK
    assert broken.parent.span_id == chain.context.span_id
    assert attributes(broken)["error.message"] == "no ***"
    # and nothing at all where nothing is traced
    assert await tracing_middleware("Retriever", "files")(look_up)("x") == ["x"]
    assert await trace_chain_execution("steps", lambda: look_up("x")) == ["x"]
    add_span_event("nowhere")
    set_span_attributes({"nowhere": 1})


async def test_content_is_captured_only_when_asked_for() -> None:
    for capture in (False, True):
        with kept_spans(capture_content=capture) as kept:
            run = chain_of(ScriptedChatModel(ScriptedReply(chunks=("fifty", "-six"))))
            await run.invoke(QUESTION, options=traced(kept))
            await run.stream(QUESTION, options=traced(kept)).collect()
            everything = " ".join(span.to_json() for span in kept.spans())
        assert ("tower of Pisa" in everything) is capture
        assert everything.count("fifty-six") == (2 if capture else 0)


async def test_only_the_asked_share_of_new_traces_is_recorded() -> None:
    with kept_spans(sample_ratio=0.0) as kept:
        with kept.tracing.span("mine") as span:
            assert not span.recording
            assert request_context().traceparent() == f"00-{span.trace_id}-{span.span_id}-00"
        with kept.tracing.span("theirs", traceparent=f"00-{'a' * 32}-{'b' * 16}-01"):
            pass
        assert [one.name for one in kept.spans()] == ["theirs"]


def test_it_never_touches_the_global_provider_unless_asked() -> None:
    program = """
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pyeino.monitoring import Tracing
exporter = InMemorySpanExporter()
tracing = Tracing(exporter)
before = trace.get_tracer_provider()
trace.get_tracer("theirs").start_span("lost").end()
tracing.install_globally()
trace.get_tracer("theirs").start_span("found").end()
tracing.close()
print(type(before).__name__, [span.name for span in exporter.get_finished_spans()])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "ProxyTracerProvider ['found']", done.stderr


def test_without_the_extra_the_room_loads_and_says_what_to_install() -> None:
    program = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ImportError(name)
sys.meta_path.insert(0, Missing())
from pyeino.monitoring import Tracing, add_span_event, set_span_attributes
add_span_event("x"); set_span_attributes({"x": 1})
try:
    Tracing.otlp()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pyeino[tracing]" in done.stdout, done.stderr


def test_nothing_of_opentelemetry_is_loaded_where_nothing_is_traced() -> None:
    program = (
        "import sys, pyeino.service, pyeino.server, pyeino.monitoring;"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_broken_error_text_and_deep_input_do_no_harm() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    given: dict[str, Any] = {}
    given["self"] = given
    with kept_spans() as kept:
        span = kept.tracing.start("x")
        span.fail(Odd(), given=given)
        span.end()
        span.end()
        span.set_attributes({"late": 1})
        found = attributes(kept.one("x"))
    assert found["error.message"] == "<Odd: no text (RuntimeError)>"
    assert "late" not in found
