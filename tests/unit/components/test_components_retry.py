"""with_retry: what is tried again, how often, after how long, and what is never tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.components import (
    ChatModel,
    ModelOptions,
    RetryPolicy,
    is_transient,
    tool,
    with_retry,
)
from pyeino.errors import (
    DeclarationError,
    ExternalError,
    InternalError,
    ParseError,
    RateLimitError,
    ValidationError,
)
from pyeino.schema import Document, Message
from pyeino.streams import Stream
from pyeino.testing import CallState, ScriptedChatModel, ScriptedReply

ASK = [Message.user("hi")]
BROKEN = ExternalError("MODEL_FAILED", "broken")


class Sleeps:
    """A sleep that returns at once and remembers."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


def retried(model: ChatModel, **policy: Any) -> tuple[ChatModel, Sleeps]:
    sleeps = Sleeps()
    return with_retry(model, RetryPolicy(**policy), sleep=sleeps, chance=lambda: 0.0), sleeps


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (BROKEN, True),
        (RateLimitError("PROVIDER_RATE_LIMIT", "slow down"), True),
        (InternalError("TIMEOUT", "late", http_status=504), True),
        (TimeoutError(), True),
        (ExternalError("PROVIDER_REFUSED_KEY", "no"), False),
        (InternalError("MODEL_CLOSED", "closed", http_status=503), False),
        (ValidationError("EMPTY_PROMPT", "nothing asked"), False),
        (ParseError("no JSON"), False),
        (KeyError("x"), False),
    ],
)
async def test_what_is_worth_another_try(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient
    inner = ScriptedChatModel(error, "fine")
    model, _ = retried(inner)
    if transient:
        assert (await model.generate(ASK)).content == "fine"
    else:
        with pytest.raises(type(error)):
            await model.generate(ASK)
    assert len(inner.calls) == 1 + transient


async def test_waits_double_up_to_the_longest_and_the_last_error_is_raised() -> None:
    inner = ScriptedChatModel(BROKEN)
    model, sleeps = retried(inner, attempts=5, base_delay=1.0, max_delay=3.0)
    with pytest.raises(ExternalError) as caught:
        await model.generate(ASK)
    assert caught.value is BROKEN
    assert sleeps.waits == [1.0, 2.0, 3.0, 3.0]
    assert "tried 5 times" in getattr(caught.value, "__notes__", [])


async def test_the_provider_is_believed_within_bounds() -> None:
    soon = RateLimitError("R", "r", metadata={"retry_after": 7})
    late = RateLimitError("R", "r", metadata={"retry_after": 61})
    model, sleeps = retried(ScriptedChatModel(soon, "fine"))
    assert (await model.generate(ASK)).content == "fine"
    assert sleeps.waits == [7.0]
    model, sleeps = retried(ScriptedChatModel(late, "fine"))
    with pytest.raises(RateLimitError):
        await model.generate(ASK)
    assert sleeps.waits == []


@given(
    attempt=st.integers(1, 5_000),
    base=st.floats(0, 100),
    longest=st.floats(0, 100),
    jitter=st.floats(0, 1),
    chance=st.floats(0, 1),
)
def test_a_wait_is_never_longer_than_the_longest(
    attempt: int, base: float, longest: float, jitter: float, chance: float
) -> None:
    policy = RetryPolicy(attempts=10_000, base_delay=base, max_delay=longest, jitter=jitter)
    delay = policy.delay(attempt, BROKEN, chance=chance)
    assert delay is not None
    assert 0 <= delay <= longest


async def test_a_stream_is_opened_again_before_its_first_chunk_only() -> None:
    early = ScriptedReply(chunks=("a", "b"), at=0, error=BROKEN)
    late = ScriptedReply(chunks=("a", "b"), at=1, error=BROKEN)
    inner = ScriptedChatModel(early, "fine")
    model, sleeps = retried(inner)
    assert (await model.stream(ASK).concat()).content == "fine"
    assert len(sleeps.waits) == 1
    inner = ScriptedChatModel(late, "fine")
    model, sleeps = retried(inner)
    async with model.stream(ASK) as chunks:
        assert (await anext(chunks)).content == "a"
        with pytest.raises(ExternalError):
            await anext(chunks)
    assert sleeps.waits == []
    assert len(inner.calls) == 1


async def test_each_failed_stream_is_closed_before_the_next() -> None:
    closed: list[str] = []

    class Failing:
        async def generate(
            self, messages: Sequence[Message], *, options: ModelOptions | None = None
        ) -> Message:
            raise BROKEN

        def stream(
            self, messages: Sequence[Message], *, options: ModelOptions | None = None
        ) -> Stream[Message]:
            async def chunks() -> AsyncIterator[Message]:
                raise BROKEN
                yield

            async def note() -> None:
                closed.append("closed")

            return Stream.from_iterator(chunks(), on_close=note)

    model, _ = retried(Failing(), attempts=3)
    with pytest.raises(ExternalError):
        await model.stream(ASK).collect()
    assert closed == ["closed"] * 3


async def test_a_cancel_ends_the_call_and_the_waiting() -> None:
    hold = asyncio.Event()
    inner = ScriptedChatModel(ScriptedReply(hold=hold))
    model, _ = retried(inner)
    task = asyncio.create_task(model.generate(ASK))
    await inner.wait_for_calls(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [call.state for call in inner.calls] == [CallState.CANCELLED]

    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    waiting = with_retry(ScriptedChatModel(BROKEN), RetryPolicy(), sleep=sleep)
    task = asyncio.create_task(waiting.stream(ASK).concat())
    await asleep.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_every_kind_of_component_is_retried() -> None:
    class Flaky:
        def __init__(self) -> None:
            self.calls = 0

        def _fail_once(self) -> None:
            self.calls += 1
            if self.calls == 1:
                raise BROKEN

    class Embeds(Flaky):
        async def embed(self, texts: Sequence[str], *, options: Any = None) -> list[list[float]]:
            self._fail_once()
            return [[1.0] for _ in texts]

    class Retrieves(Flaky):
        async def retrieve(self, query: str, *, options: Any = None) -> list[Document]:
            self._fail_once()
            return [Document(id="1", content=query)]

    class Reranks(Flaky):
        async def rerank(self, input: Any, *, options: Any = None) -> list[Document]:
            self._fail_once()
            return list(input.documents)

    from pyeino.components import Reranker, RerankInput, Retriever

    sleeps = Sleeps()
    embedder = with_retry(Embeds(), sleep=sleeps)
    assert await embedder.embed([]) == []
    assert await embedder.embed(["a", "b"]) == [[1.0], [1.0]]
    retriever: Retriever = with_retry(Retrieves(), sleep=sleeps)
    assert (await retriever.retrieve("q"))[0].content == "q"
    reranker: Reranker = with_retry(Reranks(), sleep=sleeps)
    assert await reranker.rerank(RerankInput(query="q", documents=[])) == []
    calls: list[str] = []

    @tool
    async def flaky(word: str) -> str:
        """Fail at first."""
        calls.append(word)
        if len(calls) == 1:
            raise TimeoutError
        return word

    again = with_retry(flaky, sleep=sleeps)
    assert await again.run('{"word": "x"}') == "x"
    assert again.info == flaky.info
    assert await again.stream('{"word": "y"}').concat() == "y"
    assert len(sleeps.waits) == 4


def test_the_name_of_the_implementation_is_kept() -> None:
    class Named(ScriptedChatModel):
        def get_type(self) -> str:
            return "Special"

    assert with_retry(with_retry(Named())).get_type() == "Special"  # type: ignore[attr-defined]
    assert with_retry(ScriptedChatModel()).get_type() == "ScriptedChatModel"  # type: ignore[attr-defined]


def test_what_cannot_be_wrapped_and_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(DeclarationError, match="expected a ChatModel"):
        with_retry(3)  # type: ignore[type-var]
    with pytest.raises(DeclarationError):
        with_retry(ScriptedChatModel)  # type: ignore[type-var]
    for wrong in ({"attempts": 0}, {"base_delay": -1.0}, {"jitter": 1.5}):
        with pytest.raises(DeclarationError, match="out of range"):
            RetryPolicy(**wrong)  # type: ignore[arg-type]
