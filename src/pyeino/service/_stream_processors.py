"""create_streaming_processor and create_batch_processor: a text as words, items as a text."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

from pyeino.compose import Lambda
from pyeino.errors import AppError, InternalError, ValidationError
from pyeino.service._processor_config import ProcessorConfig
from pyeino.streams import Stream, StreamWriter, pipe

_WORD: Final = re.compile(r"(\S+)")


def create_streaming_processor(config: ProcessorConfig) -> Lambda[str, str]:
    """A lambda from a text to a stream of its words, each through `process_word`.

    White space stays with the word before it (at the beginning: after it), so that the joined
    stream is the whole text. Words are made up to `buffer` ahead of the reader, `delay` seconds
    apart. Leaving the stream or cancelling the run stops the work; a cancelled stream ends in
    CancelledError, never as if it were whole.
    """

    async def words(text: str) -> AsyncIterator[str]:
        started = time.perf_counter()
        ends: tuple[StreamWriter[str], Stream[str]] = pipe(config.buffer)
        writer, reader = ends
        producer = asyncio.create_task(_produce(text, writer, config), name="streaming processor")
        try:
            async with reader:
                async for word in reader:
                    yield word
            await producer  # raises what a word raised: the stream is not whole then
        finally:
            producer.cancel()
            await asyncio.wait((producer,))
            if not producer.cancelled():
                producer.exception()  # the reader has been told, or has left
            config.observe("streaming_processor", time.perf_counter() - started)

    return Lambda(stream=words, input_type=str, output_type=str, type_name="StreamingProcessor")


async def _produce(text: str, writer: StreamWriter[str], config: ProcessorConfig) -> None:
    try:
        for number, piece in enumerate(_words(text, config)):
            if number and config.delay:
                await asyncio.sleep(config.delay)
            if await writer.send(piece):
                return  # nobody reads any more
    finally:
        writer.close()


def _words(text: str, config: ProcessorConfig) -> Iterator[str]:
    before, *rest = _WORD.split(text)  # white space and words in turn, white space first
    if not rest and before:
        yield before
    for word, space in zip(rest[::2], rest[1::2], strict=True):
        yield f"{before}{config.process_word(word)}{space}"
        before = ""


def create_batch_processor(config: ProcessorConfig) -> Lambda[str, str]:
    """A lambda that takes a whole stream and gives one result, by `process_batch`.

    A failing item is InternalError STREAM_ITEM_FAILED "failed to receive stream item", with the
    item's error as its cause; more than `max_items` or `max_bytes` is ValidationError
    BATCH_TOO_LARGE. The stream is closed in every case.
    """

    async def collect(items: Stream[str]) -> str:
        started = time.perf_counter()
        try:
            async with items:
                return config.process_batch(await _collected(items, config))
        finally:
            config.observe("batch_processor", time.perf_counter() - started)

    return Lambda(collect=collect, input_type=str, output_type=str, type_name="BatchProcessor")


async def _collected(items: Stream[str], config: ProcessorConfig) -> list[str]:
    found: list[str] = []
    size = 0
    try:
        async for item in items:
            size += len(item.encode("utf-8", "surrogatepass"))
            if len(found) >= config.max_items or size > config.max_bytes:
                raise _too_large(config)
            found.append(item)
    except _TooLargeError:
        raise
    except Exception as error:
        status = error.http_status if isinstance(error, AppError) else None
        raise InternalError(
            "STREAM_ITEM_FAILED", "failed to receive stream item", cause=error, http_status=status
        ) from error
    return found


class _TooLargeError(ValidationError):
    """Our own refusal, told apart from an item's error."""


def _too_large(config: ProcessorConfig) -> ValidationError:
    return _TooLargeError(
        "BATCH_TOO_LARGE",
        f"The stream is longer than {config.max_items} items or {config.max_bytes} bytes",
        details="Send less, or raise the bounds of the processor.",
        metadata={"max_items": config.max_items, "max_bytes": config.max_bytes},
        http_status=413,
    )
