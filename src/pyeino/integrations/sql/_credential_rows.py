"""Rows of API keys and token families as records and back, and how a family is rotated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from pyeino.integrations.sql._rows import Row, to_datetime, to_micros
from pyeino.stores import ApiKey, Rotation

_decode_names = msgspec.json.Decoder(tuple[str, ...]).decode


def new_key_row(key: ApiKey, *, tenant: str) -> dict[str, Any]:
    """A key as the tables hold it."""
    return {
        "tenant": tenant,
        "prefix": key.prefix,
        "hash": key.hash,
        "name": key.name,
        "user_id": key.user_id,
        "roles": _encode_names(key.roles),
        "scopes": None if key.scopes is None else _encode_names(key.scopes),
        "created_at": to_micros(key.created_at),
        "expires_at": _micros(key.expires_at),
        "last_used_at": _micros(key.last_used_at),
        "revoked_at": _micros(key.revoked_at),
    }


def to_key(row: Row) -> ApiKey:
    """A row of `_key_fields`."""
    return ApiKey(
        prefix=row[0],
        hash=row[1],
        name=row[2],
        user_id=row[3],
        roles=_decode_names(row[4]),
        scopes=None if row[5] is None else _decode_names(row[5]),
        created_at=to_datetime(row[6]),
        expires_at=_datetime(row[7]),
        last_used_at=_datetime(row[8]),
        revoked_at=_datetime(row[9]),
    )


def new_family_row(
    family: str, *, tenant: str, user_id: str, jti: str, expires_at: datetime
) -> dict[str, Any]:
    """A family as the tables hold it, not revoked."""
    return {
        "tenant": tenant,
        "id": family,
        "user_id": user_id,
        "jti": jti,
        "expires_at": to_micros(expires_at),
        "revoked_at": None,
    }


def judge_rotation(row: Row | None, *, jti: str, now: int) -> Rotation:
    """What using the refresh token `jti` means for a locked row (jti, expires_at, revoked_at)."""
    if row is None or row[1] <= now:
        return Rotation.UNKNOWN
    if row[2] is not None:
        return Rotation.REVOKED
    return Rotation.ROTATED if row[0] == jti else Rotation.REUSED


def touch_rows(uses: Mapping[str, datetime], *, tenant: str) -> list[dict[str, Any]]:
    """The values of TOUCH_KEY, in one order for everybody, so that no two wait for each other."""
    return [
        {"tenant": tenant, "prefix_given": prefix, "at": to_micros(uses[prefix])}
        for prefix in sorted(uses)
    ]


def _encode_names(names: tuple[str, ...]) -> str:
    return msgspec.json.encode(names).decode()


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _datetime(micros: int | None) -> datetime | None:
    return None if micros is None else to_datetime(micros)
