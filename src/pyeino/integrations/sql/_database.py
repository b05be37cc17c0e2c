"""SqliteDatabase: one file, one writing thread, a few reading threads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from types import TracebackType
from typing import Self

from pyeino.integrations.sql._connections import MEMORY, connect, make_file, prepare
from pyeino.integrations.sql._errors import as_database_error, older_schema
from pyeino.integrations.sql._jobs import JobQueue
from pyeino.integrations.sql._migrate import schema_of
from pyeino.integrations.sql._repositories import SqlScope
from pyeino.integrations.sql._schema_state import SchemaState
from pyeino.integrations.sql._threads import DatabaseThread
from pyeino.integrations.sql._writer import Writer, serve_reads


class SqliteDatabase:
    """Sessions and messages in one SQLite file; made by `await SqliteDatabase.open(path)`.

    Close it with `async with` or `aclose()`: what was accepted is finished, then the threads
    end. Nothing blocks the event loop: writes go to one thread, which commits together what
    waits together; reads go to `readers` threads and see the last commit. A returned write
    survives the end of the process (synchronous=NORMAL); a power cut may take the last ones.
    """

    def __init__(self, path: str, *, max_waiting: int, strict: bool = False) -> None:
        """Internal; use `open`."""
        self.path = path
        self._strict = strict
        self._writes = JobQueue(max_waiting, where=path)
        # A database in memory exists within one connection only: reads go to the writer, too.
        self._reads = self._writes if path == MEMORY else JobQueue(max_waiting, where=path)
        self._writer = Writer(self._writes)
        self._threads: list[DatabaseThread] = []

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        readers: int = 2,
        max_waiting: int = 4096,
        strict: bool = False,
    ) -> SqliteDatabase:
        """Open the file at `path`, made (0600, in a 0700 folder) and migrated when needed.

        `path` may be ":memory:", which lasts as long as the object. At most `max_waiting` writes
        and as many reads wait at a time; more are refused with DATABASE_BUSY (503). With `strict`
        a returned write survives a power cut, too; each commit then waits for the disk.
        Raises ExternalError DATABASE_UNREACHABLE, DATABASE_READ_ONLY, DATABASE_FULL or
        DATABASE_CORRUPT, and InternalError DATABASE_NEWER, DATABASE_FOREIGN or DATABASE_BUSY,
        each with its remedy in `details`.
        """
        if readers < 1 or max_waiting < 1:
            raise ValueError("readers and max_waiting must be at least 1")
        database = cls(os.fspath(path), max_waiting=max_waiting, strict=strict)
        try:
            await database._start("writer", writes=True)
            for number in range(0 if database._reads is database._writes else readers):
                await database._start(f"reader-{number}", writes=False)
        except BaseException:
            await database.aclose()
            raise
        return database

    @classmethod
    async def schema(cls, path: str | os.PathLike[str]) -> SchemaState:
        """The schema of the file at `path`, which is left as it is; none when it is not there."""
        return await asyncio.to_thread(_schema_of_file, os.fspath(path))

    def scope(self, *, tenant: str = "local") -> SqlScope:
        """The repositories of one tenant; they see and write that tenant's rows only."""
        return SqlScope(self._reads, self._writes, tenant=tenant)

    @property
    def commits(self) -> int:
        """How many transactions have been committed since the file was opened."""
        return self._writer.commits

    @property
    def waiting(self) -> int:
        """How many calls wait for the database now; for a gauge."""
        shared = self._reads is self._writes
        return self._writes.waiting + (0 if shared else self._reads.waiting)

    async def check(self) -> None:
        """Return when both kinds of thread answer and the schema is ours; for a readiness probe."""
        state = await self._reads.run(self._schema)
        if not state.is_current:
            raise older_schema(state.found, state.wanted, where=self.path)
        await self._writes.run(self._schema)

    async def aclose(self) -> None:
        """Refuse new calls, finish the accepted ones, end and join the threads; idempotent."""
        self._writes.close(1)
        if self._reads is not self._writes:
            self._reads.close(len(self._threads))
        for thread in self._threads:
            await thread.join()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _start(self, name: str, *, writes: bool) -> None:
        thread = DatabaseThread(
            f"pyeino-sqlite-{name}",
            open_connection=self._open_writer if writes else self._open_reader,
            serve=self._writer.serve if writes else self._serve_reads,
            where=self.path,
        )
        self._threads.append(thread)
        await thread.start()

    def _open_writer(self) -> sqlite3.Connection:
        make_file(self.path)
        connection = connect(self.path)
        try:
            prepare(connection, where=self.path, strict=self._strict)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_reader(self) -> sqlite3.Connection:
        return connect(self.path, read_only=True)

    def _schema(self, connection: sqlite3.Connection) -> SchemaState:
        return SchemaState(found=schema_of(connection, where=self.path))

    def _serve_reads(self, connection: sqlite3.Connection) -> None:
        serve_reads(self._reads, connection)


def _schema_of_file(path: str) -> SchemaState:
    if path == MEMORY or not os.path.exists(path):
        return SchemaState(found="")
    try:
        with contextlib.closing(connect(path, read_only=True)) as connection:
            return SchemaState(found=schema_of(connection, where=path))
    except sqlite3.Error as error:
        raise as_database_error(error, where=path) from error
