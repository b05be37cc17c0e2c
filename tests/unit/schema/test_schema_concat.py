"""Chunks of messages add up; tests named after rows of the conformance list."""

import asyncio
import copy
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.errors import ConcatError, EmptyStreamError
from pyeino.schema import (
    AudioPart,
    CompletionTokenDetails,
    FilePart,
    FunctionCall,
    ImagePart,
    LogProb,
    LogProbs,
    Message,
    PromptTokenDetails,
    ReasoningPart,
    ResponseMeta,
    Role,
    TextPart,
    TokenUsage,
    ToolCall,
    ToolResult,
    concat_extra,
    concat_message_lists,
)

concat = Message.__concat__


def call(
    index: int | None, id: str = "", name: str = "", arguments: str = "", type: str = "function"
) -> ToolCall:
    return ToolCall(
        index=index, id=id, type=type, function=FunctionCall(name=name, arguments=arguments)
    )


def calls(*chunks: ToolCall) -> tuple[ToolCall, ...]:
    return concat([Message.assistant("", tool_calls=[one]) for one in chunks]).tool_calls


def output(*parts: TextPart | ReasoningPart | AudioPart | ImagePart) -> Message:
    return Message(role=Role.ASSISTANT, content="", assistant_output_multi_content=parts)


def test_row_99_message_stream_joins_content_and_extra() -> None:
    chunks = [
        Message(
            role=Role.ASSISTANT,
            content=str(number),
            extra={"key_1": str(number), str(number): str(number)} if number % 4 == 0 else {},
        )
        for number in range(10)
    ]
    whole = concat(chunks)
    assert whole.content == "0123456789"
    assert whole.extra == {"key_1": "048", "0": "0", "4": "4", "8": "8"}


def test_row_101_one_key_with_two_types_is_an_error_that_names_the_key() -> None:
    with pytest.raises(ConcatError, match="'k'"):
        concat_extra([{"k": "a"}, {"k": 1}])
    with pytest.raises(ConcatError, match=r"\['a'\]\['b'\]"):
        concat_extra([{"a": {"b": "x"}}, {"a": {"b": [1]}}])
    with pytest.raises(ConcatError, match="object"):
        concat_extra([{"a": object()}, {"a": object()}])


def test_extra_adds_up_by_kind() -> None:
    assert concat_extra(
        [
            {"t": "a", "n": 1, "b": True, "l": [1], "m": {"x": "1"}, "none": None},
            {"t": "b", "n": 2.5, "b": False, "l": [2], "m": {"x": "2", "y": 3}, "none": "late"},
        ]
    ) == {"t": "ab", "n": 2.5, "b": False, "l": [1, 2], "m": {"x": "12", "y": 3}, "none": "late"}


def test_row_219_chunks_of_one_call_become_one_call() -> None:
    assert calls(call(0), call(0, "id", "f"), call(0, arguments="{"), call(0, arguments="}")) == (
        call(0, "id", "f", "{}"),
    )


def test_row_221_meta_takes_last_reason_greatest_usage_and_all_logprobs() -> None:
    def meta(reason: str, usage: TokenUsage | None, token: str) -> Message:
        return Message(
            role=Role.ASSISTANT,
            content="",
            response_meta=ResponseMeta(
                finish_reason=reason,
                usage=usage,
                logprobs=LogProbs(content=(LogProb(token=token, logprob=-1.0),)),
            ),
        )

    first = meta("", None, "a")
    kept = copy.deepcopy(first)
    whole = concat(
        [
            Message.assistant("x"),
            first,
            meta(
                "length",
                TokenUsage(
                    prompt_tokens=9,
                    completion_tokens=1,
                    total_tokens=10,
                    prompt_token_details=PromptTokenDetails(cached_tokens=4),
                ),
                "b",
            ),
            meta(
                "stop",
                TokenUsage(
                    prompt_tokens=2,
                    completion_tokens=7,
                    total_tokens=9,
                    completion_token_details=CompletionTokenDetails(reasoning_tokens=3),
                ),
                "c",
            ),
            meta("", None, "d"),
        ]
    ).response_meta
    assert whole is not None
    assert whole.finish_reason == "stop"
    assert whole.usage == TokenUsage(
        prompt_tokens=9,
        completion_tokens=7,
        total_tokens=10,
        prompt_token_details=PromptTokenDetails(cached_tokens=4),
        completion_token_details=CompletionTokenDetails(reasoning_tokens=3),
    )
    assert whole.logprobs is not None
    assert [one.token for one in whole.logprobs.content] == ["a", "b", "c", "d"]
    assert first == kept


