"""What the threads of an SQLite file do: one writes, with group commit, the others read."""

from __future__ import annotations

import sqlite3
from queue import Empty

from pyeino.integrations.sql._jobs import Job, JobQueue

MAX_BATCH = 256


class Writer:
    """Runs the jobs of its queue, as many as are waiting in one transaction.

    A job is answered only after the transaction that holds it has been committed. Each job has
    a savepoint: when it fails, its own changes are undone and the others are committed. When
    the transaction itself fails (disk full, say), every job in it fails and nothing is changed.
    """

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self.commits = 0

    def serve(self, connection: sqlite3.Connection) -> None:
        """Work until the queue is closed and empty."""
        jobs = self._queue.jobs
        closing = False
        while not closing:
            first = jobs.get()
            if first is None:
                break
            batch = [first]
            while len(batch) < MAX_BATCH:
                try:
                    following = jobs.get_nowait()
                except Empty:
                    break
                if following is None:
                    closing = True
                    break
                batch.append(following)
            self._commit(connection, [job for job in batch if not job.abandoned])

    def _commit(self, connection: sqlite3.Connection, batch: list[Job]) -> None:
        if not batch:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                _attempt(connection, job)
            connection.execute("COMMIT")
            self.commits += 1
        except sqlite3.Error as error:
            _undo(connection)
            for job in batch:
                job.error = job.error or error
        self._queue.settle(batch)


def _attempt(connection: sqlite3.Connection, job: Job) -> None:
    """Do one job inside the open transaction; raises only when the transaction is lost."""
    connection.execute("SAVEPOINT job")
    try:
        job.value = job.work(connection)
    except Exception as error:
        job.error = error
        if not connection.in_transaction:
            # SQLite has rolled back everything by itself, as it does when the disk is full.
            raise sqlite3.OperationalError("the transaction was lost") from error
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")


def _undo(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        # The next BEGIN will tell its own callers; these ones get the first error.
        error.add_note("while rolling back")


def serve_reads(queue: JobQueue, connection: sqlite3.Connection) -> None:
    """Do one job of `queue` after the other, each on one snapshot, until it is closed and empty."""
    while (job := queue.jobs.get()) is not None:
        if job.abandoned:
            continue
        try:
            connection.execute("BEGIN")
            job.value = job.work(connection)
        except Exception as error:  # noqa: BLE001 - it is handed to whoever waits for the job
            job.error = error
        _undo(connection)  # nothing was changed: this only lets go of the snapshot
        queue.settle([job])
