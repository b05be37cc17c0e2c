"""The open WebSockets of a server, so that it can end them well."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Sockets:
    """Knows the open sockets; each of them leaves by itself when it is asked to."""

    def __init__(self) -> None:
        self._open: set[asyncio.Event] = set()
        self._leaving = False
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def add(self) -> Generator[asyncio.Event]:
        """Count a socket for as long as the `with`; the event asks it to leave."""
        leave = asyncio.Event()
        if self._leaving:
            leave.set()
        self._open.add(leave)
        self._empty.clear()
        try:
            yield leave
        finally:
            self._open.discard(leave)
            if not self._open:
                self._empty.set()

    async def close(self) -> None:
        """Ask every socket to leave and wait until they have; later ones leave at once."""
        self._leaving = True
        for leave in self._open:
            leave.set()
        await self._empty.wait()
