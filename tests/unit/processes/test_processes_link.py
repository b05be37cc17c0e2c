"""Links: calls both ways, errors told, and a death that is noticed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import pytest

from pyeino.processes import Link, LinkClosedError, LinkError
from pyeino.processes._link import Handler


@asynccontextmanager
async def linked(
    one: Mapping[str, Handler], other: Mapping[str, Handler]
) -> AsyncGenerator[tuple[Link, Link]]:
    first, second = socket.socketpair()
    async with (
        asyncio.timeout(30),
        await Link.open(first, one) as left,
        await Link.open(second, other) as right,
    ):
        yield left, right


async def shout(data: bytes) -> bytes:
    await asyncio.sleep(0)
    return data.upper()


async def test_calls_go_both_ways_at_once() -> None:
    async def whisper(data: bytes) -> bytes:
        return data.lower()

    async with linked({"whisper": whisper}, {"shout": shout}) as (left, right):
        found = await asyncio.gather(
            *(left.call("shout", b"a%d" % n, within=30) for n in range(50)),
            *(right.call("whisper", b"B%d" % n, within=30) for n in range(50)),
        )
    assert found[:50] == [b"A%d" % n for n in range(50)]
    assert found[50:] == [b"b%d" % n for n in range(50)]


async def test_a_large_answer_arrives_whole() -> None:
    async with linked({}, {"shout": shout}) as (left, _):
        data = b"x" * 5_000_000
        assert await left.call("shout", data, within=30) == data.upper()


async def test_a_failure_is_told_in_its_own_words() -> None:
    async def fail(_: bytes) -> bytes:
        raise ValueError("no such level")

    async with linked({}, {"fail": fail}) as (left, _):
        with pytest.raises(LinkError, match="ValueError: no such level"):
            await left.call("fail", within=30)
        with pytest.raises(LinkError, match="KeyError"):
            await left.call("unknown", within=30)


async def test_who_does_not_answer_is_not_waited_for_and_may_answer_late() -> None:
    release = asyncio.Event()

    async def slow(_: bytes) -> bytes:
        await release.wait()
        return b"late"

    async with linked({}, {"slow": slow, "shout": shout}) as (left, _):
        with pytest.raises(TimeoutError):
            await left.call("slow", within=0.01)
        release.set()
        assert await left.call("shout", b"a", within=30) == b"A"


async def test_the_end_of_the_other_side_is_noticed_by_who_waits_and_who_comes_later() -> None:
    begun = asyncio.Event()

    async def never(_: bytes) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b""

    async with linked({}, {"never": never}) as (left, right):
        waiting = asyncio.create_task(left.call("never", within=30))
        await begun.wait()
        await right.aclose()
        with pytest.raises(LinkClosedError):
            await waiting
        await left.closed.wait()
        with pytest.raises(LinkClosedError):
            await left.call("never", within=30)
        with pytest.raises(LinkClosedError):
            left.tell("never")


async def test_noise_closes_the_link() -> None:
    first, second = socket.socketpair()
    async with asyncio.timeout(30), await Link.open(first, {}) as link:
        with second:
            second.sendall((3).to_bytes(4, "big") + b"xyz")
            await link.closed.wait()
