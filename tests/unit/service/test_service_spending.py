"""What a run costs its caller: set aside before, settled after, however and whenever it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pyeino.components import EmbedderOptions, ModelOptions
from pyeino.errors import AppError, InternalError, RateLimitError
from pyeino.integrations.encryption import EncryptedMessageRepository, EncryptedSessionRepository
from pyeino.integrations.memory import MemoryDatabase
from pyeino.monitoring import Metrics, TraceSpan, Tracing, TracingHandler
from pyeino.schema import FunctionCall, Message, Role, TokenUsage, ToolCall, ToolInfo
from pyeino.security import EncryptionService
from pyeino.service import (
    CallContext,
    ChatMessage,
    ChatOptions,
    ChatRequest,
    ChatService,
    MultiTurnChatRequest,
    default_chat_chain,
)
from pyeino.service._budget import Spending, estimate_prompt
from pyeino.service._outcome import Answer
from pyeino.stores import MessageStatus
from pyeino.testing import HashingEmbedder, ScriptedChatModel, ScriptedReply

OpenBench = Callable[..., Any]
WORDS = ("one ", "two ", "three")
ASK = ChatRequest(
    user_id="ann", session_id="s1", message="hi " * 40, options=ChatOptions(max_tokens=100)
)
PROMPT = 34
"""What ASK is estimated at."""


class Purse:
    """A budget that is asked over some turns of the loop and remembers what is set aside."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.refuse = refuse
        self.reserved = 0
        self.spent = 0
        self.settled = 0

    async def reserve(self, *, prompt_tokens: int, max_tokens: int | None) -> None:
        await asyncio.sleep(0)
        if self.refuse:
            raise RateLimitError("RATE_LIMIT_EXCEEDED", "Rate limit exceeded")
        assert self.reserved == 0
        self.reserved = prompt_tokens + (max_tokens or 0)
        await asyncio.sleep(0)

    async def settle(self, tokens: int) -> None:
        await asyncio.sleep(0)
        assert self.reserved, "nothing was set aside"
        self.reserved = 0
        self.spent += tokens
        self.settled += 1


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    # Not made in the loop: what it imports reads files.
    made = Tracing(InMemorySpanExporter())
    yield made
    made.close()


async def _read(stream: Any) -> tuple[int, BaseException | None]:
    """How many terminal items came, and the error at the end."""
    ends = 0
    async with stream:
        try:
            async for chunk in stream:
                ends += chunk.finish_reason is not None
        except AppError as error:
            return ends, error
    return ends, None


@pytest.mark.parametrize("streamed", [False, True])
async def test_cancelled_at_each_await_nothing_stays_set_aside(
    tracing: Tracing, streamed: bool
) -> None:
    """With a budget, encryption and tracing on: one outcome stored, one settlement, spans ended."""
    encryption = EncryptionService(key=b"k" * 32)
    spans: list[TraceSpan] = []
    begin = tracing.start

    def start(*args: Any, **options: Any) -> TraceSpan:
        spans.append(begin(*args, **options))
        return spans[-1]

    tracing.start = start  # type: ignore[method-assign]
    await _cancel_at_each_await(encryption, TracingHandler(tracing), spans, streamed=streamed)


async def _cancel_at_each_await(
    encryption: EncryptionService,
    handler: TracingHandler,
    spans: list[TraceSpan],
    *,
    streamed: bool,
) -> None:
    for turns in range(500):
        rows = MemoryDatabase().scope()
        model, purse = ScriptedChatModel(ScriptedReply(chunks=WORDS)), Purse()
        messages = EncryptedMessageRepository(rows.messages, encryption)
        service = ChatService(
            default_chat_chain(model),
            None,
            None,
            EncryptedSessionRepository(rows.sessions, encryption),
            messages,
            _Silent(),
            Metrics(),
            callbacks=(handler,),
        )
        async with asyncio.timeout(60), service:
            call = CallContext(user_id="ann", budget=purse)
            asked: Any = (
                _read(service.stream_chat(ASK, call=call))
                if streamed
                else service.chat(ASK, call=call)
            )
            task = asyncio.create_task(asked)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
            assert purse.reserved == 0, f"after {turns} turns"
            assert purse.settled <= 1
            still = [span._raw.name for span in spans if not span.ended]
            assert still == [], f"after {turns} turns"
            sessions = await rows.sessions.list(user_id="ann")
            found = [
                row
                for one in sessions.items
                for row in (await messages.list(one.id, user_id="ann")).items
            ]
            statuses = {row.status for row in found}
            assert MessageStatus.PENDING not in statuses
            assert len(statuses) <= 1
            if not task.cancelled():
                assert statuses == {MessageStatus.COMPLETED}
                assert purse.spent >= PROMPT
                assert spans
                if streamed:
                    assert task.result() == (1, None)
                return
    pytest.fail("no run got through")


@pytest.mark.parametrize("refused", [False, True])
async def test_embeddings_cancelled_at_each_await_leave_nothing_set_aside(
    bench: OpenBench, refused: bool
) -> None:
    for turns in range(200):
        purse = Purse(refuse=refused)
        async with bench(embedder=HashingEmbedder(), embedding_model="hashing") as given:
            call = CallContext(user_id="ann", budget=purse)
            task = asyncio.create_task(given.service.embeddings.embed(["a" * 40], call=call))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
        assert purse.reserved == 0, f"after {turns} turns"
        if not task.cancelled():
            assert isinstance(task.exception(), RateLimitError) is refused
            assert purse.spent == (0 if refused else 10)
            return
    pytest.fail("no call got through")


