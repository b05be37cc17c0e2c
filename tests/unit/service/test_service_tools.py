"""The default tool chain: rounds, calls that come late, errors as words, nothing left open."""

from __future__ import annotations

import asyncio
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from pyeino.components import ModelOptions, tool
from pyeino.compose import RunOptions
from pyeino.errors import DeclarationError, ExternalError, ValidationError
from pyeino.integrations.tools import calculator, clock
from pyeino.schema import Message, Role, TokenUsage, ToolChoice
from pyeino.service import ChatOptions, ChatRequest, ToolInput, default_tool_chain
from pyeino.testing import ScriptedChatModel, ScriptedReply

FOUR = ("calculator", {"expression": "2 + 2"})


def given(**fields: Any) -> ToolInput:
    return ToolInput(
        user_id="ann",
        session_id="s",
        message_id="m",
        message="How much is 2 + 2?",
        messages=(Message.user("How much is 2 + 2?"),),
        **fields,
    )


async def answers(chain: Any, value: ToolInput, *, streamed: bool) -> Message:
    if not streamed:
        return await chain.invoke(value)
    return Message.__concat__(await chain.stream(value).collect())


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "text",
    [pytest.param("", id="call_first"), pytest.param("Let me see. ", id="row_264_text_first")],
)
async def test_the_model_calls_a_tool_and_answers(text: str, streamed: bool) -> None:
    model = ScriptedChatModel(ScriptedReply.calling(FOUR, text=text), "It is four.")
    answer = await answers(default_tool_chain(model, [calculator]), given(), streamed=streamed)
    assert answer.content == ("Let me see. \n\nIt is four." if text else "It is four.")
    assert answer.tool_calls == ()
    assert answer.extra["tool_calls"] == [
        {"id": "call_0", "name": "calculator", "arguments": '{"expression":"2 + 2"}', "result": "4"}
    ]
    second = model.calls[1].messages
    assert [one.role for one in second] == [Role.USER, Role.ASSISTANT, Role.TOOL]
    assert second[2].content == "4"
    assert second[2].tool_call_id == second[1].tool_calls[0].id == "call_0"
    assert answer.response_meta is not None
    assert answer.response_meta.finish_reason == "stop"
    assert model.active == 0


async def test_text_streams_while_the_model_still_writes() -> None:
    hold = asyncio.Event()
    last = ScriptedReply(chunks=("It ", "is ", "four."), at=2, hold=hold)
    chain = default_tool_chain(ScriptedChatModel(ScriptedReply.calling(FOUR), last), [calculator])
    async with asyncio.timeout(30), chain.stream(given()) as chunks:
        assert [(await anext(chunks)).content for _ in range(2)] == ["It ", "is "]
        hold.set()
        assert "".join([chunk.content async for chunk in chunks]) == "four."


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_fails_is_told_to_the_model_and_marked(streamed: bool) -> None:
    calls = [
        ("calculator", {"expression": "1 / 0"}),
        ("nobody", {}),
        ("calculator", "{no json"),
        FOUR,
    ]
    model = ScriptedChatModel(ScriptedReply.calling(*calls), "Sorry.")
    chain = default_tool_chain(model, [calculator, clock])
    answer = await answers(chain, given(tools=("calculator",)), streamed=streamed)
    told = answer.extra["tool_calls"]
    codes = [call.get("error") for call in told]
    assert codes == ["INVALID_EXPRESSION", "UNKNOWN_TOOL", "PARSE_ERROR", None]
    assert "divides by zero" in told[0]["result"]
    assert told[1]["result"].endswith("The tools are: calculator.")
    results = [one for one in model.calls[1].messages if one.role is Role.TOOL]
    assert [one.tool_call_id for one in results] == ["call_0", "call_1", "call_2", "call_3"]


async def test_calls_of_one_round_run_at_once() -> None:
    both = asyncio.Barrier(2)

    @tool
    async def meet() -> str:
        """Wait for the other one."""
        await both.wait()
        return "met"

    model = ScriptedChatModel(ScriptedReply.calling(("meet", {}), ("meet", {})), "Done.")
    async with asyncio.timeout(30):
        answer = await default_tool_chain(model, [meet]).invoke(given())
    assert [call["result"] for call in answer.extra["tool_calls"]] == ["met", "met"]


async def test_a_tool_that_is_not_offered_cannot_be_called() -> None:
    model = ScriptedChatModel(ScriptedReply.calling(("clock", {})), "No.")
    chain = default_tool_chain(model, [calculator, clock])
    answer = await chain.invoke(given(tools=("calculator", "calculator")))
    assert answer.extra["tool_calls"][0]["error"] == "UNKNOWN_TOOL"
    options = model.calls[0].options
    assert options is not None
    assert options.tools == (calculator.info,)


