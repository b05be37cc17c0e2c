"""RedisRateLimit: token buckets that all replicas draw from."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from pyeino.integrations.redis._cache import Runs
from pyeino.integrations.redis._errors import exceptions
from pyeino.stores import RateLimitDecision, check_key, check_rate_limit, check_settlement

_Numbers = tuple[str, int, int, int]

# The bucket's tokens and the moment of its last change. The server's own clock counts, so that
# replicas whose clocks differ agree; it may be set back, and then no time has passed. Numbers go
# as text with 17 digits, which is all that a double has. A full bucket is as good as none: EXPIRE.
# `by` is 0 where tokens are asked for; else it is put into the bucket (taken, when below 0), which
# may go into debt by one burst.
SCRIPT: Final = """
local rate, burst, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local by = tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = burst, now
if bucket[1] and bucket[2] then
  at = math.max(tonumber(bucket[2]), now)
  tokens = math.min(burst, tonumber(bucket[1]) + (at - tonumber(bucket[2])) * rate)
end
local allowed, wait = 0, 0
if n == 0 then
  allowed = 1
  tokens = math.min(burst, math.max(-burst, tokens + by))
elseif tokens + 1e-9 >= n then
  allowed = 1
  tokens = math.max(0, tokens - n)
else
  wait = (n - tokens) / rate
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens),
  'at', string.format('%.17g', at))
redis.call('PEXPIRE', KEYS[1],
  math.ceil(math.min(((burst - tokens) / rate + at - now) * 1000 + 1000, 1e15)))
return {allowed, math.max(0, math.floor(tokens + 1e-9)), string.format('%.17g', wait)}
"""
_SHA: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


class RedisRateLimit:
    """A RateLimitStore on Redis; made by `RedisDatabase.rate_limit`, closed with it.

    One script on the server fills, asks and takes, by the server's clock: the limit holds for all
    replicas together, and a call costs one round trip.
    """

    def __init__(self, database: Runs, *, prefix: str) -> None:
        """Internal; use `database.rate_limit(prefix=…)`."""
        if not prefix:
            raise ValueError("RedisRateLimit needs a prefix: the server is not ours alone")
        self._database = database
        self._prefix = prefix

    async def acquire(self, key: str, *, rate: float, burst: int, n: int = 1) -> RateLimitDecision:
        """Take `n` tokens from the bucket `key` if it has them."""
        check_key(key)
        check_rate_limit(rate=rate, burst=burst, n=n)
        return await self._run(key, (f"{rate:.17g}", burst, n, 0))

    async def settle(
        self, key: str, *, rate: float, burst: int, reserved: int, used: int
    ) -> RateLimitDecision:
        """Give back what of `reserved` was not used, or take what was used on top."""
        check_key(key)
        check_settlement(rate=rate, burst=burst, reserved=reserved, used=used)
        return await self._run(key, (f"{rate:.17g}", burst, 0, reserved - used))

    async def _run(self, key: str, numbers: _Numbers) -> RateLimitDecision:
        allowed, remaining, wait = await self._database.run(
            lambda client: _run_script(client, self._prefix + key, numbers)
        )
        return RateLimitDecision(
            allowed=bool(allowed), remaining=int(remaining), retry_after=float(wait)
        )


async def _run_script(client: Any, key: str, numbers: _Numbers) -> Any:
    try:
        return await client.evalsha(_SHA, 1, key, *numbers)
    except exceptions.NoScriptError:  # a server that was started or flushed since
        return await client.eval(SCRIPT, 1, key, *numbers)
