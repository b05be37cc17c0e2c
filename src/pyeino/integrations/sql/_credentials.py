"""API keys and token families over the threads of an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pyeino.integrations.sql import _statements as sql
from pyeino.integrations.sql._credential_rows import (
    judge_rotation,
    new_family_row,
    new_key_row,
    to_key,
    touch_rows,
)
from pyeino.integrations.sql._jobs import JobQueue
from pyeino.integrations.sql._rows import to_micros
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


class SqlApiKeyRepository:
    """API keys of one tenant; made by `database.scope(tenant=…)`."""

    def __init__(self, reads: JobQueue, writes: JobQueue, *, tenant: str) -> None:
        self._reads = reads
        self._writes = writes
        self._tenant = tenant

    async def add(self, key: ApiKey) -> None:
        """Keep a new key."""
        row = new_key_row(key, tenant=self._tenant)

        def work(db: sqlite3.Connection) -> None:
            try:
                db.execute(sql.INSERT_KEY, row)
            except sqlite3.IntegrityError:
                raise api_key_exists() from None

        await self._writes.run(work)

    async def find_by_prefix(self, prefix: str) -> ApiKey | None:
        """The key of this prefix."""
        values = self._key(prefix)
        row = await self._reads.run(lambda db: db.execute(sql.SELECT_KEY, values).fetchone())
        return None if row is None else to_key(row)

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[ApiKey]:
        """All keys, newest first."""
        created, after = decode_session_cursor(cursor) if cursor else (MAX_INTEGER, "")
        values = {
            "tenant": self._tenant,
            "created_before": created,
            "after_prefix": after,
            "limit": check_limit(limit) + 1,
        }
        rows = await self._reads.run(lambda db: db.execute(sql.LIST_KEYS, values).fetchall())
        items = tuple(map(to_key, rows[:limit]))
        more = len(rows) > limit
        following = encode_session_cursor(rows[limit - 1][6], items[-1].prefix) if more else None
        return Page(items=items, cursor=following)

    async def revoke(self, prefix: str, *, at: datetime) -> bool:
        """End a key for good."""
        values = {**self._key(prefix), "at": to_micros(at)}

        def work(db: sqlite3.Connection) -> bool:
            if db.execute(sql.SELECT_KEY, values).fetchone() is None:
                raise api_key_not_found()
            return bool(db.execute(sql.REVOKE_KEY, values).rowcount)

        return await self._writes.run(work)

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        rows = touch_rows(uses, tenant=self._tenant)

        def work(db: sqlite3.Connection) -> None:
            db.executemany(sql.TOUCH_KEY, rows)

        await self._writes.run(work)

    def _key(self, prefix: str) -> dict[str, Any]:
        return {"tenant": self._tenant, "prefix_given": prefix}


class SqlTokenRepository:
    """Token families of one tenant; made by `database.scope(tenant=…)`."""

    def __init__(self, reads: JobQueue, writes: JobQueue, *, tenant: str) -> None:
        self._reads = reads
        self._writes = writes
        self._tenant = tenant

    async def begin(self, family: str, *, user_id: str, jti: str, expires_at: datetime) -> None:
        """Keep a new family."""
        row = new_family_row(
            family, tenant=self._tenant, user_id=user_id, jti=jti, expires_at=expires_at
        )
        await self._writes.run(lambda db: db.execute(sql.INSERT_FAMILY, row).rowcount)

    async def rotate(
        self, family: str, *, jti: str, new_jti: str, now: datetime, expires_at: datetime
    ) -> Rotation:
        """Put the new token in the place of the current one."""
        moment = to_micros(now)
        values = {
            **self._family(family),
            "new_jti": new_jti,
            "until": to_micros(expires_at),
            "at": moment,
        }

        def work(db: sqlite3.Connection) -> Rotation:
            # The one writing thread: nothing can come between the look and the change.
            row = db.execute(sql.LOCK_FAMILY, values).fetchone()
            verdict = judge_rotation(row, jti=jti, now=moment)
            if verdict is Rotation.ROTATED:
                db.execute(sql.ROTATE_FAMILY, values)
            elif verdict is Rotation.REUSED:
                db.execute(sql.REUSED_FAMILY, values)
            return verdict

        return await self._writes.run(work)

    async def revoke(self, family: str, *, at: datetime, expires_at: datetime) -> bool:
        """Revoke a family, known or not."""
        row = new_family_row(family, tenant=self._tenant, user_id="", jti="", expires_at=expires_at)
        row["revoked_at"] = to_micros(at)
        return await self._writes.run(lambda db: db.execute(sql.REVOKE_FAMILY, row).rowcount > 0)

    async def is_revoked(self, family: str) -> bool:
        """Whether the family was revoked."""
        values = self._family(family)
        row = await self._reads.run(lambda db: db.execute(sql.FAMILY_REVOKED, values).fetchone())
        return row is not None and row[0] is not None

    async def sweep(self, *, before: datetime) -> int:
        """Forget families that expired."""
        values = {"tenant": self._tenant, "before": to_micros(before)}
        return await self._writes.run(lambda db: db.execute(sql.SWEEP_FAMILIES, values).rowcount)

    def _family(self, family: str) -> dict[str, Any]:
        return {"tenant": self._tenant, "family": family}
