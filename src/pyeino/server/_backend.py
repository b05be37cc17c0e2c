"""What the routes work with: the service and what surrounds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pyeino.components import ModelInfo
from pyeino.concurrency import SingleFlight
from pyeino.monitoring import Logger, LogLevel, Metrics, Tracing
from pyeino.server._admission import Gate
from pyeino.server._doorkeeper import Doorkeeper
from pyeino.server._options import ServerOptions
from pyeino.server._sockets import Sockets
from pyeino.service import (
    CallContext,
    ChatChunk,
    ChatRequest,
    ChatResponse,
    Embeddings,
    MultiTurnChatRequest,
    Sessions,
)
from pyeino.streams import Stream

Probe = Callable[[], Awaitable[None]]
"""Raises when what it stands for is not ready."""


class ChatBackend(Protocol):
    """What the routes need of a chat service; `pyeino.service.ChatService` is one."""

    @property
    def models(self) -> Sequence[ModelInfo]:
        """The models that can be asked for by their id."""
        ...

    @property
    def sessions(self) -> Sessions:
        """The conversations of each user."""
        ...

    @property
    def embeddings(self) -> Embeddings:
        """Texts to vectors, where there is a model for it."""
        ...

    async def chat(self, request: ChatRequest, *, call: CallContext | None = None) -> ChatResponse:
        """Answer one message."""
        ...

    def stream_chat(
        self, request: ChatRequest, *, call: CallContext | None = None
    ) -> Stream[ChatChunk]:
        """Answer one message, streamed; closing the stream cancels the answer."""
        ...

    async def multi_turn_chat(
        self, request: MultiTurnChatRequest, *, call: CallContext | None = None
    ) -> ChatResponse:
        """Answer a conversation."""
        ...

    def stream_multi_turn(
        self, request: MultiTurnChatRequest, *, call: CallContext | None = None
    ) -> Stream[ChatChunk]:
        """Answer a conversation, streamed; closing the stream cancels the answer."""
        ...


class Siblings(Protocol):
    """The processes that answer on the same port, this one among them."""

    async def scrape(self, *, openmetrics: bool = False) -> tuple[bytes, str]:
        """The metrics of all of them: body and content type."""
        ...

    async def set_log_level(self, level: LogLevel) -> None:
        """Set the level of the log in all of them."""
        ...


@dataclass(slots=True, kw_only=True)
class Backend:
    """The service, its surroundings, and whether the server is on its way out.

        `gate` counts the requests under way, `doorkeeper` says whose they are; `sockets` are the
    from pyeino.concurrency import SingleFlight
    from pyeino.monitoring import Logger, LogLevel, Metrics, Tracing
    """

    service: ChatBackend
    options: ServerOptions
    metrics: Metrics
    logger: Logger
    gate: Gate
    doorkeeper: Doorkeeper
    sockets: Sockets = field(default_factory=Sockets)
    probes: Mapping[str, Probe] = field(default_factory=dict[str, Probe])
    tracing: Tracing | None = None
    siblings: Siblings | None = None
    draining: bool = False
    openapi: bytes = b"{}"
    readiness: SingleFlight[Any] = field(default_factory=SingleFlight[Any])
