"""How much each client may ask: requests and tokens a minute; more is refused at once."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from pyeino.errors import AppError, RateLimitError
from pyeino.monitoring import Logger
from pyeino.stores import RateLimitDecision, RateLimitStore

Header = tuple[bytes, bytes]

_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One limit: `per_minute` come back in a minute, `burst` may be taken at once."""

    kind: str
    per_minute: int
    burst: int

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.per_minute / 60

    def headers(self, remaining: int) -> list[Header]:
        """The x-ratelimit headers of this limit, when `remaining` are left."""
        seconds = (self.burst - remaining) / self.rate
        limit, left = b"%d" % self.per_minute, b"%d" % remaining
        kind = self.kind.encode("ascii")
        return [
            (b"x-ratelimit-limit-" + kind, limit),
            (b"x-ratelimit-remaining-" + kind, left),
            (b"x-ratelimit-reset-" + kind, f"{seconds:.3f}s".encode("ascii")),
        ]


class Quotas:
    """The limits of every client, each in a bucket of its own in `store`.

    A None switches a limit off. `burst` is how many requests pass at once (None: a sixth of
    `requests_per_minute`, at least 1); of tokens a whole minute's may be taken at once.
    `max_tokens` is reserved for a request that names no bound. When the store is in trouble
    nobody is refused for it: the failure is logged.
    """

    def __init__(
        self,
        store: RateLimitStore,
        *,
        requests_per_minute: int | None = None,
        burst: int | None = None,
        tokens_per_minute: int | None = None,
        max_tokens: int = 4096,
        logger: Logger,
    ) -> None:
        self._store = store
        self._log = logger
        self.max_tokens = max_tokens
        self.requests = (
            None
            if requests_per_minute is None
            else Bucket(
                kind="requests",
                per_minute=requests_per_minute,
                burst=burst if burst is not None else max(1, requests_per_minute // 6),
            )
        )
        self.tokens = (
            None
            if tokens_per_minute is None
            else Bucket(kind="tokens", per_minute=tokens_per_minute, burst=tokens_per_minute)
        )

    def budget(self, client: str) -> ClientBudget:
        """What one request of `client` may spend; names of any length are told apart."""
        if len(client) > _LONGEST_NAME:
            client = f"sha256:{hashlib.sha256(client.encode('utf-8', 'replace')).hexdigest()}"
        return ClientBudget(self, client)

    async def take(self, bucket: Bucket, client: str, n: int) -> RateLimitDecision | None:
        """Take `n` of `bucket`; None when the store is in trouble."""
        try:
            return await self._store.acquire(
                f"{bucket.kind}:{client}", rate=bucket.rate, burst=bucket.burst, n=n
            )
        except (AppError, OSError) as error:
            self._log.error("Client limits are not kept: their store is in trouble", error=error)
            return None

    async def settle(self, bucket: Bucket, client: str, *, reserved: int, used: int) -> None:
        """Correct a reservation by what was used."""
        try:
            await self._store.settle(
                f"{bucket.kind}:{client}",
                rate=bucket.rate,
                burst=bucket.burst,
                reserved=reserved,
                used=used,
            )
        except (AppError, OSError) as error:
            self._log.error("Client limits are not kept: their store is in trouble", error=error)


class ClientBudget:
    """What one request of one client may spend; a TokenBudget of the service.

    It remembers what was left, for the headers of the answer.
    """

    __slots__ = ("_client", "_left", "_quotas", "_reserved", "_tokens_left")

    def __init__(self, quotas: Quotas, client: str) -> None:
        self._quotas = quotas
        self._client = client
        self._left: int | None = None
        self._tokens_left: int | None = None
        self._reserved = 0

    async def take_request(self) -> None:
        """Count the request; RateLimitError RATE_LIMIT_EXCEEDED (429) when none is left."""
        bucket = self._quotas.requests
        if bucket is None:
            return
        decision = await self._quotas.take(bucket, self._client, 1)
        if decision is None:
            return
        self._left = decision.remaining
        if not decision.allowed:
            raise _exceeded(bucket, decision)

    async def reserve(self, *, prompt_tokens: int, max_tokens: int | None) -> None:
        """Set aside the tokens of a run; RATE_LIMIT_EXCEEDED (429) when they are not there.

        A run that asks for more than a whole minute's sets aside the whole minute.
        """
        bucket = self._quotas.tokens
        if bucket is None:
            return
        answer = self._quotas.max_tokens if max_tokens is None else max_tokens
        wanted = max(1, min(bucket.burst, prompt_tokens + answer))
        decision = await self._quotas.take(bucket, self._client, wanted)
        if decision is None:
            return
        self._tokens_left = decision.remaining
        if not decision.allowed:
            raise _exceeded(bucket, decision)
        self._reserved = wanted

    async def settle(self, tokens: int) -> None:
        """The run has cost `tokens`."""
        bucket, reserved = self._quotas.tokens, self._reserved
        self._reserved = 0
        if bucket is not None and reserved:
            await self._quotas.settle(bucket, self._client, reserved=reserved, used=tokens)

    def headers(self) -> list[Header]:
        """The x-ratelimit headers, as far as something was counted."""
        found: list[Header] = []
        requests, tokens = self._quotas.requests, self._quotas.tokens
        if requests is not None and self._left is not None:
            seconds = math.ceil((requests.burst - self._left) / requests.rate)
            found += [
                (b"x-ratelimit-limit", b"%d" % requests.per_minute),
                (b"x-ratelimit-remaining", b"%d" % self._left),
                (b"x-ratelimit-reset", b"%d" % seconds),
                *requests.headers(self._left),
            ]
        if tokens is not None and self._tokens_left is not None:
            found += tokens.headers(self._tokens_left)
        return found


def _exceeded(bucket: Bucket, decision: RateLimitDecision) -> RateLimitError:
    return RateLimitError(
        "RATE_LIMIT_EXCEEDED",
        "Rate limit exceeded",
        details=f"{bucket.per_minute} {bucket.kind} a minute are allowed; wait, then try again.",
        metadata={
            "kind": bucket.kind,
            "limit": bucket.per_minute,
            "retry_after": round(max(decision.retry_after, 0.001), 3),
        },
    )
