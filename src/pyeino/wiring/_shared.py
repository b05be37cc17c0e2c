"""What replicas share: the cache and the rate limits, in this process or on Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec

from pyeino.components import CacheManager, ChatModel, Tool, with_cache
from pyeino.errors import MissingDependencyError
from pyeino.integrations.memory import MemoryCache, MemoryRateLimit, StandbyRateLimit
from pyeino.monitoring import Logger, Metrics
from pyeino.stores import Cache, RateLimitStore
from pyeino.wiring._models import OpenModel
from pyeino.wiring._tree import Settings

Probe = Callable[[], Awaitable[None]]
CHAT_CACHE = "chat"
TOOL_CACHE = "tool"
COMPONENT = "rate_limit"
"""The component type under which failures of the shared limits are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedStores:
    """The cache (None when it is switched off), the rate limits, and the probes of both."""

    cache: Cache | None
    rate_limits: RateLimitStore
    probes: dict[str, Probe]


async def open_shared(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    log: Logger | None = None,
    metrics: Metrics | None = None,
) -> SharedStores:
    """The shared stores of `settings`, closed by `stack`: on Redis when `redis.url` is set.

    While Redis is in trouble each process keeps the limits by itself; `log` and `metrics` are
    told.

    Raises ExternalError REDIS_UNREACHABLE or REDIS_REFUSED when Redis does not answer.
    """
    if settings.redis.url:
        return await _open_redis(settings, stack, log=log, metrics=metrics)
    cache: MemoryCache | None = None
    if settings.cache.enabled:
        cache = MemoryCache(
            max_entries=settings.cache.max_entries, max_bytes=settings.cache.max_bytes
        )
        stack.push_async_callback(cache.close)
    limits = MemoryRateLimit()
    stack.push_async_callback(limits.close)
    return SharedStores(cache=cache, rate_limits=limits, probes={})


async def _open_redis(
    settings: Settings, stack: AsyncExitStack, *, log: Logger | None, metrics: Metrics | None
) -> SharedStores:
    try:
        from pyeino.integrations.redis import RedisDatabase
    except ImportError as error:
        if isinstance(error, MissingDependencyError):
            raise
        raise MissingDependencyError("redis", extra="redis") from error
    redis = settings.redis
    database = await stack.enter_async_context(
        await RedisDatabase.open(redis.url, pool_size=redis.pool_size, wait_seconds=redis.timeout)
    )
    return SharedStores(
        cache=database.cache() if settings.cache.enabled else None,
        rate_limits=_with_standby(database.rate_limit(), stack, log=log, metrics=metrics),
        probes={"redis": database.check},
    )


def _with_standby(
    shared: RateLimitStore, stack: AsyncExitStack, *, log: Logger | None, metrics: Metrics | None
) -> RateLimitStore:
    """`shared`, and limits of this process alone while it is in trouble: counted and logged."""
    standby = MemoryRateLimit()
    stack.push_async_callback(standby.close)

    def trouble(error: Exception) -> None:
        if metrics is not None:
            metrics.inc_component_errors(COMPONENT, "redis", type(error).__name__)
        if log is not None:
            log.warn("Limits are kept by this process alone: the shared store fails", error=error)

    def recovery() -> None:
        if log is not None:
            log.info("Limits are shared again")

    return StandbyRateLimit(shared, standby, on_trouble=trouble, on_recovery=recovery)


def cached_model(
    opened: OpenModel,
    settings: Settings,
    *,
    cache: Cache | None,
    metrics: Metrics,
    log: Logger,
) -> ChatModel:
    """The model of `opened`, answering from `cache` what may be given twice.

    That is: only when `llm.temperature` is 0, because a temperature above it asks for variety.
    Everything that the model is set up with is in the name under which answers are kept.
    """
    if cache is None or settings.llm.temperature != 0:
        return opened.model

    def tell(error: Exception) -> None:
        log.warn("The cache is in trouble; the model is asked instead", error=error)

    manager = CacheManager(cache, CHAT_CACHE, metrics=metrics, on_error=tell)
    llm = settings.llm
    set_up = msgspec.json.encode((llm.base_url, llm.max_tokens, llm.extra), order="sorted")
    name = manager.generate_key("local", opened.info.provider, opened.info.id, set_up)
    return with_cache(
        opened.model, manager.counted, name=name, ttl=settings.cache.ttl, on_error=tell
    )


def cached_tool(
    tool: Tool, settings: Settings, *, cache: Cache | None, metrics: Metrics, log: Logger
) -> Tool:
    """`tool` that answers from `cache` what it was asked before, at most `cache.ttl` ago.

    For tools whose answer depends on their arguments only, or may be that old.
    """
    if cache is None:
        return tool

    def tell(error: Exception) -> None:
        log.warn("The cache is in trouble; the tool is asked instead", error=error)

    manager = CacheManager(cache, TOOL_CACHE, metrics=metrics, on_error=tell)
    name = manager.generate_key("local", tool.info.name)
    return with_cache(tool, manager.counted, name=name, ttl=settings.cache.ttl, on_error=tell)
