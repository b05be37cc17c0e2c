"""create_response_formatter: an answer with its last touches, whole or as it streams."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from pyeino.compose import Lambda
from pyeino.schema import Message, Role
from pyeino.service._processor_config import ProcessorConfig, markdown_end
from pyeino.streams import Stream

FORMATTER: Final = "ResponseFormatter"
_OWN: Final = frozenset({"formatter", "formatted_at"})


def create_response_formatter(config: ProcessorConfig) -> Lambda[Message, Message]:
    """A lambda from an answer to the answer as it is shown.

    `add_markdown` closes an open fence, `add_meta_info` adds "Generated at". `extra` is given
    `formatter` and `formatted_at` (ISO 8601 with zone); every other field stays. In a stream the
    chunks pass as they come and what is added follows them; the concatenation of the chunks is
    what the whole answer would have become.
    """

    async def invoke(message: Message) -> Message:
        started = time.perf_counter()
        try:
            moment = config.clock()
            body = config.format(message.content) if config.format else message.content
            ending = _ending(body, config, moment)
            extra = {**message.extra, **_marks(moment)}
            return replace(message, content=f"{body}{ending}", extra=extra)
        finally:
            config.observe("response_formatter", time.perf_counter() - started)

    async def transform(chunks: Stream[Message]) -> AsyncIterator[Message]:
        started = time.perf_counter()
        try:
            said: list[str] = []
            role = Role.ASSISTANT
            async for chunk in chunks:
                role = chunk.role
                said.append(chunk.content)
                yield _passed_on(chunk, held_back=config.format is not None)
            moment = config.clock()
            body = "".join(said)
            shown = config.format(body) if config.format else ""
            ending = _ending(shown or body, config, moment)
            yield Message(role=role, content=f"{shown}{ending}", extra=_marks(moment))
        finally:
            config.observe("response_formatter", time.perf_counter() - started)

    return Lambda(
        invoke=invoke,
        transform=transform,
        input_type=Message,
        output_type=Message,
        type_name=FORMATTER,
    )


def _passed_on(chunk: Message, *, held_back: bool) -> Message:
    """The chunk without marks of an earlier formatter, which would not add up with ours."""
    content = "" if held_back else chunk.content
    if content == chunk.content and not _OWN & chunk.extra.keys():
        return chunk
    extra = {key: value for key, value in chunk.extra.items() if key not in _OWN}
    return replace(chunk, content=content, extra=extra)


def _ending(body: str, config: ProcessorConfig, moment: datetime) -> str:
    ending = markdown_end(body) if config.add_markdown and config.format is None else ""
    if config.add_meta_info:
        ending += f"\n\n---\n*Generated at: {moment:%Y-%m-%d %H:%M:%S}*"
    return ending


def _marks(moment: datetime) -> dict[str, Any]:
    return {"formatted_at": moment.isoformat(), "formatter": FORMATTER}
