"""A thread that owns one database connection from its opening to its close."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable

from pyeino.integrations.sql._errors import as_database_error


class DatabaseThread:
    """Opens a connection in a thread of its own, serves on it, closes it there.

    The thread is a daemon, so that a database which nobody closes cannot keep a process alive.
    """

    def __init__(
        self,
        name: str,
        *,
        open_connection: Callable[[], sqlite3.Connection],
        serve: Callable[[sqlite3.Connection], None],
        where: str,
    ) -> None:
        self._open_connection = open_connection
        self._serve = serve
        self._where = where
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def start(self) -> None:
        """Start the thread; returns when the connection is open, raises why it is not."""
        self._thread.start()
        await asyncio.shield(self._opened)

    async def join(self) -> None:
        """Wait until the connection is closed and the thread has ended; never started is ended."""
        if self._thread.ident is None:
            return
        await self._ended.wait()
        self._thread.join()  # it has said that it is at its end: this does not block

    def _run(self) -> None:
        try:
            connection = self._open_connection()
        except Exception as error:  # noqa: BLE001 - handed to whoever opens the database
            self._tell(self._fail, as_database_error(error, where=self._where))
        else:
            self._tell(self._succeed)
            with contextlib.closing(connection):
                self._serve(connection)
        finally:
            self._tell(self._ended.set)

    def _tell(self, function: Callable[..., None], *args: Exception) -> None:
        # A closed loop has nobody left who waits for this.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)

    def _succeed(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)