async def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    model = ScriptedChatModel("x")
    chain = default_tool_chain(model, [calculator, clock])
    for call in (
        chain.invoke(given(tools=("sun",))),
        chain.stream(given(tools=("sun",))).collect(),
    ):
        with pytest.raises(ValidationError, match="there are calculator, clock") as caught:
            await call
        assert caught.value.metadata["field"] == "options.tools"
        assert caught.value.metadata["available"] == ["calculator", "clock"]
    assert not model.calls


@pytest.mark.parametrize("streamed", [False, True])
async def test_rounds_are_bounded_and_the_last_one_asks_for_words(streamed: bool) -> None:
    model = ScriptedChatModel(*[ScriptedReply.calling(FOUR)] * 2, "Enough.")
    chain = default_tool_chain(model, [calculator], max_rounds=2)
    answer = await answers(chain, given(), streamed=streamed)
    assert answer.content == "Enough."
    assert len(answer.extra["tool_calls"]) == 2
    choices = [call.options.tool_choice for call in model.calls if call.options]
    assert choices == [ToolChoice.ALLOWED, ToolChoice.ALLOWED, ToolChoice.FORBIDDEN]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("text", ["", "Once more. "])
async def test_a_model_that_never_stops_is_an_error(text: str, streamed: bool) -> None:
    chain = default_tool_chain(
        ScriptedChatModel(ScriptedReply.calling(FOUR, text=text)), [calculator], max_rounds=3
    )
    with pytest.raises(ExternalError, match="after 3 rounds") as caught:
        await answers(chain, given(), streamed=streamed)
    assert caught.value.code == "TOOL_ROUNDS_EXCEEDED"


@pytest.mark.parametrize("text", ["", "And on. "])
async def test_the_most_rounds_there_may_be(text: str) -> None:
    replies = [ScriptedReply.calling(FOUR, text=text)] * 64
    chain = default_tool_chain(ScriptedChatModel(*replies, "End."), [calculator], max_rounds=64)
    answer = await answers(chain, given(), streamed=True)
    assert len(answer.extra["tool_calls"]) == 64
    assert answer.content.endswith("End.")


async def test_usage_is_that_of_all_rounds_and_options_reach_every_one() -> None:
    usage = TokenUsage(prompt_tokens=10, completion_tokens=5, total_tokens=15)
    call = ScriptedReply.calling(FOUR)
    first = ScriptedReply(
        chunks=(), tool_calls=call.tool_calls, usage=usage, finish_reason="tool_calls"
    )
    last = ScriptedReply(chunks=("ok",), usage=usage)
    model = ScriptedChatModel(first, last, first, last)
    chain = default_tool_chain(model, [calculator], system_prompt="Be brief.")
    options = RunOptions.of(ModelOptions(temperature=0.25))
    for answer in (
        await chain.invoke(given(), options=options),
        Message.__concat__(await chain.stream(given(), options=options).collect()),
    ):
        assert answer.response_meta is not None
        assert answer.response_meta.usage is not None
        assert answer.response_meta.usage.total_tokens == 30
    assert all(one.options and one.options.temperature == 0.25 for one in model.calls)
    assert model.calls[0].messages[0] == Message.system("Be brief.")


async def test_named_tools_can_be_forced_in_the_first_round() -> None:
    model = ScriptedChatModel(ScriptedReply.calling(FOUR), "Four.")
    chain = default_tool_chain(model, [calculator, clock], force_named=True)
    await chain.invoke(given(tools=("calculator",)))
    await chain.invoke(given())
    choices = [call.options.tool_choice for call in model.calls if call.options]
    assert choices == [ToolChoice.FORCED, ToolChoice.ALLOWED, ToolChoice.ALLOWED]


async def test_calls_without_ids_and_with_equal_ones_get_their_own() -> None:
    made = ScriptedReply.calling(FOUR, FOUR, size=0).tool_calls
    bare = tuple(type(one)(function=one.function) for one in made)
    reply = ScriptedReply(chunks=(), tool_calls=bare, finish_reason="tool_calls")
    model = ScriptedChatModel(reply, "Four.")
    answer = await default_tool_chain(model, [calculator]).invoke(given())
    assert [call["id"] for call in answer.extra["tool_calls"]] == ["call_0_0", "call_0_1"]
    sent = model.calls[1].messages
    assert [one.id for one in sent[1].tool_calls] == [one.tool_call_id for one in sent[2:]]


async def test_a_long_result_is_cut_for_the_caller_only() -> None:
    @tool
    def long() -> str:
        """Say much."""
        return "x" * 10_000

    model = ScriptedChatModel(ScriptedReply.calling(("long", {})), "Much.")
    answer = await default_tool_chain(model, [long]).invoke(given())
    assert len(answer.extra["tool_calls"][0]["result"]) == 4096
    assert len(model.calls[1].messages[-1].content) == 10_000


