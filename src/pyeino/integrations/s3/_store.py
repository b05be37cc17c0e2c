"""S3BlobStore: files of the application in a bucket, through obstore.

The library's own coroutines are not used: a call of theirs that fails leaves a thread which aborts
the whole process when the interpreter ends (obstore 0.12.1). Its blocking calls, in worker
threads, do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict, TypeVar, cast

from pyeino.errors import MissingDependencyError
from pyeino.integrations.s3._address import S3Address
from pyeino.integrations.s3._errors import KNOWN, as_storage_error
from pyeino.stores import (
    MAX_BLOB_BYTES,
    BlobInfo,
    Page,
    blob_too_large,
    check_limit,
    decode_blob_cursor,
    encode_blob_cursor,
    normal_key,
    store_closed,
)
from pyeino.streams import Stream

try:
    import obstore
    from obstore.store import S3Store
except ImportError as error:
    raise MissingDependencyError("obstore", extra="s3") from error

if TYPE_CHECKING:
    from obstore.store import S3Config

ResultT = TypeVar("ResultT")
_RETRIES: Final = 2
_PROBED: Final = "pyeino-probe"


class _Meta(TypedDict):
    path: str
    size: int
    last_modified: datetime


class S3BlobStore:
    """A BlobStore in a bucket; made by `await S3BlobStore.open(url)`.

    A put is one object written whole, so it is atomic where S3 is. A call waits at most
    `wait_seconds` for an answer and is repeated twice when it fails for a passing reason.
    Credentials are those of the address or of the environment; nothing else is asked for them
    unless `credentials=machine` says so.
    """

    def __init__(self, store: S3Store, *, where: str, max_bytes: int) -> None:
        """Internal; use `open`."""
        self._store = store
        self._where = where
        self._max_bytes = max_bytes
        self._closed = False

    @classmethod
    async def open(
        cls,
        url: str | S3Address,
        *,
        max_bytes: int = MAX_BLOB_BYTES,
        wait_seconds: float = 30.0,
    ) -> S3BlobStore:
        """The store at s3://[key:secret@]bucket[/prefix][?endpoint=…&region=…], asked once.

        ValueError for an address of another kind; ExternalError STORAGE_UNREACHABLE,
        STORAGE_REFUSED or STORAGE_NO_BUCKET when the service does not give what it names.
        """
        if max_bytes < 1 or not wait_seconds > 0:
            raise ValueError("max_bytes must be at least 1, and wait_seconds more than 0")
        address = S3Address.parse(url) if isinstance(url, str) else url
        made = await asyncio.to_thread(_make, address, wait_seconds)
        store = cls(made, where=address.shown, max_bytes=max_bytes)
        await store.check()
        return store

    async def put(self, key: str, data: bytes) -> BlobInfo:
        """Keep `data` under `key`; a cancelled put that has begun is finished all the same."""
        name, content = normal_key(key), bytes(data)
        if len(content) > self._max_bytes:
            raise blob_too_large(len(content), self._max_bytes)
        await self._run(lambda: obstore.put(self._store, name, content))
        return await self.stat(name)

    async def get(self, key: str) -> bytes:
        """The whole file."""
        name = normal_key(key)
        return await self._run(lambda: bytes(obstore.get(self._store, name).bytes()))

    def stream(self, key: str, *, chunk_bytes: int = 65_536) -> Stream[bytes]:
        """The file piece by piece, each of at least `chunk_bytes` but the last."""
        if chunk_bytes < 1:
            raise ValueError("chunk_bytes must be at least 1")
        return Stream.from_iterator(self._pieces(normal_key(key), chunk_bytes))

    async def stat(self, key: str) -> BlobInfo:
        """Size and time of the file."""
        name = normal_key(key)
        return _info(await self._run(lambda: obstore.head(self._store, name)))

    async def exists(self, key: str) -> bool:
        """Whether there is a file under `key`."""
        name = normal_key(key)
        return await self._run(lambda: self._exists(name))

    async def list(
        self, prefix: str = "", *, limit: int = 100, cursor: str | None = None
    ) -> Page[BlobInfo]:
        """Files below `prefix`, by key."""
        check_limit(limit)
        below = normal_key(prefix) if prefix else None
        after = decode_blob_cursor(cursor) if cursor else None
        return await self._run(lambda: self._list(below, limit, after))

    async def delete(self, key: str) -> None:
        """Remove the file."""
        name = normal_key(key)
        await self._run(lambda: self._delete(name))

    async def check(self) -> None:
        """Return when the bucket answers."""
        await self._run(lambda: self._list(_PROBED, 1, None))

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
        except KNOWN as error:
            raise as_storage_error(error, where=self._where) from error

    async def _pieces(self, name: str, chunk_bytes: int) -> AsyncIterator[bytes]:
        pieces: Iterator[Any] = await self._run(
            lambda: iter(obstore.get(self._store, name).stream(min_chunk_size=chunk_bytes))
        )
        while (piece := await self._run(lambda: next(pieces, None))) is not None:
            if content := bytes(piece):
                yield content

    def _exists(self, name: str) -> bool:
        try:
            obstore.head(self._store, name)
        except FileNotFoundError as error:
            # A HEAD has no words for what is missing: the bucket, perhaps.
            if "NoSuchBucket" in str(error):
                raise
            return False
        return True

    def _delete(self, name: str) -> None:
        try:
            obstore.delete(self._store, name)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise

    def _list(self, below: str | None, limit: int, after: str | None) -> Page[BlobInfo]:
        found: list[BlobInfo] = []
        listed = cast("Any", obstore).list
        batches: Iterator[Sequence[_Meta]] = iter(
            listed(self._store, below, offset=after, chunk_size=limit + 1)
        )
        for batch in batches:
            found.extend(map(_info, batch))
            if len(found) > limit:
                break
        items = tuple(found[:limit])
        more = len(found) > limit
        return Page(items=items, cursor=encode_blob_cursor(items[-1].key) if more else None)


def _make(address: S3Address, wait_seconds: float) -> S3Store:
    config: S3Config = {"region": address.region}
    if address.endpoint:
        config["endpoint"] = address.endpoint
        config["virtual_hosted_style_request"] = False
    if address.access_key:
        config["access_key_id"] = address.access_key
        config["secret_access_key"] = address.secret_key
    if address.session_token:
        config["session_token"] = address.session_token
    wait = f"{max(1, round(wait_seconds))}s"
    return S3Store(
        address.bucket,
        prefix=address.prefix or None,
        config=config,
        client_options={
            "allow_http": address.endpoint.startswith("http://"),
            "connect_timeout": "5s",
            "timeout": wait,
        },
        retry_config={
            "max_retries": _RETRIES,
            "retry_timeout": timedelta(seconds=wait_seconds),
        },
    )


def _info(meta: Any) -> BlobInfo:
    return BlobInfo(key=meta["path"], size=meta["size"], modified_at=meta["last_modified"])
