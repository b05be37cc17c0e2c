"""LocalBlobStore: files of the application in a folder of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, TypeVar

from pyeino.integrations.files._errors import as_storage_error
from pyeino.integrations.files._layout import path_of, segment_of, within
from pyeino.stores import (
    MAX_BLOB_BYTES,
    BlobInfo,
    Page,
    blob_not_found,
    blob_too_large,
    check_limit,
    decode_blob_cursor,
    encode_blob_cursor,
    normal_key,
    store_closed,
)
from pyeino.streams import Stream

_LEFT_BEHIND: Final = 3_600.0
"""Seconds after which a half-written file has nobody any more who writes it."""

ResultT = TypeVar("ResultT")


class LocalBlobStore:
    """A BlobStore in a folder; made by `await LocalBlobStore.open(folder)`.

    The folder is made (0700) when it is not there. A put is written beside its place, made sure
    of on the disk and renamed, so that it is there whole or not at all, whatever dies. Several
    processes may use one folder. Files are read and written in worker threads.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """Internal; use `open`."""
        self.folder = folder
        self._files = folder / "files"
        self._unfinished = folder / "unfinished"
        self._max_bytes = max_bytes
        self._closed = False

    @classmethod
    async def open(
        cls, folder: str | os.PathLike[str], *, max_bytes: int = MAX_BLOB_BYTES
    ) -> LocalBlobStore:
        """The store in `folder`, with what is there; ExternalError when it cannot be written.

        Files that a process which died left half-written are removed after an hour.
        """
        if max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        store = cls(Path(folder), max_bytes=max_bytes)
        await store._run(store._prepare)
        return store

    async def put(self, key: str, data: bytes) -> BlobInfo:
        """Keep `data` under `key`; a cancelled put that has begun is finished all the same."""
        name, content = normal_key(key), bytes(data)
        if len(content) > self._max_bytes:
            raise blob_too_large(len(content), self._max_bytes)
        return await self._run(lambda: self._put(name, content))

    async def get(self, key: str) -> bytes:
        """The whole file."""
        path = path_of(self._files, normal_key(key))
        return await self._run(lambda: self._found(path.read_bytes))

    def stream(self, key: str, *, chunk_bytes: int = 65_536) -> Stream[bytes]:
        """The file piece by piece; the caller closes the stream."""
        if chunk_bytes < 1:
            raise ValueError("chunk_bytes must be at least 1")
        return Stream.from_iterator(self._pieces(normal_key(key), chunk_bytes))

    async def stat(self, key: str) -> BlobInfo:
        """Size and time of the file."""
        name = normal_key(key)
        return await self._run(lambda: self._info(name))

    async def exists(self, key: str) -> bool:
        """Whether there is a file under `key`."""
        path = path_of(self._files, normal_key(key))
        return await self._run(path.is_file)

    async def list(
        self, prefix: str = "", *, limit: int = 100, cursor: str | None = None
    ) -> Page[BlobInfo]:
        """Files below `prefix`, by key."""
        check_limit(limit)
        below = normal_key(prefix) if prefix else ""
        after = decode_blob_cursor(cursor) if cursor else ""
        return await self._run(lambda: self._list(below, limit, after))

    async def delete(self, key: str) -> None:
        """Remove the file."""
        path = path_of(self._files, normal_key(key))
        await self._run(lambda: _remove(path))

    async def check(self) -> None:
        """Return when the folder can be written."""
        await self._run(self._probe)

    async def close(self) -> None:
        """Refuse further calls; the files stay."""
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        if self._closed:
            raise store_closed("file storage")
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise as_storage_error(error, where=str(self.folder)) from error

    async def _pieces(self, name: str, chunk_bytes: int) -> AsyncIterator[bytes]:
        path = path_of(self._files, name)
        # Opened and closed in a thread that is waited for, whatever the reader does meanwhile.
        opening = asyncio.ensure_future(self._run(lambda: self._found(lambda: _open(path))))
        try:
            file = await asyncio.shield(opening)
            while piece := await self._run(_reader(file, chunk_bytes)):
                yield piece
        finally:
            await _close(opening)

    def _prepare(self) -> None:
        for folder in (self.folder, self._files, self._unfinished):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._probe()
        for path in self._unfinished.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _LEFT_BEHIND:
                    path.unlink()

    def _probe(self) -> None:
        path = self._unfinished / secrets.token_hex(16)
        try:
            path.write_bytes(b"x")
        finally:
            path.unlink(missing_ok=True)

    def _put(self, name: str, content: bytes) -> BlobInfo:
        path, unfinished = path_of(self._files, name), self._unfinished / secrets.token_hex(16)
        try:
            with open(unfinished, "xb", opener=_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        stat = path.stat()
        return BlobInfo(key=name, size=len(content), modified_at=_moment(stat.st_mtime))

    def _info(self, name: str) -> BlobInfo:
        stat = self._found(path_of(self._files, name).stat)
        return BlobInfo(key=name, size=stat.st_size, modified_at=_moment(stat.st_mtime))

    def _found(self, work: Callable[[], ResultT]) -> ResultT:
        try:
            return work()
        except (FileNotFoundError, NotADirectoryError) as error:
            os.stat(self._files)  # a folder that is gone is no empty store
            raise blob_not_found() from error

    def _list(self, below: str, limit: int, after: str) -> Page[BlobInfo]:
        os.stat(self._files)
        items: list[BlobInfo] = []
        for name, path in _walk(within(self._files, below), below, after):
            if len(items) == limit:
                return Page(items=tuple(items), cursor=encode_blob_cursor(items[-1].key))
            with contextlib.suppress(FileNotFoundError):  # removed since it was seen
                stat = path.stat()
                moment = _moment(stat.st_mtime)
                items.append(BlobInfo(key=name, size=stat.st_size, modified_at=moment))
        return Page(items=tuple(items), cursor=None)


def _walk(folder: Path, below: str, after: str) -> Iterator[tuple[str, Path]]:
    """Keys and files below `folder` after the key `after`, in the order of keys.

    Only folders that may hold such keys are looked into.
    """
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    found: list[tuple[str, os.DirEntry[str]]] = []
    for entry in entries:
        if (part := segment_of(entry.name, folder=entry.is_dir())) is not None:
            name = f"{below}/{part}" if below else part
            # "a/" is where the keys of a folder begin: it may stand after "a.b" and before "a0".
            found.append((f"{name}/" if entry.is_dir() else name, entry))
    for name, entry in sorted(found, key=lambda one: one[0]):
        if name.endswith("/"):
            if name > after or after.startswith(name):
                yield from _walk(Path(entry.path), name[:-1], after)
        elif name > after:
            yield name, Path(entry.path)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()


def _reader(file: BinaryIO, size: int) -> Callable[[], bytes]:
    return lambda: file.read(size)


async def _close(opening: asyncio.Future[BinaryIO]) -> None:
    """Close the file, once it is open, even when whoever wanted it has been cancelled."""
    await asyncio.wait([opening])
    if not opening.cancelled() and opening.exception() is None:
        await asyncio.to_thread(opening.result().close)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
