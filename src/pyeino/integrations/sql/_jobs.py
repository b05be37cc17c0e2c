"""Work that is handed from an event loop to a database thread, and its result handed back."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from pyeino.integrations.sql._errors import as_database_error, closed, overloaded

ResultT = TypeVar("ResultT")
Work = Callable[[sqlite3.Connection], ResultT]


@dataclass(slots=True, eq=False)
class Job:
    """One piece of work, the future that waits for it, and how it went."""

    work: Work[Any]
    future: asyncio.Future[Any]
    value: Any = None
    error: Exception | None = None

    @property
    def abandoned(self) -> bool:
        """Nobody waits any more; work that has not begun need not begin."""
        return self.future.cancelled()


class JobQueue:
    """A bounded queue from event loops to database threads.

    At most `limit` jobs wait or run at a time; one more is refused with DATABASE_BUSY (503)
    instead of piling up. After `close` every new job is refused with DATABASE_CLOSED.
    """

    def __init__(self, limit: int, *, where: str) -> None:
        self._limit = limit
        self._where = where
        self._count = threading.Lock()  # event loops of several threads may share a database
        self._waiting = 0
        self._closed = False
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()

    @property
    def waiting(self) -> int:
        """How many calls wait for this queue's threads, or are being served by them."""
        return self._waiting

    async def run(self, work: Work[ResultT]) -> ResultT:
        """Have `work` done by a thread of this queue and return what it returned.

        When the caller is cancelled, work that has not begun is dropped; work that has begun is
        finished and committed all the same.
        """
        if self._closed:
            raise closed()
        with self._count:
            if self._waiting >= self._limit:
                raise overloaded(self._waiting)
            self._waiting += 1
        job = Job(work, asyncio.get_running_loop().create_future())
        self.jobs.put(job)
        try:
            result: ResultT = await job.future
        finally:
            with self._count:
                self._waiting -= 1
        return result

    def close(self, threads: int) -> None:
        """Refuse new jobs; `threads` threads end after what has been accepted is done."""
        if not self._closed:
            self._closed = True
            for _ in range(threads):
                self.jobs.put(None)

    def settle(self, jobs: Sequence[Job]) -> None:
        """Called in a database thread: hand the results of `jobs` back to their event loops."""
        start = 0
        for index in range(1, len(jobs) + 1):
            loop = jobs[start].future.get_loop()
            if index == len(jobs) or jobs[index].future.get_loop() is not loop:
                # A closed loop has nobody left who waits.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._deliver, jobs[start:index])
                start = index

    def _deliver(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.future.done():
                continue
            if job.error is None:
                job.future.set_result(job.value)
            else:
                job.future.set_exception(as_database_error(job.error, where=self._where))