async def test_row_221_concatenation_is_safe_from_many_threads() -> None:
    chunks = [Message.assistant(str(n), tool_calls=[call(0, arguments="x")]) for n in range(50)]
    results = await asyncio.gather(*(asyncio.to_thread(concat, chunks) for _ in range(8)))
    assert all(one == results[0] for one in results)


@pytest.mark.parametrize("field", ["name", "tool_name", "tool_call_id"])
def test_row_222_differing_values_are_an_error_with_both(field: str) -> None:
    left, right = (Message(role=Role.TOOL, content="", **{field: one}) for one in ("a", "b"))
    empty = Message(role=Role.TOOL, content="")
    assert getattr(concat([empty, left, empty, left]), field) == "a"
    with pytest.raises(ConcatError, match=rf"{field}.*'a'.*'b'"):
        concat([left, right])


def test_row_222_differing_roles_are_an_error() -> None:
    with pytest.raises(ConcatError, match="role"):
        concat([Message.user("a"), Message.assistant("b")])


def test_row_223_calls_without_index_come_first_then_by_index() -> None:
    found = calls(
        call(1, "11", "f", "a"),
        call(None, "22", "g"),
        call(0, "00", "h", "x"),
        call(None, "44", "g"),
        call(1, arguments="b"),
        call(0, arguments="y"),
    )
    assert [(one.id, one.function.arguments) for one in found] == [
        ("22", ""),
        ("44", ""),
        ("00", "xy"),
        ("11", "ab"),
    ]


def test_row_224_differing_type_or_name_of_one_call_is_an_error() -> None:
    with pytest.raises(ConcatError, match=r"index 0.*type"):
        calls(call(0, "a"), call(0, type="custom"))
    with pytest.raises(ConcatError, match=r"index 0.*name"):
        calls(call(0, "a", "f"), call(0, "", "g"))
    assert calls(call(0), call(0, "", "f"), call(0, "late")) == (call(0, "late", "f"),)


def test_row_224_decided_otherwise_an_index_with_another_id_is_a_new_call() -> None:
    found = calls(
        call(0, "a", "f", "1"),
        call(0, arguments="2"),
        call(0, "b", "g", "3"),
        call(0, arguments="4"),
        call(0, "a", arguments="5"),
    )
    assert [(one.id, one.function.arguments) for one in found] == [("a", "125"), ("b", "34")]


def test_row_228_tool_results_join_text_and_refuse_media_in_two_chunks() -> None:
    sound = AudioPart(url="a")
    whole = ToolResult.__concat__(
        [
            ToolResult(parts=(TextPart(text="Part 1", extra={"n": "a"}),)),
            ToolResult(parts=(TextPart(text=" Part 2", extra={"n": "b"}),)),
            ToolResult(),
            ToolResult(parts=(sound, TextPart(text=" Part 3"))),
            ToolResult(parts=(ImagePart(url="i"), ImagePart(url="j"))),
        ]
    )
    assert whole.parts == (
        TextPart(text="Part 1 Part 2", extra={"n": "ab"}),
        sound,
        TextPart(text=" Part 3"),
        ImagePart(url="i"),
        ImagePart(url="j"),
    )
    for part in (sound, ImagePart(url="i"), FilePart(url="f")):
        with pytest.raises(ConcatError, match="chunk 0 and chunk 1"):
            ToolResult.__concat__([ToolResult(parts=(part,))] * 2)
    assert ToolResult.__concat__([]) == ToolResult()