async def test_leaving_ends_the_tool() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @tool
    async def wait() -> str:
        """Wait."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    chain = default_tool_chain(ScriptedChatModel(ScriptedReply.calling(("wait", {}))), [wait])
    task = asyncio.create_task(chain.invoke(given()))
    async with asyncio.timeout(30):
        await begun.wait()
        task.cancel()
        await asyncio.wait({task})
    assert ended.is_set()


@pytest.mark.parametrize("text", ["", "Let me see. "])
async def test_leaving_a_stream_ends_the_model_in_every_round(text: str) -> None:
    for taken in range(6):
        hold = asyncio.Event()
        last = ScriptedReply(chunks=("It ", "is ", "four."), at=3, hold=hold)
        model = ScriptedChatModel(ScriptedReply.calling(FOUR, text=text), last)
        async with (
            asyncio.timeout(30),
            default_tool_chain(model, [calculator]).stream(given()) as chunks,
        ):
            for _ in range(min(taken, 3)):
                await anext(chunks)
        assert model.active == 0


PASSES = st.lists(
    st.tuples(
        st.sampled_from(["", " ", "Well.", "Let me see. "]),
        st.lists(st.sampled_from([FOUR, ("calculator", {"expression": "x"}), ("no", {})])),
        st.sampled_from([0, 1, 8]),
    ),
    max_size=4,
)


@hypothesis.given(PASSES, st.sampled_from(["", "Done.", " It is so. "]))
def test_streamed_and_whole_answers_are_the_same(passes: list[Any], final: str) -> None:
    def chain() -> Any:
        replies = [ScriptedReply.calling(*calls, text=text, size=n) for text, calls, n in passes]
        return default_tool_chain(ScriptedChatModel(*replies, final), [calculator])

    async def both() -> tuple[Message, Message]:
        return (
            await answers(chain(), given(), streamed=False),
            await answers(chain(), given(), streamed=True),
        )

    whole, streamed = asyncio.run(both())
    assert streamed == whole


def test_a_chain_without_tools_or_rounds_is_refused() -> None:
    for tools, rounds in (([], 1), ([calculator], 0), ([calculator], 65), ([calculator] * 2, 1)):
        with pytest.raises(DeclarationError):
            default_tool_chain(ScriptedChatModel(), tools, max_rounds=rounds)


# --- through the service -------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
async def test_g07_a_request_for_tools_goes_the_tool_way_and_says_so(
    bench: Any, streamed: bool
) -> None:
    model = ScriptedChatModel(ScriptedReply.calling(FOUR), "It is four.")
    chain = default_tool_chain(model, [calculator, clock])
    async with bench(tool_chain=chain) as opened:
        request = ChatRequest(
            user_id="ann",
            session_id="s",
            message="How much is my secret sum?",
            options=ChatOptions(tools=("calculator",)),
        )
        if streamed:
            chunks = await opened.service.stream_chat(request).collect()
            content, metadata = "".join(one.delta for one in chunks), chunks[-1].metadata
            assert len(chunks) == 4
        else:
            answer = await opened.service.chat(request)
            content, metadata = answer.content, answer.metadata
        assert content == "It is four."
        assert metadata["chain"] == "tools"
        assert metadata["chain_reason"] == "options.tools asks for tools"
        assert [(call["name"], call["result"]) for call in metadata["tool_calls"]] == [
            ("calculator", "4")
        ]
        rows = await opened.rows("s")
        assert [(row.role, row.content) for row in rows] == [
            ("user", "How much is my secret sum?"),
            ("assistant", "It is four."),
        ]
        assert rows[1].metadata["tool_calls"] == metadata["tool_calls"]
        samples = opened.samples()
        labels = "{component_name=calculator,component_type=Tool}"
        assert samples[f"eino_component_calls_total{labels}"] == 1
        assert samples[f"eino_component_latency_seconds_count{labels}"] == 1
        (line,) = opened.logs.of("Chat completed")
        assert line["tools"] == ["calculator"]
        assert "2 + 2" not in str(opened.logs.lines)
    assert model.active == 0


async def test_a_failing_tool_is_counted(bench: Any) -> None:
    model = ScriptedChatModel(ScriptedReply.calling(("calculator", {"expression": "x"})), "No.")
    async with bench(tool_chain=default_tool_chain(model, [calculator])) as opened:
        options = ChatOptions(tools=("calculator",))
        await opened.service.chat(ChatRequest(user_id="ann", message="?", options=options))
        labels = "{component_name=calculator,component_type=Tool,error_type=ValidationError}"
        assert opened.samples()[f"eino_component_errors_total{labels}"] == 1


async def test_an_unknown_tool_is_a_400_of_the_service(bench: Any) -> None:
    chain = default_tool_chain(ScriptedChatModel(), [calculator])
    async with bench(tool_chain=chain) as opened:
        request = ChatRequest(user_id="ann", message="?", options=ChatOptions(tools=("sun",)))
        with pytest.raises(ValidationError, match="there are calculator"):
            await opened.service.chat(request)
