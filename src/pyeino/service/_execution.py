"""Execution: one request on its way through check, choice, store, chain and outcome."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from pyeino.callbacks import Handler
from pyeino.components import ModelInfo, ModelOptions
from pyeino.compose import Compiled, RunOptions
from pyeino.errors import AppError, InternalError
from pyeino.monitoring import Logger, Metrics
from pyeino.schema import Message, Role
from pyeino.service._budget import Spending
from pyeino.service._history import TurnRecord
from pyeino.service._ids import generate_message_id
from pyeino.service._inputs import RAGInput
from pyeino.service._limits import ServiceLimits
from pyeino.service._outcome import Answer, Outcome, as_chain_error, timeout_error
from pyeino.service._rag import IndexProbe
from pyeino.service._records import CallContext, ChatOptions, ChatRequest
from pyeino.service._report import (
    Report,
    Stage,
)
from pyeino.service._runs import Run, StopReason, stopped_error
from pyeino.service._selection import (
    AUTO,
    RAG,
    ChainFacts,
    Selection,
    Selector,
    names_documents,
)
from pyeino.service._transcript import to_messages
from pyeino.service._turn import Turn
from pyeino.service._validation import DEFAULT_MODEL, AnyRequest, check_request
from pyeino.stores import MessageRepository, MessageStatus, SessionRepository
from pyeino.streams import StreamWriter

_PROBE_SECONDS = 5.0

Piece = tuple[str, str]
"""A piece of a streamed answer: of its text, and of the model's reasoning; one may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What every execution of a service works with."""

    graph: Compiled[Turn, Message]
    sessions: SessionRepository
    messages: MessageRepository
    logger: Logger
    metrics: Metrics
    limits: ServiceLimits
    models: tuple[ModelInfo, ...]
    chains: tuple[str, ...]
    selector: Selector
    create_unknown_sessions: bool
    callbacks: tuple[Handler, ...]
    index_probe: IndexProbe | None = None


class _ReaderGone(Exception):
    """The pipe has no reader any more."""