def test_row_229_a_tool_part_is_an_input_part_as_it_is() -> None:
    result = ToolResult(parts=(TextPart(text="a"), ImagePart(url="i")))
    message = Message.user("", parts=result.parts)
    assert message.user_input_multi_content == result.parts


def test_user_input_parts_join_neighbouring_text_only() -> None:
    image = ImagePart(url="u")
    whole = concat(
        [
            Message.user("", parts=[TextPart(text="a", extra={"x": 1})]),
            Message.user("", parts=[TextPart(text="b"), image]),
            Message.user("", parts=[image, TextPart(text="c", extra={"y": 1})]),
        ]
    )
    assert whole.user_input_multi_content == (
        TextPart(text="ab"),
        image,
        image,
        TextPart(text="c", extra={"y": 1}),
    )


def test_output_parts_join_by_kind_and_streaming_index() -> None:
    whole = concat(
        [
            output(ReasoningPart(text="a", signature="1"), ReasoningPart(text="b")),
            output(ReasoningPart(text="c", signature="2"), TextPart(text="x", extra={"k": "1"})),
            output(TextPart(text="y", extra={"k": "2"}), TextPart(text="i", streaming_index=1)),
            output(TextPart(text="j", streaming_index=1), TextPart(text="k", streaming_index=2)),
            output(AudioPart(base64_data="QQ", mime_type=""), AudioPart(base64_data="==")),
            output(AudioPart(base64_data="QQ==", mime_type="audio/wav"), AudioPart(url="u")),
            output(AudioPart(url="u"), ImagePart(url="p"), ImagePart(url="p")),
        ]
    )
    assert whole.assistant_output_multi_content == (
        ReasoningPart(text="abc", signature="2"),
        TextPart(text="xy", extra={"k": "12"}),
        TextPart(text="ij", streaming_index=1),
        TextPart(text="k", streaming_index=2),
        AudioPart(base64_data="QQ==QQ==", mime_type="audio/wav"),
        AudioPart(url="u"),
        AudioPart(url="u"),
        ImagePart(url="p"),
        ImagePart(url="p"),
    )


def test_lists_of_messages_add_up_by_column() -> None:
    a, b = Message.tool("a", tool_call_id="1"), Message.tool("b", tool_call_id="2")
    assert concat_message_lists([[a, None, None], [a, b, None]]) == [
        Message.tool("aa", tool_call_id="1"),
        b,
        None,
    ]
    assert concat_message_lists([]) == []
    with pytest.raises(ConcatError, match=r"chunk 1; expected 1; found 2"):
        concat_message_lists([[a], [a, b]])


def test_nothing_and_foreign_chunks_are_errors() -> None:
    with pytest.raises(EmptyStreamError):
        concat([])
    with pytest.raises(ConcatError, match="chunk 1"):
        concat([Message.user("a"), None])  # type: ignore[list-item]


def test_chunks_and_their_maps_are_left_alone() -> None:
    chunks = [
        Message(role=Role.ASSISTANT, content="a", extra={"m": {"x": "1"}, "l": [1]}),
        Message(role=Role.ASSISTANT, content="b", extra={"m": {"x": "2"}, "l": [2]}),
    ]
    kept = copy.deepcopy(chunks)
    whole = concat(chunks)
    whole.extra["new"] = 1
    assert chunks == kept


