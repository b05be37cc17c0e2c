"""CacheManager and cached_chat_completion: one computation, the right key, an equal value."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.components import (
    CacheManager,
    ModelInfo,
    ModelOptions,
    cached_chat_completion,
    tool,
    with_cache,
)
from pyeino.errors import DeclarationError, ExternalError
from pyeino.integrations.memory import MemoryCache
from pyeino.monitoring import Metrics
from pyeino.schema import (
    Document,
    FunctionCall,
    Message,
    ReasoningPart,
    ResponseMeta,
    Role,
    TokenUsage,
    ToolCall,
    ToolInfo,
)
from pyeino.testing import ScriptedChatModel, ScriptedReply

BROKEN = ExternalError("REDIS_UNREACHABLE", "down")
ASK = [Message.user("hi")]
FULL = Message(
    role=Role.ASSISTANT,
    content="Grüße 🌍",
    reasoning_content="why",
    assistant_output_multi_content=(ReasoningPart(text="hm", signature="s"),),
    response_meta=ResponseMeta(
        finish_reason="stop",
        usage=TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
    ),
    extra={"nested": {"list": [1, 2.5, None, b"bytes", (1, 2)]}},
)


class _Down:
    """A cache in trouble."""

    async def get(self, key: str) -> bytes | None:
        raise BROKEN

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        raise BROKEN

    async def delete(self, key: str) -> None:
        raise BROKEN

    async def clear(self, prefix: str = "") -> None:
        raise BROKEN


class _Counted:
    """Computes `value`, after a while, and counts how often."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.calls = 0

    async def __call__(self) -> Any:
        self.calls += 1
        await asyncio.sleep(0)
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def _model(*replies: Any, name: str = "m") -> ScriptedChatModel:
    model = ScriptedChatModel(*replies)
    model.info = ModelInfo(id=name, provider="test")  # type: ignore[attr-defined]
    return model


@pytest.mark.parametrize(
    "value",
    [FULL, None, 0, "", [], {"a": [1, {"b": None}]}, [FULL, FULL], Document(content="x"), (1, 2)],
    ids=lambda value: type(value).__name__,
)
async def test_g69_a_hit_equals_the_miss_in_value_and_class(value: Any) -> None:
    manager, compute = CacheManager(MemoryCache(), "p"), _Counted(value)
    first = await manager.get_or_set("k", None, compute)
    again = await manager.get_or_set("k", None, compute)
    assert first == again == value
    assert type(first) is type(again) is type(value)
    assert (compute.calls, manager.stats.hits, manager.stats.misses) == (1, 1, 1)


async def test_g69_own_types_come_back_as_themselves() -> None:
    class Price(msgspec.Struct, frozen=True):
        net: float

    manager = CacheManager(MemoryCache(), "p", value_type=Price)
    compute: Callable[[], Awaitable[Price]] = _Counted(Price(net=2.5))
    assert [await manager.get_or_set("k", None, compute) for _ in range(2)] == [Price(net=2.5)] * 2
    assert manager.stats.hits == 1


@pytest.mark.parametrize("entry", [b"", b"\xc1garbage", b"null", b'{"role": "user"}'])
async def test_g69_a_bad_entry_is_deleted_counted_and_computed_anew(entry: bytes) -> None:
    cache, told = MemoryCache(), list[Exception]()
    manager = CacheManager(cache, "p", value_type=Message, on_error=told.append)
    compute = _Counted(FULL)
    await cache.set("p:k", entry)
    assert await manager.get_or_set("k", None, compute) == FULL
    assert await manager.get_or_set("k", None, compute) == FULL
    assert (manager.stats.bad_entries, manager.stats.hits, manager.stats.misses) == (1, 1, 1)
    assert (compute.calls, len(told)) == (1, 1)


async def test_g69_an_entry_of_another_type_is_a_bad_entry() -> None:
    cache = MemoryCache()
    texts = CacheManager(cache, "p", value_type=str)
    numbers = CacheManager(cache, "p", value_type=int)
    assert await texts.get_or_set("k", None, _Counted("one")) == "one"
    assert await numbers.get_or_set("k", None, _Counted(1)) == 1
    assert numbers.stats.bad_entries == 1


