"""cached_chat_completion: the guide's cached chat, with everything in the key that counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pyeino.components._cache_manager import CacheManager
from pyeino.components._model import ChatModel, ModelInfo, ModelOptions
from pyeino.errors import DeclarationError
from pyeino.schema import Message

TEN_MINUTES = 600.0


async def cached_chat_completion(
    manager: CacheManager[Message] | CacheManager[Any],
    model: ChatModel,
    messages: Sequence[Message],
    *,
    tenant: str,
    options: ModelOptions | None = None,
    ttl: float | None = TEN_MINUTES,
    sampled: bool = False,
    model_id: str | None = None,
) -> Message:
    """What `model` answers to `messages`, or has answered in the last ten minutes.

    The key holds the model, all options (parameters, tools), all messages and the tenant: an
    answer is given again to the same question in the same circumstances only, and equal to the
    first one. Errors are never kept, and answers with tool calls neither. A temperature above 0 in
    `options` asks for variety, so such a call goes to the model unless `sampled` is true.

    `model_id` names the model with what it was set up with, when models of one name differ; by
    default it is the model's own `info`. DeclarationError for a model without one or the other.
    """
    if options is not None and options.temperature and not sampled:
        return await model.generate(messages, options=options)
    try:
        asked = msgspec.json.encode((tuple(messages), options), order="sorted")
    except (TypeError, ValueError, RecursionError):  # options with something that is no data
        return await model.generate(messages, options=options)
    key = manager.generate_key("chat", tenant, model_id or _name_of(model), asked)
    answer: Message = await manager.get_or_set(
        key, ttl, lambda: model.generate(messages, options=options), keep=_is_plain_answer
    )
    return answer


def _is_plain_answer(message: Message) -> bool:
    return not message.tool_calls


def _name_of(model: ChatModel) -> str:
    info = getattr(model, "info", None)
    if isinstance(info, ModelInfo):
        return f"{info.provider}/{info.id}"
    raise DeclarationError(
        f"{type(model).__name__} does not say which model it is",
        expected="a model with `info`, or model_id",
        remedy="give model_id: a name that changes with everything the model is set up with",
    )
