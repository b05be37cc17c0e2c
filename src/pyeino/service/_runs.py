"""RunManager: every run of the service has one owner, which ends it and waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from types import TracebackType
from typing import Generic, Self, TypeVar

from pyeino.errors import DeclarationError, InternalError, RateLimitError, as_app_error

OutcomeT = TypeVar("OutcomeT")


class StopReason(Enum):
    """Why a run was told to end before its end."""

    READER_LEFT = auto()
    SERVER_STOPPED = auto()


def stopped_error() -> InternalError:
    """The server ended the run (503)."""
    return InternalError(
        "SERVER_STOPPED",
        "The server was stopped before the answer was complete",
        metadata={"retry_after": 1},
        http_status=503,
    )


class Run(Generic[OutcomeT]):
    """One run: a task that belongs to the manager, and why it was stopped, if it was.

    The body of a run gives its outcome in every case; the run has no other way to tell.
    """

    def __init__(
        self,
        body: Callable[[Run[OutcomeT]], Awaitable[OutcomeT]],
        *,
        on_end: Callable[[Run[OutcomeT]], None],
    ) -> None:
        self._body = body
        self._on_end = on_end
        self._task: asyncio.Task[None] | None = None
        self._outcome: OutcomeT | None = None
        self._broken: Exception | None = None
        self._sealed = False
        self.stop_reason: StopReason | None = None

    def begin(self, group: asyncio.TaskGroup, *, name: str) -> None:
        """Start the task in `group`."""
        self._task = group.create_task(self._work(), name=name)
        # A task that is cancelled before its first step never gets to its own code.
        self._task.add_done_callback(lambda _: self._on_end(self))

    def seal(self) -> None:
        """From now on the outcome is decided, and `stop` comes too late."""
        self._sealed = True

    def stop(self, reason: StopReason) -> None:
        """Tell the run to end. The first reason counts; an ended run stays as it is."""
        task = self._task
        if task is None or self._sealed or self.stop_reason is not None:
            return
        self.stop_reason = reason
        task.cancel()

    async def wait(self) -> OutcomeT:
        """The outcome, when it is there. Cancelling the caller does not cancel the run."""
        await self.settled()
        if self._broken is not None:
            raise as_app_error(self._broken)
        if self._outcome is None:
            # Stopped between its start and the first step of its task.
            raise stopped_error()
        return self._outcome

    async def leave(self) -> None:
        """Nobody reads any more: stop the run and wait until it has cleaned up."""
        self.stop(StopReason.READER_LEFT)
        await self.settled()

    async def settled(self) -> None:
        """Return when the run has ended, however."""
        task = self._task
        if task is not None and not task.done():
            await asyncio.wait((task,))

    async def _work(self) -> None:
        try:
            self._outcome = await self._body(self)
        except Exception as error:  # noqa: BLE001 - one broken run must not end its siblings
            self._broken = error
        finally:
            self._on_end(self)


class RunManager(Generic[OutcomeT]):
    """Owns runs: `async with manager:` leaves only when every run has ended.

    At most `limit` runs are under way at a time.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._group: asyncio.TaskGroup | None = None
        self._runs: set[Run[OutcomeT]] = set()
        self._draining = False

    @property
    def active(self) -> int:
        """How many runs are under way."""
        return len(self._runs)

    def start(
        self, body: Callable[[Run[OutcomeT]], Awaitable[OutcomeT]], *, name: str
    ) -> Run[OutcomeT]:
        """Start a run of `body`.

        InternalError SERVER_DRAINING (503) once draining has begun, RateLimitError QUEUE_FULL
        (429) at the limit, DeclarationError when the manager has not been entered.
        """
        if self._draining:
            raise InternalError(
                "SERVER_DRAINING",
                "The server is shutting down and takes no new requests",
                metadata={"retry_after": 1},
                http_status=503,
            )
        if self._group is None:
            raise DeclarationError(
                "the service is not open", remedy="use it inside `async with service:`"
            )
        if len(self._runs) >= self._limit:
            raise RateLimitError(
                "QUEUE_FULL",
                f"{self._limit} requests are being answered already",
                details="Try again in a moment.",
                metadata={"retry_after": 1},
            )

        run = Run(body, on_end=self._runs.discard)
        self._runs.add(run)
        run.begin(self._group, name=name)
        return run

    async def drain(self) -> None:
        """Take no new runs, stop those under way and wait until they have ended."""
        self._draining = True
        runs = list(self._runs)
        for run in runs:
            run.stop(StopReason.SERVER_STOPPED)
        for run in runs:
            await run.settled()

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise DeclarationError("the service is open already", remedy="enter it once")
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._draining = False
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        group = self._group
        if group is None:
            return
        self._group = None
        # The group is told of our own end only: it would wrap the caller's error in another.
        try:
            await self.drain()
        except BaseException as end:
            await group.__aexit__(type(end), end, end.__traceback__)
            raise
        await group.__aexit__(None, None, None)