async def test_g69_trouble_with_the_cache_is_counted_and_the_answer_still_comes() -> None:
    told: list[Exception] = []
    manager = CacheManager(_Down(), "p", on_error=told.append)
    assert await manager.get_or_set("k", 5, _Counted("v")) == "v"
    assert (manager.stats.failed_reads, manager.stats.failed_writes) == (1, 1)
    assert told == [BROKEN, BROKEN]
    silent = CacheManager(_Down(), "p")
    assert await silent.get_or_set("k", 5, _Counted("v")) == "v"


async def test_g69_a_value_that_cannot_be_stored_is_counted_and_given() -> None:
    manager, value = CacheManager(MemoryCache(), "p"), object()
    assert await manager.get_or_set("k", None, _Counted(value)) is value
    assert (manager.stats.unfit_values, manager.stats.failed_writes) == (1, 0)


async def test_g70_a_stampede_computes_once_and_everybody_gets_a_value_of_his_own() -> None:
    manager, compute = CacheManager(MemoryCache(), "p"), _Counted({"list": [1]})
    values = await asyncio.gather(*(manager.get_or_set("k", 60, compute) for _ in range(100)))
    assert compute.calls == 1
    assert all(value == {"list": [1]} for value in values)
    assert len({id(value) for value in values}) == 100
    values[0]["list"].append("changed by one caller")
    assert await manager.get_or_set("k", 60, compute) == {"list": [1]}
    assert (manager.stats.misses, manager.stats.hits) == (100, 1)


async def test_g70_the_first_callers_cancellation_does_not_fail_the_others() -> None:
    manager, calls = CacheManager(MemoryCache(), "p"), list[int]()
    begun, hold = asyncio.Event(), asyncio.Event()

    async def compute() -> str:
        calls.append(1)
        begun.set()
        await hold.wait()
        return "v"

    async with asyncio.timeout(30):
        callers = [asyncio.create_task(manager.get_or_set("k", 60, compute)) for _ in range(3)]
        await begun.wait()
        callers[0].cancel()
        await asyncio.wait([callers[0]])
        hold.set()
        assert await asyncio.gather(*callers[1:]) == ["v", "v"]
    assert callers[0].cancelled()
    assert len(calls) == 1


