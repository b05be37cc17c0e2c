"""OpenAI's face of the same service: chat completions and the list of models."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

import msgspec

from pyeino.components import ModelInfo, ModelOptions
from pyeino.errors import AppError, NotFoundError
from pyeino.server._asgi import header
from pyeino.server._caller import LOCAL_USER, Caller, call_context
from pyeino.server._errors import run_cancelled
from pyeino.server._exchange import Exchange
from pyeino.server._stream import send_stream
from pyeino.service import (
    CallContext,
    ChatChunk,
    ChatMessage,
    ChatOptions,
    ChatResponse,
    MultiTurnChatRequest,
)
from pyeino.wire import (
    DONE_FRAME,
    AnswerMessage,
    ChatCompletion,
    ChatCompletionRequest,
    Choice,
    CompletionFrames,
    CompletionUsage,
    ModelCard,
    ModelFacts,
    ModelList,
    annotations_of,
    calls_from,
    calls_to,
    encode_event,
    field_error,
    finish_reason_of,
    openai_error_from,
    refuse_unsupported,
    schema_of,
    text_of,
    tool_choice,
    tool_infos,
)

DEFAULT_MODEL = "default"
SESSION_HEADER = b"x-session-id"

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}

_encode = msgspec.json.Encoder(enc_hook=str).encode


async def completions(exchange: Exchange, request: ChatCompletionRequest) -> None:
    """Answer a conversation, whole or as chunks, as OpenAI's API does."""
    turn, call = prepare_turn(
        request, session_id=header(exchange.scope, SESSION_HEADER), caller=exchange.caller
    )
    service = exchange.backend.service
    if request.stream:
        usage = request.stream_options is not None and bool(request.stream_options.include_usage)
        model = _known_as(request.model, service.models)
        wire_format = CompletionFormat(model=model, include_usage=usage)
        await send_stream(exchange, service.stream_multi_turn(turn, call=call), wire_format)
        return
    response = await exchange.while_connected(service.multi_turn_chat(turn, call=call))
    await exchange.reply_json(
        completion_from(response, model=request.model, stored=request.store is not False)
    )


async def list_models(exchange: Exchange, _: None) -> None:
    """Every model, `default` first."""
    await exchange.reply_json(ModelList(data=_cards(exchange)))


async def get_model(exchange: Exchange, _: None) -> None:
    """One model by its id."""
    wanted = exchange.path_parameters["model_id"]
    for card in _cards(exchange):
        if card.id == wanted:
            await exchange.reply_json(card)
            return
    raise NotFoundError(
        "MODEL_NOT_FOUND",
        f"There is no model {wanted[:100]!r}; GET /v1/models lists those there are",
        metadata={"field": "model"},
    )


def _known_as(model: str, models: Sequence[ModelInfo]) -> str:
    """The name under which the answer goes out: for `default` that of the first model."""
    return models[0].id if model == DEFAULT_MODEL and models else model


def _facts(model: ModelInfo) -> ModelFacts:
    return ModelFacts(
        provider=model.provider,
        local=model.local,
        context_length=model.context_length,
        description=model.description,
    )


def _cards(exchange: Exchange) -> tuple[ModelCard, ...]:
    models = exchange.backend.service.models
    cards = [ModelCard(id=one.id, owned_by=one.provider, pyeino=_facts(one)) for one in models]
    if not any(card.id == DEFAULT_MODEL for card in cards):
        facts = cards[0].pyeino if cards else msgspec.UNSET
        cards.insert(0, ModelCard(id=DEFAULT_MODEL, owned_by="pyeino", pyeino=facts))
    return tuple(cards)


def prepare_turn(
    request: ChatCompletionRequest,
    *,
    session_id: str | None = None,
    caller: Caller | None = None,
) -> tuple[MultiTurnChatRequest, CallContext]:
    """The service's records for `request`; ValidationError names the field that does not fit.

    `session_id` is what the header says; `metadata.session_id` goes before it. `user` says whose
    turn it is where `caller` has shown credentials, and has no effect else.
    """
    refuse_unsupported(request)
    messages: list[ChatMessage] = []
    for index, message in enumerate(request.messages):
        field = f"messages[{index}]"
        role = _ROLES.get(message.role)
        if role is None:
            raise field_error(
                f"{field}.role",
                f"{field}.role: expected one of {', '.join(_ROLES)}, found {message.role[:40]!r}",
            )
        messages.append(
            ChatMessage(
                role=role,
                content=text_of(message, field=field),
                tool_calls=calls_from(message.tool_calls),
                tool_call_id=message.tool_call_id or "",
            )
        )
    metadata = dict(request.metadata or {})
    session_id = metadata.pop("session_id", session_id)
    options = ChatOptions(
        model=request.model,
        temperature=request.temperature,
        max_tokens=request.token_limit,
        history=_history_of(metadata.pop("history", None)),
        metadata=metadata or None,
    )
    tools = tool_infos(request.tools)
    choice, allowed = tool_choice(request.tool_choice, tools)
    model_options = ModelOptions(
        tools=tools,
        tool_choice=choice,
        allowed_tools=allowed,
        parallel_tool_calls=request.parallel_tool_calls,
        top_p=request.top_p,
        stop=request.stops,
        seed=request.seed,
        response_format=schema_of(request.response_format),
    )
    turn = MultiTurnChatRequest(
        user_id=user_of(request.user, caller),
        session_id=session_id,
        messages=tuple(messages),
        options=options,
    )
    call = call_context(caller, model_options=model_options, store=request.store is not False)
    return turn, call


