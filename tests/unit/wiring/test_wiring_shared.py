"""What replicas share is in this process, or on Redis when its address is set."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pyeino.components import ModelInfo, ModelOptions, tool
from pyeino.errors import AppError, ExternalError
from pyeino.integrations.memory import MemoryCache, MemoryRateLimit
from pyeino.monitoring import Metrics, StructuredLogger
from pyeino.schema import Message
from pyeino.testing import ScriptedChatModel
from pyeino.wiring import load_settings
from pyeino.wiring._models import OpenModel
from pyeino.wiring._shared import cached_model, cached_tool, open_shared

_INFO = ModelInfo(id="m", provider="test")


async def test_without_redis_everything_is_in_this_process_and_closed_with_it() -> None:
    settings = load_settings(env={}, overrides={"cache.enabled": "true", "cache.max_entries": "2"})
    async with AsyncExitStack() as stack:
        shared = await open_shared(settings, stack)
        assert isinstance(shared.cache, MemoryCache)
        assert isinstance(shared.rate_limits, MemoryRateLimit)
        assert shared.probes == {}
        for key in "abc":
            await shared.cache.set(key, b"v")
        assert len(shared.cache) == 2
    with pytest.raises(AppError):
        await shared.cache.get("c")


async def test_a_cache_that_is_switched_off_is_not_there() -> None:
    async with AsyncExitStack() as stack:
        shared = await open_shared(load_settings(env={}), stack)
        assert shared.cache is None


async def test_redis_that_does_not_answer_is_told_at_the_start(tmp_path: Path) -> None:
    settings = load_settings(env={"REDIS_URL": f"unix://{tmp_path}/none"})
    async with AsyncExitStack() as stack:
        with pytest.raises(ExternalError) as error:
            await open_shared(settings, stack)
    assert error.value.code == "REDIS_UNREACHABLE"


def _cached(model: Any, cache: Any, metrics: Metrics, **overrides: str) -> Any:
    settings = load_settings(env={}, overrides={"cache.enabled": "true", **overrides})
    logger = StructuredLogger()
    try:
        opened = OpenModel(model=model, info=_INFO)
        return cached_model(opened, settings, cache=cache, metrics=metrics, log=logger)
    finally:
        logger.close()


async def test_answers_are_given_again_at_temperature_0_and_counted() -> None:
    metrics = Metrics()
    inner = ScriptedChatModel("one", "two", "three")
    async with MemoryCache() as cache:
        model = _cached(inner, cache, metrics, **{"llm.temperature": "0"})
        ask = [Message.user("hi")]
        said = [(await model.generate(ask)).content for _ in range(3)]
        assert said == ["one"] * 3
        hot = ModelOptions(temperature=1.0)
        assert (await model.generate(ask, options=hot)).content == "two"
        other = _cached(inner, cache, metrics, **{"llm.temperature": "0", "llm.max_tokens": "7"})
        assert (await other.generate(ask)).content == "three"
    text = metrics.render()[0].decode()
    assert 'eino_cache_hit_rate{cache_type="chat"} 0.5' in text


def test_above_temperature_0_the_model_is_left_alone() -> None:
    inner = ScriptedChatModel("one")
    assert _cached(inner, MemoryCache(), Metrics()) is inner
    assert _cached(inner, None, Metrics(), **{"llm.temperature": "0"}) is inner


async def test_n5_a_tool_is_not_asked_twice_for_the_same_while_its_answer_is_young() -> None:
    asked: list[str] = []

    @tool
    async def look_up(word: str) -> str:
        """Look a word up."""
        asked.append(word)
        return word.upper()

    metrics = Metrics()
    settings = load_settings(env={}, overrides={"cache.enabled": "true"})
    logger = StructuredLogger()
    try:
        assert cached_tool(look_up, settings, cache=None, metrics=metrics, log=logger) is look_up
        async with MemoryCache() as cache:
            kept = cached_tool(look_up, settings, cache=cache, metrics=metrics, log=logger)
            assert kept.info == look_up.info
            for _ in range(3):
                assert await kept.run('{"word": "a"}') == "A"
            assert await kept.run('{"word": "b"}') == "B"
        assert asked == ["a", "b"]
    finally:
        logger.close()
    assert 'eino_cache_hit_rate{cache_type="tool"} 0.5' in metrics.render()[0].decode()
