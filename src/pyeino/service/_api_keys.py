"""Making an API key that says what it may do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from pyeino.errors import ValidationError
from pyeino.security import ROLE_SCOPES, SCOPES, new_api_key
from pyeino.service._validation import check_id
from pyeino.stores import ApiKey, ApiKeyRepository

_LONGEST: Final = timedelta(days=36_525)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedApiKey:
    """A key just made: `plain` is for its owner and can never be shown again."""

    plain: str = field(repr=False)
    record: ApiKey


async def create_api_key(
    keys: ApiKeyRepository,
    *,
    user_id: str,
    name: str = "",
    roles: Collection[str] = ("user",),
    scopes: Collection[str] | None = None,
    expires_in: timedelta | None = None,
) -> CreatedApiKey:
    """Make a key for `user_id` and keep its hash in `keys`.

    `scopes` are taken instead of what the roles give. Raises ValidationError UNKNOWN_ROLE,
    UNKNOWN_SCOPE, or INVALID_REQUEST for a user id that is none or a time that is over.
    """
    check_id("user_id", user_id)
    if expires_in is not None and not timedelta(0) < expires_in <= _LONGEST:
        raise _wrong("expires_in", expected="more than 0, at most 100 years", found=str(expires_in))
    for role in roles:
        if role not in ROLE_SCOPES:
            raise _unknown_error("UNKNOWN_ROLE", "role", role, ROLE_SCOPES)
    for scope in scopes or ():
        if scope not in SCOPES:
            raise _unknown_error("UNKNOWN_SCOPE", "scope", scope, SCOPES)
    made, now = new_api_key(), datetime.now(UTC)
    record = ApiKey(
        prefix=made.prefix,
        hash=made.hash,
        name=name,
        user_id=user_id,
        roles=tuple(sorted(set(roles))),
        scopes=None if scopes is None else tuple(sorted(set(scopes))),
        created_at=now,
        expires_at=None if expires_in is None else now + expires_in,
    )
    await keys.add(record)
    return CreatedApiKey(plain=made.plain, record=record)


def _unknown_error(code: str, what: str, found: str, known: Collection[str]) -> ValidationError:
    names = ", ".join(sorted(known))
    return ValidationError(
        code,
        f"There is no {what} {found!r}",
        details=f"Known: {names}.",
        metadata={"expected": names, "found": found},
    )


def _wrong(field: str, *, expected: str, found: str) -> ValidationError:
    return ValidationError(
        "INVALID_REQUEST",
        f"{field}: expected {expected}, found {found}",
        metadata={"field": field, "expected": expected, "found": found},
    )
