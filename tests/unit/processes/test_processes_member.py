"""Members: what the parent asks of a child, and what a child is told when nobody answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import pytest

from pyeino.errors import InternalError
from pyeino.monitoring import LogLevel, Metrics, MetricsExport
from pyeino.processes import Link, Member
from pyeino.processes import _member as member_module
from pyeino.processes import _names as names
from pyeino.processes._link import Handler


@asynccontextmanager
async def joined(handlers: Mapping[str, Handler]) -> AsyncGenerator[tuple[Link, Member]]:
    first, second = socket.socketpair()
    async with asyncio.timeout(30), await Link.open(first, handlers) as parent:
        parent.tell(names.BEGIN, b"do this")
        async with Member.join(second) as member:
            yield parent, member


async def test_what_was_asked_before_a_member_can_do_it_is_done_when_it_can() -> None:
    done: list[str] = []
    async with joined({}) as (parent, member):
        assert member.payload == b"do this"
        await parent.call(names.LEVEL, b"DEBUG", within=30)
        await parent.call(names.STOP, within=30)
        assert await parent.call(names.EXPORT, within=30) == b""
        member.attach(
            on_level=lambda level: done.append(level.name),
            on_stop=lambda: done.append("stop"),
            on_hasten=lambda: done.append("hasten"),
        )
        assert done == ["DEBUG", "stop"]
        await parent.call(names.HASTEN, within=30)
    assert done == ["DEBUG", "stop", "hasten"]


async def test_a_parent_that_is_gone_means_haste() -> None:
    hastened = asyncio.Event()
    async with joined({}) as (parent, member):
        member.attach(on_level=lambda _: None, on_stop=lambda: None, on_hasten=hastened.set)
        assert not member.orphaned
        await parent.aclose()
        await hastened.wait()
        assert member.orphaned


async def test_the_last_word_of_a_member_is_what_it_has_measured() -> None:
    heard: list[bytes] = []

    async def last(data: bytes) -> bytes:
        heard.append(data)
        return b""

    metrics = Metrics()
    metrics.inc_requests("GET", "/x", 200)
    async with joined({names.LAST_EXPORT: last}) as (_, member):
        member.metrics = metrics
        await member.leave()
    (export,) = map(MetricsExport.decode, heard)
    assert b'eino_requests_total{endpoint="/x"' in export.render()[0]


async def test_g87_no_figures_rather_than_those_of_one_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(member_module, "_COLLECT_TIMEOUT", 0.05)

    async def silent(_: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with joined({names.COLLECT: silent, names.LEVEL: silent}) as (parent, member):
        for gone in (False, True):
            if gone:
                await parent.aclose()
            with pytest.raises(InternalError) as raised:
                await member.scrape()
            assert (raised.value.code, raised.value.http_status) == ("METRICS_UNAVAILABLE", 503)
            with pytest.raises(InternalError) as raised:
                await member.set_log_level(LogLevel.DEBUG)
            assert (raised.value.code, raised.value.http_status) == ("LOG_LEVEL_UNSET", 503)
