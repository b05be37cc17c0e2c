"""API keys and token families on PostgreSQL; who rotates a family locks its row first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from pyeino.integrations.sql import _postgres_statements as sql
from pyeino.integrations.sql._credential_rows import (
    judge_rotation,
    new_family_row,
    new_key_row,
    to_key,
    touch_rows,
)
from pyeino.integrations.sql._postgres_driver import (
    Connection,
    affected,
    driver_errors,
    is_taken,
)
from pyeino.integrations.sql._postgres_pool import CallPool
from pyeino.integrations.sql._postgres_text import from_text, to_text
from pyeino.integrations.sql._rows import Row, to_micros
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


class PostgresApiKeyRepository:
    """API keys of one tenant; made by `database.scope(tenant=…)`."""

    def __init__(self, pool: CallPool, *, tenant: str) -> None:
        self._pool = pool
        self._tenant = tenant

    async def add(self, key: ApiKey) -> None:
        """Keep a new key."""
        row = new_key_row(key, tenant=self._tenant)
        row["name"] = to_text(key.name)

        async def work(db: Connection) -> None:
            try:
                await _run(db, sql.INSERT_KEY, row)
            except driver_errors() as error:
                if is_taken(error):
                    raise api_key_exists() from None
                raise

        await self._pool.once(work)

    async def find_by_prefix(self, prefix: str) -> ApiKey | None:
        """The key of this prefix."""
        arguments = sql.SELECT_KEY.arguments(self._key(prefix))
        row = await self._pool.repeatable(lambda db: db.fetchrow(sql.SELECT_KEY.text, *arguments))
        return None if row is None else _found(row)

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[ApiKey]:
        """All keys, newest first."""
        created, after = decode_session_cursor(cursor) if cursor else (MAX_INTEGER, "")
        values = {
            "tenant": self._tenant,
            "created_before": created,
            "after_prefix": after,
            "limit": check_limit(limit) + 1,
        }
        arguments = sql.LIST_KEYS.arguments(values)
        rows = await self._pool.repeatable(lambda db: db.fetch(sql.LIST_KEYS.text, *arguments))
        items = tuple(map(_found, rows[:limit]))
        more = len(rows) > limit
        following = encode_session_cursor(rows[limit - 1][6], items[-1].prefix) if more else None
        return Page(items=items, cursor=following)

    async def revoke(self, prefix: str, *, at: datetime) -> bool:
        """End a key for good."""
        values = {**self._key(prefix), "at": to_micros(at)}

        async def work(db: Connection) -> bool:
            if affected(await _run(db, sql.REVOKE_KEY, values)):
                return True
            if await db.fetchrow(sql.SELECT_KEY.text, *sql.SELECT_KEY.arguments(values)) is None:
                raise api_key_not_found()
            return False

        return await self._pool.transaction(work)

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        statement = sql.TOUCH_KEY
        rows = [statement.arguments(row) for row in touch_rows(uses, tenant=self._tenant)]
        if rows:
            await self._pool.repeatable(lambda db: db.executemany(statement.text, rows))

    def _key(self, prefix: str) -> dict[str, Any]:
        return {"tenant": self._tenant, "prefix_given": prefix}


class PostgresTokenRepository:
    """Token families of one tenant; made by `database.scope(tenant=…)`."""

    def __init__(self, pool: CallPool, *, tenant: str) -> None:
        self._pool = pool
        self._tenant = tenant

    async def begin(self, family: str, *, user_id: str, jti: str, expires_at: datetime) -> None:
        """Keep a new family."""
        row = new_family_row(
            family, tenant=self._tenant, user_id=user_id, jti=jti, expires_at=expires_at
        )
        await self._pool.once(lambda db: _run(db, sql.INSERT_FAMILY, row))

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

        async def work(db: Connection) -> Rotation:
            row = await db.fetchrow(sql.LOCK_FAMILY.text, *sql.LOCK_FAMILY.arguments(values))
            verdict = judge_rotation(row, jti=jti, now=moment)
            if verdict is Rotation.ROTATED:
                await _run(db, sql.ROTATE_FAMILY, values)
            elif verdict is Rotation.REUSED:
                await _run(db, sql.REUSED_FAMILY, values)
            return verdict

        return await self._pool.transaction(work)

    async def revoke(self, family: str, *, at: datetime, expires_at: datetime) -> bool:
        """Revoke a family, known or not."""
        row = new_family_row(family, tenant=self._tenant, user_id="", jti="", expires_at=expires_at)
        row["revoked_at"] = to_micros(at)
        return bool(affected(await self._pool.once(lambda db: _run(db, sql.REVOKE_FAMILY, row))))

    async def is_revoked(self, family: str) -> bool:
        """Whether the family was revoked."""
        statement = sql.FAMILY_REVOKED
        arguments = statement.arguments(self._family(family))
        row = await self._pool.repeatable(lambda db: db.fetchrow(statement.text, *arguments))
        return row is not None and row[0] is not None

    async def sweep(self, *, before: datetime) -> int:
        """Forget families that expired."""
        values = {"tenant": self._tenant, "before": to_micros(before)}
        return affected(await self._pool.once(lambda db: _run(db, sql.SWEEP_FAMILIES, values)))

    def _family(self, family: str) -> dict[str, Any]:
        return {"tenant": self._tenant, "family": family}


async def _run(db: Connection, statement: sql.Statement, values: Mapping[str, Any]) -> str:
    return await db.execute(statement.text, *statement.arguments(values))


def _found(row: Row) -> ApiKey:
    key = to_key(row)
    name = from_text(key.name)
    return key if name == key.name else msgspec.structs.replace(key, name=name)