class Execution:
    """One run of one request. `run` gives the outcome in every case and raises nothing.

    With a `writer` the answer is streamed into it, piece by piece; it is closed at the end.
    """

    def __init__(
        self,
        parts: Parts,
        request: AnyRequest,
        call: CallContext,
        *,
        writer: StreamWriter[Piece] | None = None,
    ) -> None:
        self._parts = parts
        self._request = request
        self._options = request.options or ChatOptions()
        self._call = call
        self._writer = writer
        self._answer = Answer()
        self._selection: Selection | None = None
        self._stage = Stage.CHECK
        self._spending = Spending(call.budget)
        self._session_id = request.session_id or ""
        self._record = TurnRecord(
            parts.sessions,
            parts.messages,
            logger=parts.logger,
            metrics=parts.metrics,
            timeout=parts.limits.store_timeout,
        )
        self.message_id = call.message_id or generate_message_id()

    async def run(self, run: Run[Outcome]) -> Outcome:
        """Check, choose, store, answer; then store the outcome and tell how it went."""
        started = time.perf_counter()
        error: AppError | None = None
        status = MessageStatus.COMPLETED
        try:
            await self._answer_in_time()
        except _ReaderGone:
            status = MessageStatus.CANCELLED
        except asyncio.CancelledError as cancel:
            error = _error_of_cancel(run, cancel)
            status = MessageStatus.FAILED if error else MessageStatus.CANCELLED
        except Exception as failure:  # noqa: BLE001 - it is the outcome, told to the caller
            status, error = MessageStatus.FAILED, as_chain_error(failure)
        run.seal()
        outcome = self._outcome(status, error, time.perf_counter() - started)
        try:
            await self._close(outcome)
        except asyncio.CancelledError:
            # Only the owner's own end can still cancel here; the outcome is stored by now, and
            # the run ends with this function, which is all that the cancel wants.
            pass
        finally:
            if self._writer is not None:
                self._writer.close()
        if self._record.degraded:
            outcome.metadata["degraded"] = [*outcome.metadata.get("degraded", ()), "history"]
        self._tell(outcome)
        return outcome

    async def _close(self, outcome: Outcome) -> None:
        completed = outcome.status is MessageStatus.COMPLETED
        late = outcome.error is not None and outcome.error.code == "TIMEOUT"
        given_up = late or outcome.status is MessageStatus.CANCELLED
        asked = self._stage is Stage.EXECUTION
        try:
            await self._spending.settle(
                self._answer, completed=completed, given_up=given_up and asked
            )
        except Exception as error:  # noqa: BLE001 - the answer is there: this is not its failure
            self._parts.logger.error("Failed to settle tokens", error=error)
        finally:
            await self._record.close(self._session_id, outcome)

    async def _answer_in_time(self) -> None:
        parts = self._parts
        check_request(self._request, self._call, limits=parts.limits, models=parts.models)
        await self._reserve()
        seconds = self._options.timeout or parts.limits.timeout
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                turn = await self._prepare()
                await self._run_chain(turn)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise timeout_error(seconds=seconds, cause=error) from error

    async def _reserve(self) -> None:
        self._stage = Stage.BUDGET
        await self._spending.reserve(
            self._request, options=self._options, callers=self._call.model_options
        )

    async def _prepare(self) -> Turn:
        """Choose the chain, put the conversation together, store that it has begun."""
        selection = await self._select()
        self._stage = Stage.HISTORY
        request, options, parts = self._request, self._options, self._parts
        by_default = "none" if isinstance(request, ChatRequest) else "session"
        given = _messages_of(request)
        create = parts.create_unknown_sessions or not self._session_id
        history: tuple[Message, ...] = ()
        if self._session_id and (options.history or by_default) == "session":
            history = await self._record.load_history(
                self._session_id,
                user_id=request.user_id,
                limit=parts.limits.history_messages,
                may_be_new=create,
            )
        self._session_id = self._session_id or generate_message_id()
        if self._call.store:
            await self._record.open(
                self._session_id,
                user_id=request.user_id,
                messages=given,
                metadata=options.metadata or {},
                answer_id=self.message_id,
                create=create,
            )
        self._stage = Stage.EXECUTION
        return Turn(
            user_id=request.user_id,
            session_id=self._session_id,
            message_id=self.message_id,
            message=_question_of(given),
            messages=(*history, *given),
            selection=selection,
            context=request.context or {},
            tools=options.tools,
            top_k=options.top_k,
            score_threshold=options.score_threshold,
        )

    async def _select(self) -> Selection:
        self._stage = Stage.SELECTION
        facts = ChainFacts(
            asked=self._options.chain,
            tools_asked=bool(self._options.tools),
            documents_named=names_documents(self._request.context),
            index_hit=await self._index_has_something(),
            available=self._parts.chains,
        )
        try:
            selection = self._parts.selector(facts)
        except AppError:
            raise
        except Exception as error:
            raise InternalError(
                "CHAIN_SELECTION_ERROR", "No chain could be selected", cause=error
            ) from error
        if selection.chain not in self._parts.chains:
            raise InternalError(
                "CHAIN_SELECTION_ERROR",
                "No chain could be selected",
                cause=LookupError(f"the selector chose {selection.chain!r}, which is not there"),
            )
        self._selection = selection
        self._parts.metrics.inc_chat_requests(selection.chain)
        return selection

    async def _index_has_something(self) -> bool:
        """Rule 4 of the selection, looked up only when it can decide."""
        probe, request, options = self._parts.index_probe, self._request, self._options
        explicit = options.chain != AUTO or options.tools or names_documents(request.context)
        callers = self._call.model_options
        if callers is not None and callers.tools:
            return False  # the caller brings tools of its own: the model has to see the question
        if probe is None or explicit or RAG not in self._parts.chains:
            return False
        given = _messages_of(request)
        question = RAGInput(
            user_id=request.user_id,
            session_id=self._session_id,
            message_id=self.message_id,
            message=_question_of(given),
            messages=given,
            context=request.context or {},
            top_k=options.top_k,
            score_threshold=options.score_threshold,
        )
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                return await probe(question)
        except Exception as error:  # noqa: BLE001 - without its answer the plain chain answers
            self._parts.logger.warn("Index probe failed", error=error)
            self._answer.degraded.append("index")
            return False

    async def _run_chain(self, turn: Turn) -> None:
        graph, answer, writer = self._parts.graph, self._answer, self._writer
        options = RunOptions.of(self._model_options(), callbacks=self._parts.callbacks)
        if writer is None:
            answer.add(await graph.invoke(turn, options=options))
            return
        async with graph.stream(turn, options=options) as chunks:
            async for chunk in chunks:
                answer.add(chunk)
                said = chunk.content or chunk.reasoning_content
                if said and await writer.send((chunk.content, chunk.reasoning_content)):
                    raise _ReaderGone

    def _model_options(self) -> ModelOptions:
        options = self._options
        own = ModelOptions(
            model=options.model, temperature=options.temperature, max_tokens=options.max_tokens
        )
        merged = own.over(self._call.model_options)
        # "default" is nobody's name: it leaves the choice to the chain.
        return replace(merged, model=None) if merged.model == DEFAULT_MODEL else merged

    @property
    def _model(self) -> str:
        """The model that answered, as far as it is known."""
        asked = self._options.model
        if self._answer.model:
            return self._answer.model
        if asked and asked != DEFAULT_MODEL:
            return asked
        return self._parts.models[0].id if self._parts.models else DEFAULT_MODEL

    def _outcome(
        self, status: MessageStatus, error: AppError | None, process_time: float
    ) -> Outcome:
        answer = self._answer
        reason = answer.finish_reason or "stop" if status is MessageStatus.COMPLETED else ""
        if status is MessageStatus.CANCELLED:
            reason = "cancelled"
        metadata: dict[str, Any] = {"session_id": self._session_id}
        if self._selection is not None:
            metadata["chain"] = self._selection.chain
            metadata["chain_reason"] = self._selection.reason
        metadata["model"] = self._model
        metadata["finish_reason"] = reason
        if answer.applied:
            metadata["applied"] = answer.applied
        if answer.citations is not None:
            metadata["citations"] = answer.citations
        if answer.degraded:
            metadata["degraded"] = list(answer.degraded)
        if answer.made_calls:
            metadata["tool_calls"] = answer.made_calls
        return Outcome(
            status=status,
            message_id=self.message_id,
            content=answer.content,
            finish_reason=reason,
            token_usage=answer.token_usage,
            metadata=metadata,
            process_time=process_time,
            tool_calls=answer.tool_calls if status is MessageStatus.COMPLETED else (),
            reasoning=answer.reasoning,
            error=error,
        )

    def _tell(self, outcome: Outcome) -> None:
        """Metrics and one log line, whatever the outcome is."""
        report = Report(
            stage=self._stage,
            user_id=self._request.user_id,
            request_id=self._call.request_id,
            usage=self._answer.usage,
            model=self._model,
        )
        report.tell(outcome, logger=self._parts.logger, metrics=self._parts.metrics)


def _error_of_cancel(run: Run[Outcome], cancel: asyncio.CancelledError) -> AppError | None:
    """None when the reader has left, which is no error; else what the caller is told."""
    if run.stop_reason is StopReason.READER_LEFT:
        return None
    task = asyncio.current_task()
    if run.stop_reason is None and (task is None or not task.cancelling()):
        return as_chain_error(cancel)  # nobody cancelled this run: a part of the chain did
    return stopped_error()


def _question_of(messages: tuple[Message, ...]) -> str:
    """The text of the user's last message."""
    return next(one.content for one in reversed(messages) if one.role is Role.USER)


def _messages_of(request: AnyRequest) -> tuple[Message, ...]:
    if isinstance(request, ChatRequest):
        return (Message.user(request.message),)
    return to_messages(request.messages)
