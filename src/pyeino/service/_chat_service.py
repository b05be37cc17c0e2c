"""ChatService: the business layer; it knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from pyeino.components import Embedder, ModelInfo
from pyeino.compose import Compiled, Runnable
from pyeino.errors import AppError
from pyeino.monitoring import Logger, Metrics, MetricsHandler
from pyeino.schema import Message
from pyeino.service._embeddings import Embeddings
from pyeino.service._execution import Execution, Parts, Piece
from pyeino.service._graph import compile_selection_graph
from pyeino.service._inputs import ChatInput, RAGInput, ToolInput
from pyeino.service._limits import ServiceLimits
from pyeino.service._outcome import Outcome
from pyeino.service._rag import IndexProbe
from pyeino.service._records import (
    CallContext,
    ChatChunk,
    ChatRequest,
    ChatResponse,
    MultiTurnChatRequest,
)
from pyeino.service._runs import Run, RunManager
from pyeino.service._selection import Selector, select_chain
from pyeino.service._sessions import Sessions
from pyeino.service._turn import Turn
from pyeino.service._validation import AnyRequest
from pyeino.stores import MessageRepository, SessionRepository
from pyeino.streams import Stream, StreamWriter, pipe

_PIPE_CAPACITY = 16
_LOST_AFTER = 60.0


class ChatService:
    """Answers chat requests through the chain that fits, and keeps their history.

    Use it inside `async with service:`, which owns every run and waits for all of them. Each
    chain is any Runnable and may be exchanged; `rag_chain` and `tool_chain` may be None;
    `chains` registers further ones by name, picked by `options.chain`. `models` are the ids that
    `options.model` may name beside "default".

    All calls raise AppError only. Errors of chains keep their type; what is not typed becomes
    the external CHAIN_EXECUTION_ERROR (502), a missed deadline TIMEOUT (504). A cancelled call
    is no error: its turn is stored as cancelled.
    """

    def __init__(
        self,
        chat_chain: Runnable[ChatInput, Message],
        rag_chain: Runnable[RAGInput, Message] | None,
        tool_chain: Runnable[ToolInput, Message] | None,
        session_repo: SessionRepository,
        message_repo: MessageRepository,
        logger: Logger,
        metrics: Metrics,
        *,
        limits: ServiceLimits | None = None,
        models: Sequence[ModelInfo] = (),
        chains: Mapping[str, Runnable[ChatInput, Message]] | None = None,
        selector: Selector = select_chain,
        index_probe: IndexProbe | None = None,
        create_unknown_sessions: bool = True,
        embedder: Embedder | None = None,
        embedding_model: str = "embedding",
    ) -> None:
        """`index_probe` says whether the default index has something relevant to a request.

        `create_unknown_sessions=False` answers an unknown session id with 404.

        Otherwise a session is made under the id that the client gives. Either way a session id
        of somebody else is treated as one that never was. `embedder` answers `embeddings`, under
        the name `embedding_model`; it is not closed.
        """
        self.limits = limits or ServiceLimits()
        self.sessions = Sessions(session_repo, message_repo, limits=self.limits)
        self.embeddings = Embeddings(
            embedder, model=embedding_model, limits=self.limits, logger=logger
        )
        self.models = tuple(models)
        self.graph: Compiled[Turn, Message] = compile_selection_graph(
            chat_chain, rag_chain, tool_chain, chains=chains
        )
        available = ["plain"]
        available += ["rag"] if rag_chain is not None else []
        available += ["tools"] if tool_chain is not None else []
        self.chains: tuple[str, ...] = (*available, *(chains or {}))
        self._parts = Parts(
            graph=self.graph,
            sessions=session_repo,
            messages=message_repo,
            logger=logger,
            metrics=metrics,
            limits=self.limits,
            models=self.models,
            chains=self.chains,
            selector=selector,
            create_unknown_sessions=create_unknown_sessions,
            callbacks=(MetricsHandler(metrics),),
            index_probe=index_probe,
        )
        self._runs: RunManager[Outcome] = RunManager(limit=self.limits.active_runs)

    @property
    def active_runs(self) -> int:
        """How many answers are being made now."""
        return self._runs.active

    async def chat(self, request: ChatRequest, *, call: CallContext | None = None) -> ChatResponse:
        """Answer one message; the model sees it, its context and no history unless asked."""
        return await self._whole(request, call)

    def stream_chat(
        self, request: ChatRequest, *, call: CallContext | None = None
    ) -> Stream[ChatChunk]:
        """`chat`, streamed. Work begins at the first read; the caller closes the stream.

        Errors are raised by the stream. Closing it early cancels the run, waits until the
        provider has been left, and stores the turn as cancelled.
        """
        return Stream.from_iterator(self._chunks(request, call))

    async def multi_turn_chat(
        self, request: MultiTurnChatRequest, *, call: CallContext | None = None
    ) -> ChatResponse:
        """Answer a conversation; the session's history comes before the messages given."""
        return await self._whole(request, call)

    def stream_multi_turn(
        self, request: MultiTurnChatRequest, *, call: CallContext | None = None
    ) -> Stream[ChatChunk]:
        """`multi_turn_chat`, streamed; the same promises as those of `stream_chat`."""
        return Stream.from_iterator(self._chunks(request, call))

    async def drain(self) -> None:
        """Refuse new runs (SERVER_DRAINING, 503), end those under way, wait for them.

        Their readers get InternalError SERVER_STOPPED (503).
        """
        await self._runs.drain()

    async def __aenter__(self) -> Self:
        await self._end_lost_turns()
        await self._runs.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runs.__aexit__(kind, error, trace)

    async def _end_lost_turns(self) -> None:
        """End as failed what a process that died has left pending, here or on another replica."""
        limits, logger = self.limits, self._parts.logger
        oldest = datetime.now(UTC) - timedelta(seconds=limits.timeout + _LOST_AFTER)
        try:
            async with asyncio.timeout(limits.store_timeout):
                count = await self._parts.messages.fail_pending(
                    before=oldest, error_code="SERVER_STOPPED"
                )
        except Exception as error:  # noqa: BLE001 - the store's trouble is its probe's to tell
            logger.warn("Failed to end lost turns", error=error)
        else:
            if count:
                logger.warn("Ended turns of a process that died", turns=count)

    def _start(self, execution: Execution) -> Run[Outcome]:
        try:
            return self._runs.start(execution.run, name=f"chat {execution.message_id}")
        except AppError as error:
            self._parts.metrics.inc_chat_errors(error.code.lower())
            raise

    async def _whole(self, request: AnyRequest, call: CallContext | None) -> ChatResponse:
        execution = Execution(self._parts, request, call or CallContext())
        run = self._start(execution)
        try:
            outcome = await run.wait()
        finally:
            await run.leave()
        if outcome.error is not None:
            raise outcome.error
        return ChatResponse(
            message_id=outcome.message_id,
            content=outcome.content,
            token_usage=outcome.token_usage,
            metadata=outcome.metadata,
            process_time=outcome.process_time,
            tool_calls=outcome.tool_calls,
            reasoning=outcome.reasoning,
        )

    async def _chunks(
        self, request: AnyRequest, call: CallContext | None
    ) -> AsyncIterator[ChatChunk]:
        ends: tuple[StreamWriter[Piece], Stream[Piece]] = pipe(_PIPE_CAPACITY)
        writer, reader = ends
        execution = Execution(self._parts, request, call or CallContext(), writer=writer)
        run = self._start(execution)
        seq = 0
        try:
            async with reader:
                async for delta, thought in reader:
                    yield ChatChunk(
                        message_id=execution.message_id, seq=seq, delta=delta, reasoning=thought
                    )
                    seq += 1
            outcome = await run.wait()
        finally:
            await run.leave()
        # The terminal item never passes through the pipe: no slow reader can hold it up, and
        # there cannot be two of them.
        if outcome.error is not None:
            raise outcome.error
        yield ChatChunk(
            message_id=outcome.message_id,
            seq=seq,
            delta="",
            finish_reason=outcome.finish_reason,
            token_usage=outcome.token_usage,
            metadata=outcome.metadata,
            process_time=outcome.process_time,
            tool_calls=outcome.tool_calls,
        )
