"""A service over in-process parts, whose store can be made to fail at any call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import prometheus_client  # noqa: F401 - imported here, because Metrics would do it in the loop
import pytest

from pyeino.integrations.memory import MemoryDatabase, MemoryScope
from pyeino.monitoring import Metrics
from pyeino.service import ChatService, default_chat_chain
from pyeino.testing import ScriptedChatModel, ScriptedReply


@dataclass
class LogRecorder:
    """A Logger that keeps its lines."""

    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def _add(self, level: str, message: str, fields: dict[str, Any]) -> None:
        self.lines.append((level, message, fields))

    def debug(self, message: str, /, **fields: Any) -> None:
        self._add("debug", message, fields)

    def info(self, message: str, /, **fields: Any) -> None:
        self._add("info", message, fields)

    def warn(self, message: str, /, **fields: Any) -> None:
        self._add("warn", message, fields)

    def error(self, message: str, /, **fields: Any) -> None:
        self._add("error", message, fields)

    def fatal(self, message: str, /, **fields: Any) -> Any:
        raise AssertionError(message)

    def with_context(self) -> LogRecorder:
        return self

    def with_fields(self, **fields: Any) -> LogRecorder:
        return self

    def of(self, message: str) -> list[dict[str, Any]]:
        return [fields for _, text, fields in self.lines if text == message]


class FaultyRepository:
    """A repository that counts its calls, waits before each, and fails or hangs when told to."""

    def __init__(self, inner: Any, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._inner, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._faults.before(name)
            result = await method(*args, **kwargs)
            await asyncio.sleep(0)
            return result

        return call


@dataclass
class Faults:
    """Which calls of the store fail (`failing`), which ones hang (`hanging`)."""

    failing: dict[str, Exception] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    async def before(self, name: str) -> None:
        self.calls.append(name)
        await asyncio.sleep(0)
        if name in self.hanging:
            await asyncio.Event().wait()
        if name in self.failing:
            raise self.failing[name]


@dataclass
class Bench:
    """Everything a test of the service looks at."""

    model: ScriptedChatModel
    service: ChatService
    scope: MemoryScope
    faults: Faults
    logs: LogRecorder
    metrics: Metrics

    def samples(self) -> dict[str, float]:
        """Every sample of the metrics, by name with its labels in order of name."""
        found: dict[str, float] = {}
        for family in self.metrics.registry.collect():
            for sample in family.samples:
                labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}"] = sample.value
        return found

    async def rows(self, session_id: str, *, user_id: str = "ann") -> list[Any]:
        page = await self.scope.messages.list(session_id, user_id=user_id, limit=500)
        return list(page.items)

    async def all_rows(self, *, user_id: str = "ann") -> list[Any]:
        sessions = await self.scope.sessions.list(user_id=user_id)
        return [row for one in sessions.items for row in await self.rows(one.id, user_id=user_id)]


OpenBench = Callable[..., Any]


@asynccontextmanager
async def open_bench(
    *replies: str | Exception | ScriptedReply, enter: bool = True, **options: Any
) -> AsyncIterator[Bench]:
    model = ScriptedChatModel(*replies)
    scope = MemoryDatabase().scope()
    faults, logs, metrics = Faults(), LogRecorder(), Metrics()
    chat_chain = options.pop("chat_chain", None) or default_chat_chain(model)
    service = ChatService(
        chat_chain,
        options.pop("rag_chain", None),
        options.pop("tool_chain", None),
        FaultyRepository(scope.sessions, faults),  # type: ignore[arg-type]
        FaultyRepository(scope.messages, faults),  # type: ignore[arg-type]
        logs,
        metrics,
        **options,
    )
    bench = Bench(model, service, scope, faults, logs, metrics)
    if not enter:
        yield bench
        return
    async with asyncio.timeout(60), service:
        yield bench
        assert service.active_runs == 0
    assert model.active == 0


@pytest.fixture
def bench() -> OpenBench:
    return open_bench