async def test_g70_errors_reach_everybody_and_are_not_kept() -> None:
    manager, failing = CacheManager(MemoryCache(), "p"), _Counted(KeyError("no"))
    outcomes = await asyncio.gather(
        *(manager.get_or_set("k", 60, failing) for _ in range(5)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [KeyError] * 5
    assert failing.calls == 1
    assert await manager.get_or_set("k", 60, _Counted("v")) == "v"


def test_g71_no_two_lists_of_parts_share_a_key() -> None:
    manager = CacheManager(MemoryCache(), "p")
    assert manager.generate_key("ab", "c") != manager.generate_key("a", "bc")
    assert manager.generate_key("a") != manager.generate_key("a", "")
    assert manager.generate_key("a") != manager.generate_key(b"a")
    assert manager.generate_key() != manager.generate_key("")
    assert manager.generate_key("chat", "hi") == (
        hashlib.blake2b(
            b"s" + (4).to_bytes(8, "big") + b"chat" + b"s" + (2).to_bytes(8, "big") + b"hi",
            digest_size=32,
        ).hexdigest()
    )


_PARTS = st.lists(st.one_of(st.text(max_size=4), st.binary(max_size=4)), max_size=4)


@given(one=_PARTS, other=_PARTS)
def test_g71_keys_are_equal_just_when_the_parts_are(
    one: list[str | bytes], other: list[str | bytes]
) -> None:
    manager = CacheManager(MemoryCache(), "p")
    assert (manager.generate_key(*one) == manager.generate_key(*other)) == (one == other)


async def test_g68_clear_takes_only_what_is_under_the_managers_prefix() -> None:
    cache = MemoryCache()
    names = ("a", "a:b", "ab", "a%3Ab")
    managers = [CacheManager(cache, name) for name in names]
    for manager in managers:
        assert await manager.get_or_set("b:k", None, _Counted(manager.prefix)) == manager.prefix
    await managers[0].clear()
    assert await managers[0].get_or_set("b:k", None, _Counted("new")) == "new"
    for manager in managers[1:]:
        assert await manager.get_or_set("b:k", None, _Counted("new")) == manager.prefix
    await managers[1].delete("b:k")
    assert await managers[1].get_or_set("b:k", None, _Counted("new")) == "new"
    with pytest.raises(ValueError, match="prefix"):
        CacheManager(cache, "")


async def test_hits_and_misses_make_the_hit_rate() -> None:
    metrics = Metrics()
    manager = CacheManager(MemoryCache(), "answers", metrics=metrics)
    for _ in range(4):
        await manager.get_or_set("k", None, _Counted("v"))
    text = metrics.render()[0].decode()
    assert 'eino_cache_hit_rate{cache_type="answers"} 0.75' in text
    assert 'eino_cache_misses_total{cache_type="answers"} 1.0' in text


async def test_tool_results_on_the_managers_cache_are_counted_and_apart() -> None:
    calls: list[str] = []

    @tool
    async def shout(word: str) -> str:
        """Say it loudly."""
        calls.append(word)
        return word.upper()

    cache = MemoryCache()
    manager = CacheManager(cache, "tools")
    loud = with_cache(shout, manager.counted, name="tenant a", ttl=60)
    assert [await loud.run('{"word": "x"}') for _ in range(3)] == ["X"] * 3
    assert (calls, manager.stats.hits, manager.stats.misses) == (["x"], 2, 1)
    await cache.set("other", b"1")
    await manager.counted.clear()
    await manager.counted.delete("never")
    assert len(cache) == 1


# --- the cached chat ------------------------------------------------------------------------------


async def test_g69_a_cached_answer_equals_the_first_one() -> None:
    manager = CacheManager(MemoryCache(), "chat", value_type=Message)

    class Once:
        info = ModelInfo(id="m", provider="test")
        calls = 0

        async def generate(self, messages: Any, *, options: Any = None) -> Message:
            self.calls += 1
            return FULL

        def stream(self, messages: Any, *, options: Any = None) -> Any:
            raise NotImplementedError

    model = Once()
    answers = [await cached_chat_completion(manager, model, ASK, tenant="t") for _ in range(3)]
    assert answers == [FULL] * 3
    assert model.calls == 1


_WEATHER = ToolInfo(name="weather", description="the weather")


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [Message.user("hi there")]},
        {"messages": [Message.system("be brief"), *ASK]},
        {"messages": [*ASK, Message.assistant("hello"), *ASK]},
        {"messages": [Message.user("hi", parts=())], "tenant": "other"},
        {"options": ModelOptions(model="other")},
        {"options": ModelOptions(temperature=0.0)},
        {"options": ModelOptions(max_tokens=5)},
        {"options": ModelOptions(tools=(_WEATHER,))},
        {"options": ModelOptions(seed=1)},
        {"model_id": "another set-up of the same model"},
    ],
)
async def test_g72_whatever_changes_the_answer_is_in_the_key(other: dict[str, Any]) -> None:
    manager = CacheManager(MemoryCache(), "chat", value_type=Message)
    model = _model("first", "second")
    call: dict[str, Any] = {"messages": ASK, "tenant": "t"}
    first = await cached_chat_completion(manager, model, **call)
    again = await cached_chat_completion(manager, model, **call)
    changed = await cached_chat_completion(manager, model, **{**call, **other})
    assert (first.content, again.content, changed.content) == ("first", "first", "second")


async def test_g72_another_model_does_not_get_this_ones_answer() -> None:
    manager = CacheManager(MemoryCache(), "chat", value_type=Message)
    one, other = _model("one", name="one"), _model("other", name="other")
    assert (await cached_chat_completion(manager, one, ASK, tenant="t")).content == "one"
    assert (await cached_chat_completion(manager, other, ASK, tenant="t")).content == "other"
    nameless: Any = ScriptedChatModel("x")
    nameless.info = None
    with pytest.raises(DeclarationError, match="model_id"):
        await cached_chat_completion(manager, nameless, ASK, tenant="t")


