"""API keys and token families in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from pyeino.stores import (
    MAX_INTEGER,
    ApiKey,
    Page,
    Rotation,
    api_key_exists,
    api_key_not_found,
    check_limit,
    decode_session_cursor,
    encode_session_cursor,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class MemoryApiKeyRepository:
    """ApiKeyRepository in this process."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}

    async def add(self, key: ApiKey) -> None:
        """Keep a new key."""
        if key.prefix in self._keys:
            raise api_key_exists()
        self._keys[key.prefix] = key

    async def find_by_prefix(self, prefix: str) -> ApiKey | None:
        """The key of this prefix."""
        return self._keys.get(prefix)

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[ApiKey]:
        """All keys, newest first."""
        check_limit(limit)
        start = decode_session_cursor(cursor) if cursor else (MAX_INTEGER, "")
        places = sorted((_place(key) for key in self._keys.values()), reverse=True)
        places = [place for place in places if place < start]
        following = encode_session_cursor(*places[limit - 1]) if len(places) > limit else None
        items = tuple(self._keys[prefix] for _, prefix in places[:limit])
        return Page(items=items, cursor=following)

    async def revoke(self, prefix: str, *, at: datetime) -> bool:
        """End a key for good."""
        found = self._keys.get(prefix)
        if found is None:
            raise api_key_not_found()
        if found.revoked_at is not None:
            return False
        self._keys[prefix] = msgspec.structs.replace(found, revoked_at=at)
        return True

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        for prefix, at in uses.items():
            found = self._keys.get(prefix)
            if found is not None and (found.last_used_at is None or found.last_used_at < at):
                self._keys[prefix] = msgspec.structs.replace(found, last_used_at=at)


@dataclass(slots=True)
class _Family:
    jti: str
    expires_at: datetime
    revoked: bool = False


class MemoryTokenRepository:
    """TokenRepository in this process."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}

    async def begin(self, family: str, *, user_id: str, jti: str, expires_at: datetime) -> None:
        """Keep a new family; whose it is matters on a disk only."""
        self._families[family] = _Family(jti, expires_at)

    async def rotate(
        self, family: str, *, jti: str, new_jti: str, now: datetime, expires_at: datetime
    ) -> Rotation:
        """Put the new token in the place of the current one."""
        found = self._families.get(family)
        if found is None or found.expires_at <= now:
            return Rotation.UNKNOWN
        if found.revoked:
            return Rotation.REVOKED
        if found.jti != jti:
            found.revoked = True
            return Rotation.REUSED
        found.jti, found.expires_at = new_jti, expires_at
        return Rotation.ROTATED

    async def revoke(self, family: str, *, at: datetime, expires_at: datetime) -> bool:
        """Revoke a family, known or not."""
        found = self._families.setdefault(family, _Family("", expires_at))
        if found.revoked:
            return False
        found.revoked, found.expires_at = True, max(found.expires_at, expires_at)
        return True

    async def is_revoked(self, family: str) -> bool:
        """Whether the family was revoked."""
        found = self._families.get(family)
        return found is not None and found.revoked

    async def sweep(self, *, before: datetime) -> int:
        """Forget families that expired."""
        over = [name for name, one in self._families.items() if one.expires_at < before]
        for name in over:
            del self._families[name]
        return len(over)


def _place(key: ApiKey) -> tuple[int, str]:
    return (key.created_at - _EPOCH) // _MICROSECOND, key.prefix
