"""OpenAIChatModel: a chat model behind any OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import msgspec

from pyeino.components import ModelInfo, ModelOptions
from pyeino.integrations.openai._errors import ProviderError, error_of_status, failed
from pyeino.integrations.openai._http import OPENAI_URL, Endpoint
from pyeino.integrations.openai._request import chat_body
from pyeino.integrations.openai._response import Answer, decode_answer, message_of
from pyeino.schema import Message
from pyeino.streams import Stream

_PATH = "/chat/completions"


class OpenAIChatModel:
    """A chat model behind any OpenAI-compatible endpoint: OpenAI, vLLM, Ollama, a gateway.

    `defaults` hold for every call and give way to the options of a call. `max_tokens_field` says
    what the endpoint calls the bound on the answer: OpenAI itself `max_completion_tokens`, most
    others `max_tokens`. The endpoint is closed by whoever made it, not by the model.
    """

    def __init__(
        self,
        model: str,
        *,
        endpoint: Endpoint,
        defaults: ModelOptions | None = None,
        context_length: int | None = None,
        max_tokens_field: str | None = None,
    ) -> None:
        self.model = model
        self._endpoint = endpoint
        self._defaults = ModelOptions(model=model).over(defaults)
        own = endpoint.base_url == OPENAI_URL
        self._max_tokens_field = max_tokens_field or (
            "max_completion_tokens" if own else "max_tokens"
        )
        self.info = ModelInfo(id=model, provider="openai", context_length=context_length)

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        """Answer with one message; see ChatModel for the errors."""
        merged, body = self._prepare(messages, options, stream=False)
        raw = await self._endpoint.post(_PATH, body, model=merged)
        answer = self._decode(raw.decode("utf-8", "replace"), merged)
        message = message_of(answer)
        if message is None:
            raise failed(
                "The model provider's answer holds no message",
                ProviderError("no choices", body=raw.decode("utf-8", "replace")),
            )
        return message

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        """Answer with the chunks of one message; closing the stream closes the connection."""
        return Stream.from_iterator(self._chunks(tuple(messages), options))

    async def _chunks(
        self, messages: Sequence[Message], options: ModelOptions | None
    ) -> AsyncIterator[Message]:
        merged, body = self._prepare(messages, options, stream=True)
        finished = False
        async with aclosing(self._endpoint.post_stream(_PATH, body, model=merged)) as events:
            async for event in events:
                if event.data == "[DONE]":
                    return
                message = message_of(self._decode(event.data, merged))
                if message is None:
                    continue
                meta = message.response_meta
                finished = finished or (meta is not None and bool(meta.finish_reason))
                yield message
        if not finished:
            raise failed(
                "The model provider's stream broke off",
                ProviderError("the stream ended without a finish reason and without [DONE]"),
            )

    def _prepare(
        self, messages: Sequence[Message], options: ModelOptions | None, *, stream: bool
    ) -> tuple[str, bytes]:
        merged = self._defaults if options is None else options.over(self._defaults)
        body = chat_body(messages, merged, stream=stream, max_tokens_field=self._max_tokens_field)
        return merged.model or self.model, body

    def _decode(self, text: str, model: str) -> Answer:
        try:
            answer = decode_answer(text)
        except (msgspec.DecodeError, RecursionError) as cause:
            found = ProviderError(f"not a chat completion: {cause}", body=text)
            raise failed("The model provider's answer cannot be read", found) from cause
        if answer.error is not None:
            raise error_of_status(_status(answer.error), text.encode(), {}, model=model)
        return answer


def _status(error: object) -> int:
    """The HTTP status that an error inside a stream stands for, where it says so."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 500
