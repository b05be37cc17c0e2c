"""Messages: every field, the JSON form, the text form."""

import json

import msgspec
import pytest

from pyeino.errors import ParseError
from pyeino.schema import (
    AudioPart,
    CompletionTokenDetails,
    DataType,
    FilePart,
    FunctionCall,
    ImagePart,
    LogProb,
    LogProbs,
    Message,
    ParameterInfo,
    PromptTokenDetails,
    ReasoningPart,
    ResponseMeta,
    Role,
    TextPart,
    TokenUsage,
    ToolCall,
    ToolInfo,
    ToolSearchResultPart,
    TopLogProb,
    VideoPart,
)


def everything() -> Message:
    return Message(
        role=Role.ASSISTANT,
        content="text",
        name="ann",
        user_input_multi_content=(
            TextPart(text="t"),
            ImagePart(url="http://x/i.png", detail="high"),
            AudioPart(base64_data="QUJD", mime_type="audio/wav"),
            VideoPart(url="http://x/v.mp4"),
            FilePart(url="http://x/f.pdf", name="f.pdf"),
            ToolSearchResultPart(
                tools=(ToolInfo(name="t", parameters={"q": ParameterInfo(type=DataType.STRING)}),)
            ),
        ),
        assistant_output_multi_content=(
            ReasoningPart(text="hm", signature="sig"),
            TextPart(text="o"),
            ImagePart(base64_data="QUJD"),
        ),
        tool_calls=(
            ToolCall(index=0, id="c1", function=FunctionCall(name="f", arguments='{"a":1}')),
        ),
        tool_call_id="c0",
        tool_name="g",
        reasoning_content="because",
        response_meta=ResponseMeta(
            finish_reason="stop",
            usage=TokenUsage(
                prompt_tokens=3,
                completion_tokens=2,
                total_tokens=5,
                prompt_token_details=PromptTokenDetails(cached_tokens=1),
                completion_token_details=CompletionTokenDetails(reasoning_tokens=1),
            ),
            logprobs=LogProbs(
                content=(
                    LogProb(
                        token="a",
                        logprob=-0.5,
                        utf8=(97,),
                        top_logprobs=(TopLogProb(token="b", logprob=-1.0),),
                    ),
                )
            ),
        ),
        extra={"k": [1, {"n": None}]},
    )


def test_json_has_role_and_content_always_and_leaves_out_what_is_empty() -> None:
    assert json.loads(Message.user("").to_json()) == {"role": "user", "content": ""}


def test_json_round_trip_keeps_every_field() -> None:
    message = everything()
    assert Message.from_json(message.to_json()) == message
    assert all(json.loads(message.to_json()).get(name) for name in Message.__struct_fields__)


def test_json_of_a_tool_call_always_has_type_and_function() -> None:
    written = json.loads(msgspec.json.encode(ToolCall(id="1")))
    assert written == {"id": "1", "type": "function", "function": {"name": "", "arguments": ""}}


def test_json_form_leaves_the_streaming_index_out() -> None:
    chunk = Message(
        role=Role.ASSISTANT,
        content="",
        assistant_output_multi_content=(TextPart(text="a", streaming_index=3),),
    )
    assert "streaming_index" not in chunk.to_json()
    assert chunk.assistant_output_multi_content[0].streaming_index == 3


def test_json_that_does_not_fit_names_the_spot() -> None:
    with pytest.raises(ParseError, match=r"\$\.content"):
        Message.from_json('{"role": "user", "content": 1}')
    with pytest.raises(ParseError):
        Message.from_json("[" * 100_000)


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Message.user("a").content = "b"  # type: ignore[misc]


def test_text_form_shows_everything_and_base64_by_length_only() -> None:
    text = str(everything())
    assert text.splitlines()[0] == "assistant: text"
    for expected in (
        "user_input_multi_content:",
        "  [0] text: t",
        "  [1] image: url=http://x/i.png, detail=high",
        "  [2] audio: base64[4 bytes], mime=audio/wav",
        "  [4] file: name=f.pdf, url=http://x/f.pdf",
        "  [5] tool search result: t",
        "assistant_output_multi_content:",
        "  [0] reasoning (signed): hm",
        "reasoning content:",
        '  index[0]: c1 f({"a":1})',
        "tool_call_id: c0",
        "tool_call_name: g",
        "finish_reason: stop",
        "usage: 3 prompt + 2 completion = 5 tokens, 1 cached, 1 reasoning",
    ):
        assert expected in text.splitlines()
    assert "QUJD" not in text


def test_text_form_of_a_plain_message_is_one_line() -> None:
    assert str(Message.user("hi")) == "user: hi"
    assert "<empty>" in str(Message.user("", parts=[VideoPart()]))
