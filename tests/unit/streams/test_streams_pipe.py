"""Pipes: bounded, fair, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc

import pytest

from pyeino.errors import StreamClosedError
from pyeino.streams import StreamWriter, pipe


async def test_capacity_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        pipe(0)


async def test_items_and_errors_come_in_order_and_an_error_does_not_end_it() -> None:
    writer, stream = pipe(8)
    await writer.send(1)
    await writer.send_error(ValueError("two"))
    await writer.send(3)
    writer.close()
    writer.close()
    assert await anext(stream) == 1
    with pytest.raises(ValueError, match="two"):
        await anext(stream)
    assert await stream.collect() == [3]
    with pytest.raises(StreamClosedError):
        await writer.send(4)


async def test_an_exception_may_be_an_item() -> None:
    writer, stream = pipe(2)
    error = ValueError("a value")
    await writer.send(error)
    writer.close()
    assert await stream.collect() == [error]


async def test_the_writer_waits_when_full_and_never_more_than_capacity_wait() -> None:
    writer, stream = pipe(3)
    sent = 0

    async def write() -> None:
        nonlocal sent
        for number in range(10):
            await writer.send(number)
            sent = number + 1
        writer.close()

    task = asyncio.create_task(write())
    for _ in range(5):
        await asyncio.sleep(0)
    assert sent == 3
    assert await anext(stream) == 0
    for _ in range(5):
        await asyncio.sleep(0)
    assert sent == 4
    assert await stream.collect() == list(range(1, 10))
    await task


async def test_a_blocked_writer_is_released_with_true_when_the_reader_closes() -> None:
    writer, stream = pipe(1)
    assert await writer.send(1) is False
    blocked = asyncio.create_task(writer.send(2))
    await asyncio.sleep(0)
    assert not writer.reader_closed
    await stream.aclose()
    assert await blocked is True
    assert await writer.send(3) is True
    assert writer.reader_closed
    writer.close()


async def test_close_while_a_read_waits_ends_the_read() -> None:
    writer, stream = pipe(1)
    reader = asyncio.create_task(anext(stream, None))
    await asyncio.sleep(0)
    writer.close()
    assert await reader is None


async def test_a_cancelled_read_loses_nothing() -> None:
    writer, stream = pipe(4)
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    await writer.send(1)  # the reader is woken, but has not run yet
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    writer.close()
    assert await stream.collect() == [1]


async def test_a_cancelled_send_has_not_sent_and_gives_its_turn_on() -> None:
    writer, stream = pipe(1)
    await writer.send(1)
    second = asyncio.create_task(writer.send(2))
    third = asyncio.create_task(writer.send(3))
    await asyncio.sleep(0)
    assert await anext(stream) == 1  # the place is granted to the second
    second.cancel()
    assert await third is False
    assert second.cancelled()
    writer.close()
    assert await stream.collect() == [3]


async def test_senders_are_served_in_turn() -> None:
    writer, stream = pipe(1)
    await writer.send(0)
    tasks = [asyncio.create_task(writer.send(number)) for number in range(1, 6)]
    await asyncio.sleep(0)
    seen = [await anext(stream) for _ in range(6)]
    await asyncio.gather(*tasks)
    writer.close()
    await stream.aclose()
    assert seen == [0, 1, 2, 3, 4, 5]


async def test_close_lets_sends_that_wait_arrive() -> None:
    writer, stream = pipe(1)
    await writer.send(0)
    waiting = asyncio.create_task(writer.send(1))
    await asyncio.sleep(0)
    writer.close()
    assert await stream.collect() == [0, 1]
    await waiting


async def test_close_with_a_waiting_send_that_is_cancelled_still_ends() -> None:
    writer, stream = pipe(1)
    await writer.send(0)
    waiting = asyncio.create_task(writer.send(1))
    await asyncio.sleep(0)
    writer.close()
    assert await anext(stream) == 0
    waiting.cancel()  # it had been granted the place, and the next read waits for its item
    async with asyncio.timeout(30):
        assert await anext(stream, "end") == "end"


async def test_a_lost_writer_is_an_error_to_the_reader_not_a_wait_for_ever() -> None:
    writer, stream = pipe(1)
    await writer.send(1)
    assert await anext(stream) == 1
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    del writer
    gc.collect()
    async with asyncio.timeout(30):
        with pytest.raises(StreamClosedError, match="dropped"):
            await reader
    assert await stream.collect() == []


async def test_a_lost_reader_releases_the_writer() -> None:
    writer, stream = pipe(1)
    await writer.send(1)
    await anext(stream)
    await writer.send(2)
    blocked = asyncio.create_task(writer.send(3))
    await asyncio.sleep(0)
    with pytest.warns(ResourceWarning, match="neither"):
        del stream
    assert await blocked is True


async def test_a_long_transfer_keeps_order_at_every_capacity() -> None:
    for capacity in (1, 2, 7, 64):
        writer, stream = pipe(capacity)

        async def write(writer: StreamWriter[int] = writer) -> None:
            for number in range(500):
                await writer.send(number)
            writer.close()

        task = asyncio.create_task(write())
        assert await stream.collect() == list(range(500))
        await task
