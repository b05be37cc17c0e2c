"""One conversation, wherever the service is: in this process, or behind HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Sequence
from typing import Protocol

from pyeino.service import ChatChunk, ChatOptions, ChatRequest, MessageRecord

USER = "local"
EARLIER_MESSAGES = 20


class Conversation(Protocol):
    """Questions in, answers out in pieces. `model` is who answers, "" when unknown."""

    model: str

    @property
    def session_id(self) -> str:
        """The session that the turns belong to."""
        ...

    def earlier(self) -> Sequence[MessageRecord]:
        """The last messages of the session, oldest first; none when it is new."""
        ...

    def answer(self, message: str) -> Generator[ChatChunk]:
        """The chunks of the answer to `message`; closing the generator stops the answer."""
        ...


class Session:
    """What the turns of one conversation have in common."""

    def __init__(self, session_id: str | None = None) -> None:
        # Made here, not by the service: an answer that is stopped does not say its session.
        self.session_id = session_id or f"cli-{uuid.uuid4()}"

    def request(self, message: str) -> ChatRequest:
        """The request of the next turn, which goes on with the session."""
        return ChatRequest(
            user_id=USER,
            message=message,
            session_id=self.session_id,
            options=ChatOptions(history="session"),
        )