async def test_embeddings_that_fail_cost_nothing(bench: OpenBench) -> None:
    class Broken:
        async def embed(
            self, texts: Sequence[str], *, options: EmbedderOptions | None = None
        ) -> list[list[float]]:
            raise RuntimeError("no")

    purse = Purse()
    async with bench(embedder=Broken(), embedding_model="broken") as given:
        with pytest.raises(AppError, match="EMBEDDING_FAILED"):
            await given.service.embeddings.embed(["a"], call=CallContext(budget=purse))
    assert (purse.reserved, purse.settled, purse.spent) == (0, 1, 0)


class Torn(Purse):
    """A budget whose store breaks in a way that nobody has foreseen."""

    async def settle(self, tokens: int) -> None:
        raise RuntimeError("torn")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_budget_that_breaks_at_the_end_takes_no_answer_away(
    bench: OpenBench, streamed: bool
) -> None:
    async with bench("one two", embedder=HashingEmbedder(), embedding_model="hashing") as given:
        call = CallContext(user_id="ann", budget=Torn())
        if streamed:
            assert await _read(given.service.stream_chat(ASK, call=call)) == (1, None)
        else:
            assert (await given.service.chat(ASK, call=call)).content == "one two"
        assert (await given.rows("s1"))[-1].status is MessageStatus.COMPLETED
        assert given.logs.of("Chat completed")
        await given.service.embeddings.embed(["a"], call=CallContext(budget=Torn()))
        assert len(given.logs.of("Failed to settle tokens")) == 2


async def test_who_leaves_before_the_first_word_pays_for_the_prompt(bench: OpenBench) -> None:
    """Else the dearest part of a request would be free for whoever hangs up in time."""
    purse, reached = Purse(), asyncio.Event()
    reply = ScriptedReply(chunks=WORDS, at=0, hold=asyncio.Event(), reached=reached)
    async with bench(reply) as given:
        call = CallContext(user_id="ann", budget=purse)
        reader = asyncio.create_task(_read(given.service.stream_chat(ASK, call=call)))
        await reached.wait()
        reader.cancel()
        await asyncio.wait((reader,))
    assert (purse.settled, purse.spent) == (1, PROMPT)


async def test_who_allows_no_time_pays_for_the_prompt(bench: OpenBench) -> None:
    purse = Purse()
    hurried = replace(ASK, options=ChatOptions(max_tokens=100, timeout=0.05))
    async with bench(ScriptedReply(chunks=WORDS, at=0, hold=asyncio.Event())) as given:
        with pytest.raises(InternalError, match="TIMEOUT"):
            await given.service.chat(hurried, call=CallContext(budget=purse))
    assert (purse.settled, purse.spent) == (1, PROMPT)


async def test_a_model_that_fails_costs_nothing(bench: OpenBench) -> None:
    purse = Purse()
    async with bench(ScriptedReply(chunks=WORDS, at=0, error=RuntimeError("no"))) as given:
        _, error = await _read(given.service.stream_chat(ASK, call=CallContext(budget=purse)))
    assert error is not None
    assert (purse.settled, purse.spent) == (1, 0)


@pytest.mark.parametrize(
    ("said", "usage", "completed", "spent"),
    [
        # Nobody has counted.
        (Message.assistant("a" * 400), None, False, PROMPT + 100),
        (Message(role=Role.ASSISTANT, content="", reasoning_content="a" * 400), None, False, 134),
        (None, None, False, 0),
        (None, None, True, PROMPT),
        # The model's count is that of the first of several rounds when the run broke off.
        (Message.assistant("a" * 400), 10, False, PROMPT + 100),
        (Message.assistant("a" * 400), 900, False, 900),
        (Message.assistant("a" * 400), 10, True, 10),
        (None, 50, False, 50),
        (None, -50, True, 0),
    ],
)
async def test_what_a_run_has_cost(
    said: Message | None, usage: int | None, completed: bool, spent: int
) -> None:
    purse, answer = Purse(), Answer()
    spending = Spending(purse)
    await spending.reserve(ASK, options=ASK.options or ChatOptions())
    if said is not None:
        answer.add(said)
    if usage is not None:
        answer.usage = TokenUsage(prompt_tokens=0, completion_tokens=usage, total_tokens=usage)
    await spending.settle(answer, completed=completed)
    assert (purse.settled, purse.spent) == (1, spent)
    await spending.settle(answer, completed=completed)
    assert purse.settled == 1


def test_everything_that_a_request_brings_is_estimated() -> None:
    """Else what is asked for would be put where nobody counts."""
    plain = estimate_prompt(ASK)
    assert plain == PROMPT
    assert estimate_prompt(replace(ASK, context={"text": "a" * 400})) >= plain + 100
    tool = ToolInfo(name="t", description="a" * 400)
    assert estimate_prompt(ASK, ModelOptions(tools=(tool,))) >= plain + 100
    call = ToolCall(id="1", function=FunctionCall(name="t", arguments="a" * 400))
    said = ChatMessage(role="assistant", content="", tool_calls=(call,))
    assert estimate_prompt(MultiTurnChatRequest(user_id="ann", messages=(said,))) >= 100


class _Silent:
    def debug(self, message: str, /, **fields: Any) -> None: ...
    def info(self, message: str, /, **fields: Any) -> None: ...
    def warn(self, message: str, /, **fields: Any) -> None: ...
    def error(self, message: str, /, **fields: Any) -> None: ...
    def fatal(self, message: str, /, **fields: Any) -> Any:
        raise AssertionError(message)

    def with_context(self) -> _Silent:
        return self

    def with_fields(self, **fields: Any) -> _Silent:
        return self
