"""The turn's rows in the store: opened before the run, given their outcome after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pyeino.errors import AppError, ErrorType, ExternalError
from pyeino.monitoring import Logger, Metrics
from pyeino.schema import Message, Role
from pyeino.service._finally import finish_anyway
from pyeino.service._ids import generate_message_id
from pyeino.service._outcome import Outcome
from pyeino.service._transcript import from_row, to_metadata, without_orphans
from pyeino.stores import (
    MessageRepository,
    MessageStatus,
    MessageUsage,
    NewMessage,
    SessionRepository,
    StoredMessage,
    TurnOutcome,
)

_TITLE_LENGTH = 80
Step = Callable[[], Awaitable[None]]
_OF_THE_REQUEST = (ErrorType.NOT_FOUND, ErrorType.VALIDATION)


class TurnRecord:
    """The rows of one turn. Saving that fails is logged and counted; the answer goes on.

    What the store says about the request itself (an unknown session, an id that is taken) is
    raised: that is not a failure of saving.
    """

    def __init__(
        self,
        sessions: SessionRepository,
        messages: MessageRepository,
        *,
        logger: Logger,
        metrics: Metrics,
        timeout: float,
    ) -> None:
        self._sessions = sessions
        self._messages = messages
        self._logger = logger
        self._metrics = metrics
        self._timeout = timeout
        self._user_id = ""
        self._begun = False
        self.degraded = False

    async def load_history(
        self, session_id: str, *, user_id: str, limit: int, may_be_new: bool
    ) -> tuple[Message, ...]:
        """The last messages of the session, from a question on; () for one that `may_be_new`.

        Answering without the history that was asked for would be wrong without being seen, so a
        store that fails here fails the request: its own error, or ExternalError
        HISTORY_UNAVAILABLE (503).
        """
        try:
            async with asyncio.timeout(self._timeout):
                rows = await self._messages.history(session_id, user_id=user_id, limit=limit)
        except AppError as error:
            if may_be_new and error.code == "SESSION_NOT_FOUND":
                return ()
            raise
        except Exception as error:
            raise ExternalError(
                "HISTORY_UNAVAILABLE",
                "The history of the session cannot be read",
                details="Try again in a moment.",
                cause=error,
                http_status=503,
            ) from error
        return _from_first_question(rows)

    async def open(
        self,
        session_id: str,
        *,
        user_id: str,
        messages: Sequence[Message],
        metadata: dict[str, Any],
        answer_id: str,
        create: bool,
    ) -> None:
        """Store the session, what was asked and a pending answer; whole even when cancelled.

        `metadata` is stored with the last of `messages`.
        """
        self._user_id = user_id
        last = len(messages) - 1
        rows = [
            NewMessage(
                id=generate_message_id(),
                role=str(one.role),
                content=one.content,
                metadata={**(metadata if index == last else {}), **to_metadata(one)},
            )
            for index, one in enumerate(messages)
        ]

        async def store() -> None:
            if create:
                title = _title_of(messages)
                await self._sessions.ensure(session_id, user_id=user_id, title=title)
            await self._messages.begin_turn(
                session_id, user_id=user_id, messages=rows, answer_id=answer_id
            )
            self._begun = True

        await finish_anyway(
            self._guarded(store, session_id, answer_id), name=f"open turn {answer_id}"
        )

    async def close(self, session_id: str, outcome: Outcome) -> None:
        """Give the turn its outcome, if it was opened; whole even when cancelled."""
        if not self._begun:
            return
        usage = outcome.token_usage
        stored = TurnOutcome(
            status=outcome.status,
            content=outcome.content,
            finish_reason=outcome.finish_reason,
            error_code=outcome.error.code if outcome.error else "",
            usage=MessageUsage(
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                total_tokens=usage.total_tokens,
            )
            if usage
            else None,
            metadata=outcome.metadata,
        )

        async def store() -> None:
            await self._messages.finish_turn(
                outcome.message_id, user_id=self._user_id, outcome=stored
            )

        await finish_anyway(
            self._guarded(store, session_id, outcome.message_id, refuse=False),
            name=f"close turn {outcome.message_id}",
        )

    async def _guarded(
        self, step: Step, session_id: str, message_id: str, *, refuse: bool = True
    ) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await step()
        except Exception as error:
            if refuse and isinstance(error, AppError) and error.type in _OF_THE_REQUEST:
                raise
            self.degraded = True
            self._metrics.inc_chat_errors("message_history_error")
            self._logger.warn(
                "Failed to save message history",
                error=error,
                user_id=self._user_id,
                session_id=session_id,
                message_id=message_id,
            )


def _title_of(messages: Sequence[Message]) -> str:
    """The first line of the first question, cut."""
    question = next((one.content for one in messages if one.role is Role.USER), "").strip()
    line = question.splitlines()[0] if question else ""
    return line if len(line) <= _TITLE_LENGTH else line[: _TITLE_LENGTH - 1] + "…"


def _from_first_question(rows: Sequence[StoredMessage]) -> tuple[Message, ...]:
    """The rows as messages, without an answer whose question the limit has cut off."""
    found = [
        from_row(row.role, row.content, row.metadata)
        for row in rows
        if row.status is not MessageStatus.FAILED
    ]
    messages = [
        one
        for one in without_orphans(found)
        if one.content or one.tool_calls or one.role is Role.TOOL
    ]
    start = next((i for i, one in enumerate(messages) if one.role is not Role.ASSISTANT), None)
    return () if start is None else tuple(messages[start:])
