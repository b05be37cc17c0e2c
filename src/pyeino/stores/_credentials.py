"""What a store of API keys and of token families promises, whatever it is built on.

Each repository is made from a tenant's scope and sees that tenant's rows only. All promises are
held by one conformance suite.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from pyeino.stores._records import Page


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is kept: its public prefix and the hash of the whole, never the key.

    `scopes` None means all that the roles give. A key without `expires_at` does not expire.
    Times are aware and in UTC, exact to the microsecond.
    """

    prefix: str
    hash: str
    name: str = ""
    user_id: str
    roles: tuple[str, ...] = ("user",)
    scopes: tuple[str, ...] | None = None
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def __repr__(self) -> str:
        """Without the hash: a record may end up in a traceback."""
        return f"ApiKey(prefix={self.prefix!r}, name={self.name!r}, user_id={self.user_id!r})"

    def is_valid(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Rotation(StrEnum):
    """What became of an attempt to use a refresh token."""

    ROTATED = "rotated"
    """It was the family's current token: the new one is that now."""
    REUSED = "reused"
    """It had been used before: somebody else has a copy, so the family was revoked."""
    REVOKED = "revoked"
    """The family had been revoked before."""
    UNKNOWN = "unknown"
    """There is no such family, or it has expired."""


class ApiKeyRepository(Protocol):
    """API keys of one tenant by their prefix. A call that returned has been committed."""

    async def add(self, key: ApiKey) -> None:
        """Keep a new key; ValidationError API_KEY_EXISTS (409) when its prefix is taken."""
        ...

    async def find_by_prefix(self, prefix: str) -> ApiKey | None:
        """The key of this prefix, revoked or expired ones too; None when there is none."""
        ...

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[ApiKey]:
        """All keys, newest first, `limit` (1..500) a page; revoked and expired ones too."""
        ...

    async def revoke(self, prefix: str, *, at: datetime) -> bool:
        """End a key for good: True when this call did it, False when it was revoked before.

        NotFoundError API_KEY_NOT_FOUND when there is no such key.
        """
        ...

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        """Note when keys were last used, by prefix; never back in time; unknown ones are passed."""
        ...


class TokenRepository(Protocol):
    """Families of tokens of one tenant: which refresh token is current, and what is revoked.

    Only the newest refresh token of a family is good, and only once. A family that was never
    begun here is not revoked: tokens may be made elsewhere with the same secret.
    """

    async def begin(self, family: str, *, user_id: str, jti: str, expires_at: datetime) -> None:
        """Keep a new family whose current refresh token is `jti`."""
        ...

    async def rotate(
        self, family: str, *, jti: str, new_jti: str, now: datetime, expires_at: datetime
    ) -> Rotation:
        """Put `new_jti` in the place of `jti`, in one step, when `jti` is current.

        Of calls side by side with one `jti` exactly one is ROTATED. The next one is REUSED and
        revokes the family, so that neither a thief nor the robbed goes on unseen.
        """
        ...

    async def revoke(self, family: str, *, at: datetime, expires_at: datetime) -> bool:
        """Revoke a family, known or not; `expires_at` is when its last token expires.

        True when this call did it, False when it was revoked before.
        """
        ...

    async def is_revoked(self, family: str) -> bool:
        """Whether the family was revoked."""
        ...

    async def sweep(self, *, before: datetime) -> int:
        """Forget families that expired before `before`, revoked or not; how many there were."""
        ...
