"""OpenAIChatModel: a chat model behind any OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pyeino.callbacks import TraceInfo
from pyeino.components import ModelInfo, ModelOptions
from pyeino.errors import AppError
from pyeino.integrations.openai._errors import (
    ProviderError,
    as_text,
    describe,
    error_object,
    error_of_status,
    failed,
    status_of,
    told_of,
)
from pyeino.integrations.openai._http import DONE, OPENAI_URL, Endpoint
from pyeino.integrations.openai._request import chat_body
from pyeino.integrations.openai._response import Answer, ChunkReader, decode_answer, message_of
from pyeino.monitoring import model_trace_info
from pyeino.schema import Message
from pyeino.streams import Stream
from pyeino.wire import SSEEvent

_PATH = "/chat/completions"


class OpenAIChatModel:
    """A chat model behind any OpenAI-compatible endpoint: OpenAI, vLLM, Ollama, a gateway.

    `defaults` hold for every call and give way to the options of a call. `max_tokens_field` says
    what the endpoint calls the bound on the answer: OpenAI itself `max_completion_tokens`, most
    others `max_tokens`. `stream_usage` asks for the usage of a streamed answer; turn it off for an
    endpoint that refuses `stream_options`. Of several choices the first counts. The endpoint is
    closed by whoever made it, not by the model.
    """

    def __init__(
        self,
        model: str,
        *,
        endpoint: Endpoint,
        defaults: ModelOptions | None = None,
        context_length: int | None = None,
        max_tokens_field: str | None = None,
        stream_usage: bool = True,
    ) -> None:
        self.model = model
        self._endpoint = endpoint
        self._defaults = ModelOptions(model=model).over(defaults)
        self._stream_usage = stream_usage
        own = endpoint.base_url == OPENAI_URL
        self._max_tokens_field = max_tokens_field or (
            "max_completion_tokens" if own else "max_tokens"
        )
        self.info = ModelInfo(id=model, provider="openai", context_length=context_length)

    def get_trace_info(self) -> TraceInfo:
        """Provider, model and address, for traces and metrics."""
        address, port = self._endpoint.address
        return model_trace_info(
            kind="ChatModel", name=self.model, provider="openai", address=address, port=port
        )

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        """Answer with one message; see ChatModel for the errors."""
        name, body = self._prepare(messages, options, stream=False)
        raw = await self._endpoint.post(_PATH, body, model=name)
        message = message_of(self._decode(raw, name))
        if message is None:
            raise self._nothing(raw)
        return message

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        """Answer in chunks; see ChatModel. Closing the stream early closes the connection."""
        return Stream.from_iterator(self._chunks(tuple(messages), options))

    async def _chunks(
        self, messages: Sequence[Message], options: ModelOptions | None
    ) -> AsyncGenerator[Message, None]:
        name, body = self._prepare(messages, options, stream=True)
        reader = ChunkReader()
        done = False
        async with aclosing(self._endpoint.post_stream(_PATH, body, model=name)) as batches:
            async for events in batches:
                for event in events:
                    if event.data == DONE:
                        done = True
                        break
                    chunk = reader.read(self._event(event, name))
                    if chunk is not None:
                        yield chunk
                if done:
                    # before the connection's own end, which may be late
                    yield self._last(reader)
        if not done:
            yield self._last(reader, complete=reader.finished)

    def _last(self, reader: ChunkReader, *, complete: bool = True) -> Message:
        if not complete:
            cause = ProviderError("the stream ended without a finish reason and without [DONE]")
            raise failed("The model provider's stream broke off", cause)
        if not reader.begun:
            raise self._nothing(b"")
        return reader.last()

    def _prepare(
        self, messages: Sequence[Message], options: ModelOptions | None, *, stream: bool
    ) -> tuple[str, bytes]:
        merged = self._defaults if options is None else options.over(self._defaults)
        body = chat_body(
            messages,
            merged,
            stream=stream,
            max_tokens_field=self._max_tokens_field,
            stream_usage=self._stream_usage,
        )
        return merged.model or self.model, body

    def _event(self, event: SSEEvent, name: str) -> Answer:
        if event.event == "error":
            raise self._told(told_of(event.data.encode()), event.data, name)
        return self._decode(event.data, name)

    def _decode(self, text: str | bytes, name: str) -> Answer:
        try:
            answer = decode_answer(text)
        except (ValueError, RecursionError) as error:
            reason = f"not a chat completion: {describe(error)}"
            found = ProviderError(reason, body=self._endpoint.hide(as_text(text)))
            raise failed("The model provider's answer cannot be read", found) from found
        if answer.error:
            raise self._told(error_object(answer.error), as_text(text), name)
        return answer

    def _told(self, told: Mapping[str, Any], text: str, name: str) -> AppError:
        shown = self._endpoint.hide(text)
        return error_of_status(status_of(told), told, model=name, headers={}, shown=shown)

    def _nothing(self, raw: bytes) -> AppError:
        found = ProviderError("no choices", body=self._endpoint.hide(as_text(raw)))
        return failed("The model provider's answer holds no message", found)
