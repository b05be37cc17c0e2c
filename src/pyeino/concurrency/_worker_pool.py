"""WorkerPool: at most so many jobs at once, each with exactly one result."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from pyeino.concurrency._errors import JobCancelledError
from pyeino.concurrency._jobs import Job, Result
from pyeino.concurrency._wakeups import Wakeups

DataT = TypeVar("DataT")
ResultT = TypeVar("ResultT")


class WorkerPool(Generic[DataT, ResultT]):
    """Runs up to `workers` jobs at once; used as `async with WorkerPool(4) as pool`.

    Up to 2 × workers jobs wait, and up to 2 × workers results: when nobody reads results, no more
    jobs are begun and `submit` soon says False. Each accepted job gives one result, whether it
    returns, raises or is cancelled; a job that fails stops nothing else. A job runs in a task of
    its own, in the context (request id, …) of whoever submitted it. The pool owns these tasks:
    leaving the `async with` waits for all of them, after an error it cancels them first.
    """

    def __init__(self, workers: int) -> None:
        """`workers` is at least 1, else ValueError."""
        if workers < 1:
            raise ValueError(f"WorkerPool needs at least 1 worker, found {workers}")
        self._workers = workers
        self._bound = 2 * workers
        self._queue: deque[tuple[Job[DataT, ResultT], contextvars.Context]] = deque()
        self._running: dict[asyncio.Task[ResultT], Job[DataT, ResultT]] = {}
        self._results: deque[Result[ResultT]] = deque()
        self._changed = Wakeups()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close(drain=error is None)

    @property
    def workers(self) -> int:
        """How many jobs run at once."""
        return self._workers

    @property
    def closed(self) -> bool:
        """True once `close` was called: then `submit` says False for good."""
        return self._closed

    @property
    def waiting(self) -> int:
        """How many accepted jobs have not begun."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """How many jobs run."""
        return len(self._running)

    def submit(self, job: Job[DataT, ResultT]) -> bool:
        """Take `job` now; False when the queue is full or the pool is closed (see `closed`)."""
        if self._closed or len(self._queue) >= self._bound:
            return False
        self._queue.append((job, contextvars.copy_context()))
        self._begin_more()
        return True

    async def put(self, job: Job[DataT, ResultT]) -> bool:
        """Take `job` as soon as there is room; False when the pool is or gets closed.

        Somebody else has to read the results meanwhile, or the room may never come.
        """
        while not self.submit(job):
            if self._closed:
                return False
            await self._changed.wait()
        return True

    def results(self) -> AsyncIterator[Result[ResultT]]:
        """The results in the order in which jobs end; it ends when the pool is closed and empty.

        Several readers share them: each result goes to one. Results that nobody has read when the
        pool closes can be read afterwards.
        """
        return _Results(self)

    async def close(
        self,
        *,
        drain: bool = True,
        timeout: float | None = None,  # noqa: ASYNC109 (ends the draining, not the close)
    ) -> None:
        """Take no more jobs, and return when every accepted one has its result.

        `drain=True` finishes them, but cancels what is left after `timeout` seconds; `drain=False`
        cancels at once what runs, and what waits. It never waits for somebody to read. Calling it
        again is fine, and may cancel what an earlier call drains; a caller that is cancelled takes
        the jobs with it. Called by a job of this pool it does not wait.
        """
        self._closed = True
        self._begin_more()
        self._changed.wake_all()
        if not drain:
            self._cancel_all()
        if asyncio.current_task() in self._running:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._emptied()
        except TimeoutError:
            await self._cancelled_and_emptied()
        except asyncio.CancelledError:
            await self._cancelled_and_emptied()
            raise

    async def _emptied(self) -> None:
        while self._queue or self._running:
            await self._changed.wait()

    async def _cancelled_and_emptied(self) -> None:
        """Cancel everything and wait for its end, however often this caller is cancelled."""
        again: asyncio.CancelledError | None = None
        self._cancel_all()
        while self._running:
            try:
                await self._emptied()
            except asyncio.CancelledError as error:
                again = error
        if again is not None:
            raise again

    def _cancel_all(self) -> None:
        dropped, self._queue = self._queue, deque()
        for job, _ in dropped:
            self._results.append(Result(id=job.id, error=_cancelled(job.id)))
        for task in self._running:
            task.cancel()
        self._changed.wake_all()

    def _begin_more(self) -> None:
        while self._queue and len(self._running) < self._workers:
            # Once closed, what is left is bounded and nobody may be reading: finish it all.
            if not self._closed and len(self._results) + len(self._running) >= self._bound:
                return
            job, context = self._queue.popleft()
            loop = asyncio.get_running_loop()
            task = loop.create_task(_run(job), name=f"job {job.id}", context=context)
            self._running[task] = job
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[ResultT]) -> None:
        job = self._running.pop(task)
        if task.cancelled():
            result: Result[ResultT] = Result(id=job.id, error=_cancelled(job.id))
        elif (error := task.exception()) is not None:
            result = Result(id=job.id, error=error)
        else:
            result = Result(id=job.id, data=task.result())
        self._results.append(result)
        self._begin_more()
        self._changed.wake_all()

    async def _next_result(self) -> Result[ResultT]:
        while not self._results:
            if self._closed and not self._queue and not self._running:
                raise StopAsyncIteration
            await self._changed.wait()
        result = self._results.popleft()
        self._begin_more()
        self._changed.wake_all()
        return result


class _Results(AsyncIterator[Result[ResultT]]):
    """The results of a pool; nothing is lost when it is dropped half-way."""

    def __init__(self, pool: WorkerPool[DataT, ResultT]) -> None:
        self._next = pool._next_result  # pyright: ignore[reportPrivateUsage]  # its own half

    async def __anext__(self) -> Result[ResultT]:
        return await self._next()


async def _run(job: Job[DataT, ResultT]) -> ResultT:
    return await job.fn(job.data)


def _cancelled(job_id: str) -> JobCancelledError:
    return JobCancelledError(f"the job {job_id!r} was cancelled before it had ended")
