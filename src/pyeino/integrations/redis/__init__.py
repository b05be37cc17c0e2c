"""Stores on Redis or Valkey, shared by all replicas that use the same server."""

from pyeino.integrations.redis._cache import RedisCache
from pyeino.integrations.redis._database import RedisDatabase
from pyeino.integrations.redis._queue import RedisQueue
from pyeino.integrations.redis._rate_limit import RedisRateLimit

__all__ = ["RedisCache", "RedisDatabase", "RedisQueue", "RedisRateLimit"]
