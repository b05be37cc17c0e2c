"""The answers of a component in a cache: their keys, their bytes, and trouble with the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from pyeino.components._wrapping import Request
from pyeino.errors import AppError, CodecError
from pyeino.schema import Codec, Message
from pyeino.stores import Cache

_CODEC = Codec()


class Entries:
    """The answers in a cache, each as the list of its chunks."""

    __slots__ = ("_cache", "_name", "_on_error", "_ttl")

    def __init__(
        self,
        cache: Cache,
        *,
        name: str,
        ttl: float | None,
        on_error: Callable[[Exception], object] | None,
    ) -> None:
        self._cache = cache
        self._name = name
        self._ttl = ttl
        self._on_error = on_error

    async def get(self, key: str) -> list[Any] | None:
        """The chunks under `key`; None when there are none that can be read."""
        try:
            data = await self._cache.get(key)
            return None if data is None else _marked(_CODEC.decode(data, list[Any]))
        except (AppError, CodecError, OSError) as error:
            self._tell(error)
            return None

    async def set(self, key: str, chunks: list[Any]) -> None:
        """Keep `chunks` under `key`."""
        try:
            await self._cache.set(key, _CODEC.encode(chunks), ttl=self._ttl)
        except (AppError, CodecError, OSError) as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        if self._on_error is None:
            raise error
        self._on_error(error)

    def key(self, request: Request) -> str | None:
        """The key of a call; None when it holds something that is no data."""
        parts = (self._name, request.kind, request.input, request.options)
        try:
            text = msgspec.json.encode(parts, order="sorted")
        except (TypeError, ValueError, RecursionError):
            return None
        return f"{request.kind}:{hashlib.sha256(text).hexdigest()}"


def _marked(chunks: list[Any]) -> list[Any]:
    """The chunks of an answer; a message among them says at its end where it came from."""
    if chunks and isinstance(chunks[-1], Message):
        last = chunks[-1]
        chunks[-1] = msgspec.structs.replace(last, extra={**last.extra, "cached": True})
    return chunks