def user_of(named: str | None, caller: Caller | None) -> str:
    """Whose turn it is: `named` counts where there are users, that is, with auth."""
    if caller is None or caller.is_local:
        return LOCAL_USER
    return named or caller.user_id


def _history_of(wish: str | None) -> Literal["none", "session"] | None:
    match wish:
        case None | "session" | "none":
            return wish
        case _:
            raise field_error(
                "metadata.history",
                f"metadata.history: expected session or none, found {wish[:40]!r}",
            )


def completion_from(response: ChatResponse, *, model: str, stored: bool = True) -> ChatCompletion:
    """The completion that says what `response` says; one that is `stored` names its session."""
    metadata = response.metadata or {}
    usage = response.token_usage
    calls = calls_to(response.tool_calls)
    return ChatCompletion(
        id=completion_id(response.message_id),
        created=int(time.time()),
        model=str(metadata.get("model") or model),
        choices=(
            Choice(
                message=AnswerMessage(
                    content=response.content or None if calls else response.content,
                    tool_calls=calls or msgspec.UNSET,
                    annotations=annotations_of(
                        metadata.get("citations"), length=len(response.content)
                    )
                    or msgspec.UNSET,
                    reasoning_content=response.reasoning or msgspec.UNSET,
                ),
                finish_reason=finish_reason_of(metadata.get("finish_reason")),
            ),
        ),
        usage=CompletionUsage(
            prompt_tokens=usage.prompt_tokens if usage else 0,
            completion_tokens=usage.completion_tokens if usage else 0,
            total_tokens=usage.total_tokens if usage else 0,
        ),
        metadata={"session_id": str(metadata["session_id"])}
        if stored and metadata.get("session_id")
        else msgspec.UNSET,
    )


def completion_id(message_id: str) -> str:
    """The id of the completion whose message is stored as `message_id`."""
    return f"chatcmpl-{message_id}"


class CompletionFormat:
    """Chunks of a chat completion, then `[DONE]`; an error is a frame of its own, then the end.

    Clients of OpenAI's API take a stream that just ends for a whole one, so a broken stream
    never ends without its error.
    """

    def __init__(self, *, model: str, include_usage: bool) -> None:
        self._model = model
        self._include_usage = include_usage
        self._frames: CompletionFrames | None = None
        self._length = 0

    def item(self, item: ChatChunk) -> bytes:
        """The frames of one chunk of the service."""
        frames = self._frames
        opening = b""
        if frames is None:
            frames = self._frames = self._open(item)
            opening = frames.first()
        thought = frames.reasoning(item.reasoning) if item.reasoning else b""
        body = opening + thought + (frames.delta(item.delta) if item.delta else b"")
        self._length += len(item.delta)
        if item.finish_reason is None:
            return body
        cited = annotations_of((item.metadata or {}).get("citations"), length=self._length)
        body += frames.tool_calls(item.tool_calls)
        body += frames.finish(item.finish_reason, annotations=cited)
        usage = item.token_usage
        if usage is None:
            return body
        return body + frames.usage(
            CompletionUsage(
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                total_tokens=usage.total_tokens,
            )
        )

    def done(self) -> bytes:
        """The answer is whole."""
        return DONE_FRAME

    def failed(self, error: AppError) -> bytes:
        """The answer broke off."""
        return encode_event(_encode(openai_error_from(error)))

    def cancelled(self) -> bytes:
        """Somebody cancelled the run; the protocol has no word for it but an error."""
        return self.failed(run_cancelled())

    def _open(self, item: ChatChunk) -> CompletionFrames:
        return CompletionFrames(
            id=completion_id(item.message_id),
            created=int(time.time()),
            model=str((item.metadata or {}).get("model") or self._model),
            include_usage=self._include_usage,
        )
