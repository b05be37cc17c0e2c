"""CacheManager: values of one kind in a cache, computed once and counted."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast, overload

from pyeino.concurrency import SingleFlight
from pyeino.schema import Codec
from pyeino.stores import Cache

ValueT = TypeVar("ValueT")


class CacheMetrics(Protocol):
    """Where lookups and troubles are counted by the kind of cache; `Metrics` is one."""

    def inc_cache_hits(self, cache_type: str) -> None:
        """Count a lookup that found its entry."""
        ...

    def inc_cache_misses(self, cache_type: str) -> None:
        """Count a lookup that found nothing."""
        ...

    def inc_cache_errors(self, cache_type: str, operation: str) -> None:
        """Count a trouble of the cache: get, set, delete, decode or encode."""
        ...


@dataclass(slots=True, kw_only=True)
class CacheStats:
    """What a manager has seen since it was made.

    `bad_entries` could not be decoded and were deleted; `failed_reads` and `failed_writes` are
    troubles of the cache, after which the value was computed or not kept; `unfit_values` could not
    be encoded.
    """

    hits: int = 0
    misses: int = 0
    bad_entries: int = 0
    failed_reads: int = 0
    failed_writes: int = 0
    unfit_values: int = 0


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[ValueT]):
    """What a flight brings: the bytes for all who wait, and the value when it was computed."""

    data: bytes | None
    value: ValueT
    hit: bool


class CacheManager(Generic[ValueT]):
    """Looks values up under `prefix`, and computes and keeps what is not there.

        answers = CacheManager(cache, "answers", value_type=Message)
        message = await answers.get_or_set(answers.generate_key("q", text), 600, compute)

    Values come back equal and of the same class, as `schema.Codec` stores them; `value_type` says
    what they are, and an entry that is something else is deleted and computed anew. Callers who
    want the same key at the same time share one lookup and one computation, each getting a value
    of its own. Trouble with the cache never fails a call: it is counted in `stats`, told to
    `on_error`, and the value is computed. Hits, misses and troubles are counted in `metrics` under
    the prefix. The cache stays the caller's to close; managers of one prefix share their entries.
    """

    @overload
    def __init__(
        self: CacheManager[Any],
        cache: Cache,
        prefix: str,
        *,
        metrics: CacheMetrics | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        cache: Cache,
        prefix: str,
        *,
        value_type: type[ValueT],
        codec: Codec | None = None,
        metrics: CacheMetrics | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None: ...
    def __init__(
        self,
        cache: Cache,
        prefix: str,
        *,
        value_type: Any = Any,
        codec: Codec | None = None,
        metrics: CacheMetrics | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        """ValueError for an empty prefix; `codec` is needed for types that contain your own."""
        if not prefix:
            raise ValueError("CacheManager needs a prefix: the cache may not be its alone")
        self._cache = cache
        self._prefix = prefix
        # Quoted, so that no prefix followed by ":" is the beginning of another one.
        self._lead = prefix.replace("%", "%25").replace(":", "%3A") + ":"
        self._value_type = value_type
        self._codec = codec or _codec_of(value_type)
        self._metrics = metrics
        self._on_error = on_error
        self._flights = SingleFlight[_Outcome[ValueT]]()
        self.stats = CacheStats()

    @property
    def prefix(self) -> str:
        """What its entries are kept and counted under."""
        return self._prefix

    @property
    def counted(self) -> Cache:
        """This manager's part of the cache, as a Cache whose lookups are counted.

        For `with_cache(component, manager.counted, name=…)`. Its troubles are counted and raised.
        """
        return _CountedCache(self._cache, self._lead, count=self.count, fail=self._failed)

    async def get_or_set(
        self,
        key: str,
        ttl: float | None,
        fn: Callable[[], Awaitable[ValueT]],
        *,
        keep: Callable[[ValueT], bool] | None = None,
    ) -> ValueT:
        """The value under `key`, or that of `fn()`, which is then kept for `ttl` seconds.

        `keep` may say of a computed value that it is not to be kept. Errors of `fn` reach every
        caller who waits for it and are never kept. Who is cancelled leaves the others alone.
        """
        full_key = self._lead + key

        async def fetch() -> _Outcome[ValueT]:
            found = await self._find(full_key)
            return found or await self._compute(full_key, ttl, fn, keep)

        computed_here: list[ValueT] = []

        async def fetch_first() -> _Outcome[ValueT]:
            outcome = await fetch()
            computed_here.append(outcome.value)
            return outcome

        try:
            outcome = await self._flights.run(full_key, fetch_first)
        except Exception:
            self.count(hit=False)
            raise
        self.count(hit=outcome.hit)
        if computed_here or outcome.data is None:
            return outcome.value
        return self._decode(outcome.data)

    def generate_key(self, *parts: str | bytes) -> str:
        """A key of these parts: 64 hexadecimal digits, the same in every process.

        Each part goes in with its kind and length, so ("ab", "c") and ("a", "bc") differ
        (BLAKE2b, RFC 7693).
        """
        digest = hashlib.blake2b(digest_size=32)
        for part in parts:
            raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
            digest.update(b"b" if isinstance(part, bytes) else b"s")
            digest.update(len(raw).to_bytes(8, "big"))
            digest.update(raw)
        return digest.hexdigest()

    async def delete(self, key: str) -> None:
        """Forget the value under `key`; raises what the cache raises."""
        await self._cache.delete(self._lead + key)

    async def clear(self) -> None:
        """Forget every value of this prefix and of no other; raises what the cache raises."""
        await self._cache.clear(self._lead)

    def count(self, *, hit: bool) -> None:
        """Count one lookup."""
        if hit:
            self.stats.hits += 1
        else:
            self.stats.misses += 1
        if self._metrics is not None:
            count = self._metrics.inc_cache_hits if hit else self._metrics.inc_cache_misses
            count(self._prefix)

    async def _find(self, full_key: str) -> _Outcome[ValueT] | None:
        try:
            data = await self._cache.get(full_key)
        except Exception as error:  # noqa: BLE001 (a cache in trouble costs time, not the answer)
            self._failed("get")
            self._tell(error)
            return None
        if data is None:
            return None
        try:
            return _Outcome(data, self._decode(data), hit=True)
        except Exception as error:  # noqa: BLE001 (whatever is wrong with it, it is computed anew)
            self._failed("decode")
            self._tell(error)
        try:
            await self._cache.delete(full_key)
        except Exception as error:  # noqa: BLE001 (the new value goes over it anyway)
            self._failed("delete")
            self._tell(error)
        return None

    async def _compute(
        self,
        full_key: str,
        ttl: float | None,
        fn: Callable[[], Awaitable[ValueT]],
        keep: Callable[[ValueT], bool] | None,
    ) -> _Outcome[ValueT]:
        value = await fn()
        data: bytes | None = None
        try:
            data = self._codec.encode(value)
            self._decode(data)  # what cannot be read again is not worth keeping
        except Exception as error:  # noqa: BLE001 (the caller gets the value all the same)
            self._failed("encode")
            self._tell(error)
            return _Outcome(None, value, hit=False)
        if keep is None or keep(value):
            try:
                await self._cache.set(full_key, data, ttl=ttl)
            except Exception as error:  # noqa: BLE001 (the caller gets the value all the same)
                self._failed("set")
                self._tell(error)
        return _Outcome(data, value, hit=False)

    def _decode(self, data: bytes) -> ValueT:
        return cast("ValueT", self._codec.decode(data, self._value_type))

    def _failed(self, operation: str) -> None:
        match operation:
            case "get":
                self.stats.failed_reads += 1
            case "decode":
                self.stats.bad_entries += 1
            case "encode":
                self.stats.unfit_values += 1
            case _:
                self.stats.failed_writes += 1
        if self._metrics is not None:
            self._metrics.inc_cache_errors(self._prefix, operation)

    def _tell(self, error: Exception) -> None:
        if self._on_error is not None:
            self._on_error(error)


class _CountedCache:
    """A Cache under a lead, which counts what was found, what was not, and what went wrong."""

    __slots__ = ("_cache", "_count", "_fail", "_lead")

    def __init__(
        self, cache: Cache, lead: str, *, count: Callable[..., None], fail: Callable[[str], None]
    ) -> None:
        self._cache = cache
        self._lead = lead
        self._count = count
        self._fail = fail

    async def get(self, key: str) -> bytes | None:
        with self._counting("get"):
            found = await self._cache.get(self._lead + key)
        self._count(hit=found is not None)
        return found

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        with self._counting("set"):
            await self._cache.set(self._lead + key, value, ttl=ttl)

    async def delete(self, key: str) -> None:
        with self._counting("delete"):
            await self._cache.delete(self._lead + key)

    async def clear(self, prefix: str = "") -> None:
        with self._counting("delete"):
            await self._cache.clear(self._lead + prefix)

    @contextlib.contextmanager
    def _counting(self, operation: str) -> Generator[None]:
        try:
            yield
        except Exception:
            self._fail(operation)
            raise


def _codec_of(value_type: Any) -> Codec:
    plain = Codec()
    own = isinstance(value_type, type) and plain.problems(value_type)
    return Codec(value_type) if own else plain