async def test_g72_errors_tool_calls_and_sampled_answers_are_not_kept() -> None:
    manager = CacheManager(MemoryCache(), "chat", value_type=Message)
    call = ToolCall(id="1", function=FunctionCall(name="weather", arguments="{}"))
    model = _model(
        ScriptedReply(error=ExternalError("MODEL_FAILED", "no")),
        ScriptedReply(tool_calls=(call,)),
        "kept",
    )
    with pytest.raises(ExternalError):
        await cached_chat_completion(manager, model, ASK, tenant="t")
    assert (await cached_chat_completion(manager, model, ASK, tenant="t")).tool_calls
    for _ in range(2):
        assert (await cached_chat_completion(manager, model, ASK, tenant="t")).content == "kept"
    hot = ModelOptions(temperature=0.9)
    model = _model("a", "b", "c", "d")
    said = [
        (await cached_chat_completion(manager, model, ASK, tenant="t", options=hot)).content
        for _ in range(2)
    ]
    kept = [
        (
            await cached_chat_completion(manager, model, ASK, tenant="t", options=hot, sampled=True)
        ).content
        for _ in range(2)
    ]
    assert (said, kept) == (["a", "b"], ["c", "c"])


async def test_options_that_are_no_data_go_to_the_model() -> None:
    manager = CacheManager(MemoryCache(), "chat", value_type=Message)
    options = ModelOptions(extra={"hook": object()})
    model = _model("a", "b")
    for expected in ("a", "b"):
        answer = await cached_chat_completion(manager, model, ASK, tenant="t", options=options)
        assert answer.content == expected
    assert manager.stats.misses == 0


async def test_a_cached_answer_lasts_ten_minutes() -> None:
    now = [0.0]
    manager = CacheManager(MemoryCache(clock=lambda: now[0]), "chat", value_type=Message)
    model = _model("old", "new")
    for moment, expected in ((0.0, "old"), (599.0, "old"), (600.0, "new")):
        now[0] = moment
        answer = await cached_chat_completion(manager, model, ASK, tenant="t")
        assert answer.content == expected


class _Slow(MemoryCache):
    """Takes its time at every call."""

    async def get(self, key: str) -> bytes | None:
        await asyncio.sleep(0)
        found = await super().get(key)
        await asyncio.sleep(0)
        return found

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        await asyncio.sleep(0)
        await super().set(key, value, ttl=ttl)
        await asyncio.sleep(0)


@pytest.mark.parametrize("ticks", range(12))
async def test_g70_cancelled_at_any_await_nothing_is_left_and_others_are_served(
    ticks: int,
) -> None:
    manager = CacheManager(_Slow(), "p")
    async with asyncio.timeout(30):
        alone = asyncio.create_task(manager.get_or_set("alone", 60, _Counted("v")))
        leader = asyncio.create_task(manager.get_or_set("k", 60, _Counted("v")))
        follower = asyncio.create_task(manager.get_or_set("k", 60, _Counted("other")))
        for _ in range(ticks):
            await asyncio.sleep(0)
        alone.cancel()
        leader.cancel()
        await asyncio.wait([alone, leader])
        assert await follower in ("v", "other")
        assert await manager.get_or_set("alone", 60, _Counted("v")) == "v"
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_troubles_are_counted_in_metrics_by_what_was_being_done() -> None:
    metrics, told = Metrics(), list[Exception]()
    manager = CacheManager(_Down(), "down", metrics=metrics)
    await manager.get_or_set("k", 5, _Counted("v"))
    model = with_cache(ScriptedChatModel("one"), manager.counted, name="m", on_error=told.append)
    await model.generate(ASK)
    assert told == [BROKEN, BROKEN]
    cache = MemoryCache()
    await cache.set("bad:k", b"\xc1garbage")
    await CacheManager(cache, "bad", value_type=str, metrics=metrics).get_or_set(
        "k", None, _Counted("v")
    )
    counted = {
        (kind, operation): metrics.registry.get_sample_value(
            "eino_cache_errors_total", {"cache_type": kind, "operation": operation}
        )
        for kind, operation in (("down", "get"), ("down", "set"), ("bad", "decode"))
    }
    assert counted == {("down", "get"): 2, ("down", "set"): 2, ("bad", "decode"): 1}
