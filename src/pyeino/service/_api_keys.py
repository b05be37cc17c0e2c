"""Making an API key that says what it may do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pyeino.errors import ValidationError
from pyeino.security import ROLE_SCOPES, SCOPES, new_api_key
from pyeino.stores import ApiKey, ApiKeyRepository


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
    UNKNOWN_SCOPE, or INVALID_REQUEST for an empty user or a time that is over.
    """
    if not user_id:
        raise _wrong("user_id", expected="the user that the key acts for", found="nothing")
    if expires_in is not None and expires_in <= timedelta(0):
        raise _wrong("expires_in", expected="more than 0", found=str(expires_in))
    _check_known(roles, known=ROLE_SCOPES, code="UNKNOWN_ROLE", what="role")
    _check_known(scopes or (), known=SCOPES, code="UNKNOWN_SCOPE", what="scope")
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


def _check_known(given: Collection[str], *, known: Collection[str], code: str, what: str) -> None:
    for one in given:
        if one not in known:
            names = ", ".join(sorted(known))
            raise ValidationError(
                code,
                f"There is no {what} {one!r}",
                details=f"Known: {names}.",
                metadata={"expected": names, "found": one},
            )


def _wrong(field: str, *, expected: str, found: str) -> ValidationError:
    return ValidationError(
        "INVALID_REQUEST",
        f"{field}: expected {expected}, found {found}",
        metadata={"field": field, "expected": expected, "found": found},
    )