def test_ten_thousand_chunks_take_linear_work() -> None:
    def work(count: int) -> int:
        """Calls that Python makes while `count` chunks are added up."""
        chunks = [
            Message(
                role=Role.ASSISTANT,
                content="word ",
                assistant_output_multi_content=(TextPart(text="word "),),
                tool_calls=(call(n % 7, arguments="x"),),
                extra={"k": "v"},
            )
            for n in range(count)
        ]
        calls_made = 0

        def count_call(_frame: object, event: str, _argument: object) -> None:
            nonlocal calls_made
            calls_made += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(count_call)
        try:
            whole = concat(chunks)
        finally:
            sys.setprofile(before)
        assert whole.content == "word " * count
        return calls_made

    assert work(10_000) <= 11 * work(1_000)


words = st.text(max_size=12)
tool_call_lists = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=3), words), max_size=4, unique_by=lambda t: t[0]
)


@st.composite
def whole_messages(draw: st.DrawFn) -> Message:
    named = draw(tool_call_lists)
    return Message(
        role=Role.ASSISTANT,
        content=draw(words),
        reasoning_content=draw(words),
        name=draw(st.sampled_from(["", "ann"])),
        assistant_output_multi_content=tuple(
            TextPart(text=text, streaming_index=index)
            for index, text in enumerate(draw(st.lists(st.text(min_size=1), max_size=3)))
        ),
        tool_calls=tuple(
            call(draw(st.just(number)), id, "f", arguments)
            for number, (id, arguments) in enumerate(named)
        ),
        response_meta=draw(
            st.none()
            | st.builds(
                ResponseMeta,
                finish_reason=st.sampled_from(["", "stop"]),
                usage=st.none() | st.builds(TokenUsage, total_tokens=st.integers(0, 99)),
            )
        ),
        extra=draw(st.dictionaries(st.text("xyz", max_size=2), words | st.integers(), max_size=3)),
    )


def cut(draw: st.DrawFn, text: str) -> list[str]:
    """`text` in one to four pieces, empty ones among them."""
    points = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[a:b] for a, b in zip([0, *points], [*points, len(text)], strict=True)]


@st.composite
def splits(draw: st.DrawFn) -> tuple[Message, list[Message]]:
    whole = draw(whole_messages())

    def chunk(**fields: object) -> Message:
        return Message(role=Role.ASSISTANT, content="", **fields)  # type: ignore[arg-type]

    lanes: list[list[Message]] = [
        [Message.assistant(piece) for piece in cut(draw, whole.content)],
        [chunk(reasoning_content=piece) for piece in cut(draw, whole.reasoning_content)],
        [chunk(name=whole.name), chunk(response_meta=whole.response_meta)],
        [chunk(extra={key: value}) for key, value in whole.extra.items()],
        [
            chunk(assistant_output_multi_content=(TextPart(text=text, streaming_index=index),))
            for index, part in enumerate(whole.assistant_output_multi_content)
            if isinstance(part, TextPart)
            for text in cut(draw, part.text)
        ],
    ]
    for one in whole.tool_calls:
        first, *rest = cut(draw, one.function.arguments)
        opening = call(one.index, one.id, one.function.name, first)
        lanes.append(
            [
                chunk(tool_calls=(opening,)),
                *(chunk(tool_calls=(call(one.index, arguments=text),)) for text in rest),
            ]
        )
    chunks: list[Message] = []
    while any(lanes):  # any interleaving that keeps the order within each lane
        lane = draw(st.sampled_from([lane for lane in lanes if lane]))
        chunks.append(lane.pop(0))
    return whole, chunks


@given(splits())
def test_any_split_of_a_message_concatenates_to_the_same_message(
    split: tuple[Message, list[Message]],
) -> None:
    whole, chunks = split
    before = copy.deepcopy(chunks)
    assert concat(chunks) == whole
    assert chunks == before


@given(splits(), st.data())
def test_concatenating_in_groups_changes_nothing(
    split: tuple[Message, list[Message]], data: st.DataObject
) -> None:
    whole, chunks = split
    point = data.draw(st.integers(1, len(chunks)))
    left, right = chunks[:point], chunks[point:]
    assert concat([concat(left), *([concat(right)] if right else [])]) == whole
