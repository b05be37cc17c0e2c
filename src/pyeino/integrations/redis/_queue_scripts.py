"""The scripts of the queue: each call is one of them, whole or not at all.

A queue is a stream of message ids with one consumer group, whose list of pending entries knows
which lease is how old. Beside it: payloads, attempts and leases by id (hashes), delayed ids by the
time they are due and dead ones by the time of their death (sorted sets, microseconds). Who holds
a lease is told by its token, so the group has one consumer only and none is left behind by a
process that is gone. The server's own clock counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from pyeino.integrations.redis._errors import exceptions

PARTS: Final = ("stream", "payload", "attempts", "lease", "delayed", "dead", "reason")
"""The keys of a queue, in the order of KEYS."""

_PRELUDE: Final = """
local S, P, A, L, D, X, R = unpack(KEYS)
local G = 'workers'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local function at(moment) return string.format('%d', moment) end
local function open()
  if redis.call('EXISTS', S) == 0 then
    redis.call('XGROUP', 'CREATE', S, G, '0', 'MKSTREAM')
  end
end
local function held(id, token)
  local lease = redis.call('HGET', L, id)
  if not lease or string.sub(lease, 1, #token + 1) ~= token .. ' ' then return false end
  return string.sub(lease, #token + 2)
end
local function release(id, entry)
  redis.call('XACK', S, G, entry)
  redis.call('XDEL', S, entry)
  redis.call('HDEL', L, id)
end
local function bury(id, entry, reason, most)
  release(id, entry)
  redis.call('ZADD', X, at(now), id)
  redis.call('HSET', R, id, reason)
  while redis.call('ZCARD', X) > most do
    local oldest = redis.call('ZPOPMIN', X)[1]
    redis.call('HDEL', P, oldest)
    redis.call('HDEL', A, oldest)
    redis.call('HDEL', R, oldest)
  end
end
local function arrive(id, delay)
  if delay > 0 then
    redis.call('ZADD', D, at(now + delay), id)
  else
    open()
    redis.call('XADD', S, '*', 'id', id)
  end
end
"""

_ENQUEUE: Final = """
local id, payload, delay, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('HEXISTS', P, id) == 1 then
  if not redis.call('ZSCORE', X, id) then return 1 end
  redis.call('ZREM', X, id)
  redis.call('HDEL', R, id)
  redis.call('HDEL', P, id)
end
if redis.call('HLEN', P) - redis.call('ZCARD', X) >= most then return 0 end
redis.call('HSET', P, id, payload)
redis.call('HSET', A, id, 0)
arrive(id, delay)
return 1
"""

# Gives {id, payload, attempts}, or the last id of the stream: what to wait for.
_RECEIVE: Final = """
local token, timeout = ARGV[1], tonumber(ARGV[2])
local most_attempts, most_dead = tonumber(ARGV[3]), tonumber(ARGV[4])
open()
local due = redis.call('ZRANGEBYSCORE', D, '-inf', at(now), 'LIMIT', 0, 100)
for _, id in ipairs(due) do
  redis.call('ZREM', D, id)
  redis.call('XADD', S, '*', 'id', id)
end
local function next_entry()
  while true do
    local over = redis.call('XPENDING', S, G, 'IDLE', timeout, '-', '+', 1)
    if #over == 0 then break end
    local claimed = redis.call('XCLAIM', S, G, 'all', timeout, over[1][1])
    if claimed[1] and claimed[1][2] then return claimed[1] end
    redis.call('XACK', S, G, over[1][1])
  end
  local read = redis.call('XREADGROUP', 'GROUP', G, 'all', 'COUNT', 1, 'STREAMS', S, '>')
  return read and read[1][2][1]
end
while true do
  local found = next_entry()
  if not found then
    local about = redis.call('XINFO', 'STREAM', S)
    for place = 1, #about, 2 do
      if about[place] == 'last-generated-id' then return about[place + 1] end
    end
    return '0-0'
  end
  local entry, id = found[1], found[2][2]
  local payload = redis.call('HGET', P, id)
  if not payload then
    release(id, entry)
  else
    local attempts = redis.call('HINCRBY', A, id, 1)
    if attempts <= most_attempts then
      redis.call('HSET', L, id, token .. ' ' .. entry)
      return {id, payload, attempts}
    end
    redis.call('HSET', A, id, attempts - 1)
    bury(id, entry, string.gsub(ARGV[5], '%%N', tostring(attempts - 1)), most_dead)
  end
end
"""

_EXTEND: Final = """
local entry = held(ARGV[1], ARGV[2])
if not entry then return 0 end
return #redis.call('XCLAIM', S, G, 'all', 0, entry, 'JUSTID')
"""

_ACK: Final = """
local entry = held(ARGV[1], ARGV[2])
if not entry then return 0 end
release(ARGV[1], entry)
redis.call('HDEL', P, ARGV[1])
redis.call('HDEL', A, ARGV[1])
return 1
"""

_NACK: Final = """
local id, entry = ARGV[1], held(ARGV[1], ARGV[2])
if not entry then return 0 end
local attempts = tonumber(redis.call('HGET', A, id))
if attempts >= tonumber(ARGV[5]) then
  local reason = ARGV[4]
  if reason == '' then reason = string.gsub(ARGV[7], '%%N', tostring(attempts)) end
  bury(id, entry, reason, tonumber(ARGV[6]))
else
  release(id, entry)
  arrive(id, tonumber(ARGV[3]))
end
return 1
"""

_REJECT: Final = """
local entry = held(ARGV[1], ARGV[2])
if not entry then return 0 end
bury(ARGV[1], entry, ARGV[3], tonumber(ARGV[4]))
return 1
"""

_COUNTS: Final = """
local delayed = redis.call('ZCOUNT', D, '(' .. at(now), '+inf')
local due = redis.call('ZCARD', D) - delayed
if redis.call('EXISTS', S) == 0 then return {due, delayed, 0, redis.call('ZCARD', X)} end
local leased = redis.call('XPENDING', S, G)[1]
return {redis.call('XLEN', S) - leased + due, delayed, leased, redis.call('ZCARD', X)}
"""

_DEAD: Final = """
local found = {}
local ids = redis.call('ZREVRANGE', X, 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
for place = 1, #ids, 2 do
  local id = ids[place]
  found[#found + 1] = {id, redis.call('HGET', P, id), redis.call('HGET', A, id),
    redis.call('HGET', R, id), ids[place + 1]}
end
return found
"""


class Script:
    """A script that the server keeps; it is sent again when the server has forgotten it."""

    def __init__(self, text: str) -> None:
        self._text = _PRELUDE + text
        self._sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Any, keys: Sequence[str], *values: Any) -> Any:
        """What the script returns."""
        try:
            return await client.evalsha(self._sha, len(keys), *keys, *values)
        except exceptions.NoScriptError:
            return await client.eval(self._text, len(keys), *keys, *values)


ENQUEUE = Script(_ENQUEUE)
RECEIVE = Script(_RECEIVE)
EXTEND = Script(_EXTEND)
ACK = Script(_ACK)
NACK = Script(_NACK)
REJECT = Script(_REJECT)
COUNTS = Script(_COUNTS)
DEAD = Script(_DEAD)
