"""The body of POST /v1/chat/completions: what is honoured, ignored and refused.

Rule. A field that only hints (where to cache, how much to think) is ignored, and so is
a field nobody knows. A field that would make the answer another one than the caller will get
(more choices, log probabilities, audio, penalties) is refused with its name, unless its
value is the one that asks for nothing.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pyeino.wire._decode import field_error
from pyeino.wire._openai_tools import MAX_TOOLS, RequestedCall, ToolChoiceSpec, ToolSpec

MAX_MESSAGES = 1_000
MAX_STOPS = 16

IGNORED_FIELDS = (
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "safety_identifier",
    "service_tier",
    "verbosity",
)
"""Fields of OpenAI's API that are accepted and have no effect."""

_NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (None, 1),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "modalities": (None, [], ["text"]),
    "audio": (None,),
    "prediction": (None,),
    "web_search_options": (None,),
    "logit_bias": (None, {}),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
}

REFUSED_FIELDS = tuple(sorted(_NEUTRAL))
"""Fields of OpenAI's API that are refused unless they ask for nothing."""

NonEmpty = Annotated[str, Meta(min_length=1)]


class ContentPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a message's content; only `text` parts are taken."""

    type: str
    text: str | None = None


class CompletionMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the conversation."""

    role: str
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: tuple[RequestedCall, ...] | None = None
    tool_call_id: str | None = None


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a streamed answer carries besides text."""

    include_usage: bool | None = None


class JSONSchemaFormat(msgspec.Struct, frozen=True, kw_only=True):
    """A named JSON Schema that the answer has to follow."""

    name: str = ""
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The form of the answer: `text`, `json_object` or `json_schema`."""

    type: str
    json_schema: JSONSchemaFormat | None = None


class ChatCompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/chat/completions; `store` false keeps it out of the history.

    `metadata` is stored with the conversation; its `session_id` names the session that this goes
    on with, and its `history` ("session" or "none") says whether the model sees that session.
    `user` is whose turn it is, where the server knows users; it has no effect else.
    """

    messages: Annotated[tuple[CompletionMessage, ...], Meta(min_length=1, max_length=MAX_MESSAGES)]
    model: NonEmpty
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop: str | Annotated[tuple[str, ...], Meta(max_length=MAX_STOPS)] | None = None
    seed: int | None = None
    store: bool | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    response_format: ResponseFormat | None = None
    n: Any = None
    tools: Annotated[tuple[ToolSpec, ...], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: str | ToolChoiceSpec | None = None
    parallel_tool_calls: bool | None = None
    functions: Any = None
    function_call: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    modalities: Any = None
    audio: Any = None
    prediction: Any = None
    web_search_options: Any = None
    logit_bias: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None

    @property
    def token_limit(self) -> int | None:
        """The bound on the answer's tokens; the newer of the two names wins."""
        if self.max_completion_tokens is not None:
            return self.max_completion_tokens
        return self.max_tokens

    @property
    def stops(self) -> tuple[str, ...] | None:
        """The stop strings, without empty ones; None when none was given."""
        if self.stop is None:
            return None
        given = (self.stop,) if isinstance(self.stop, str) else self.stop
        return tuple(text for text in given if text) or None


def refuse_unsupported(request: ChatCompletionRequest) -> None:
    """Raise UNSUPPORTED_FIELD for the first field whose effect the caller would miss."""
    for name, neutral in _NEUTRAL.items():
        value = getattr(request, name)
        # bool is an int in Python: {"n": true} must not pass for {"n": 1}.
        if not any((value == one and type(value) is not bool) or value is one for one in neutral):
            allowed = ", ".join(repr(one) for one in neutral if one is not None) or "nothing"
            raise field_error(
                name,
                f"{name} is not supported here; leave it out (also taken: {allowed})",
                code="UNSUPPORTED_FIELD",
            )
    if request.stream_options is not None and not request.stream:
        raise field_error(
            "stream_options", "stream_options is only taken together with stream: true"
        )


def text_of(message: CompletionMessage, *, field: str) -> str:
    """The text of one message: its string, or its text parts joined.

    `field` is how an error names the message, as in `messages[0]`. Other parts are refused, and
    messages without any content unless they call tools.
    """
    if message.content is None and message.tool_calls:
        return ""
    if message.content is None:
        raise field_error(f"{field}.content", f"{field}.content: a text is needed")
    if isinstance(message.content, str):
        return message.content
    texts: list[str] = []
    for index, part in enumerate(message.content):
        where = f"{field}.content[{index}]"
        if part.type != "text":
            raise field_error(
                f"{where}.type",
                f"{where}.type: only text parts are supported, found {part.type[:40]!r}",
                code="UNSUPPORTED_FIELD",
            )
        if part.text is None:
            raise field_error(f"{where}.text", f"{where}.text: a text is needed")
        texts.append(part.text)
    return "".join(texts)


def schema_of(response_format: ResponseFormat | None) -> dict[str, Any] | None:
    """The JSON Schema that the answer has to follow; None for free text."""
    if response_format is None or response_format.type == "text":
        return None
    if response_format.type == "json_object":
        return {"type": "object"}
    if response_format.type != "json_schema":
        raise field_error(
            "response_format.type",
            "response_format.type: expected text, json_object or json_schema, "
            f"found {response_format.type[:40]!r}",
        )
    wanted = response_format.json_schema
    if wanted is None or wanted.schema is None:
        field = "response_format.json_schema" + ("" if wanted is None else ".schema")
        raise field_error(field, f"{field}: a JSON Schema is needed")
    return wanted.schema
