"""What every store of API keys and token families has to pass.

Run each check against fresh scopes of your store, as with STORE_CHECKS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import msgspec

from pyeino.stores import ApiKey, ApiKeyRepository, Rotation, TokenRepository
from pyeino.testing._expect import expect, expect_equal, expect_error


class CredentialScope(Protocol):
    """The repositories of one tenant."""

    @property
    def api_keys(self) -> ApiKeyRepository:
        """The tenant's API keys."""
        ...

    @property
    def tokens(self) -> TokenRepository:
        """The tenant's families of tokens."""
        ...


CredentialScopeOf = Callable[[str], CredentialScope]
"""Gives the scope of a tenant; scopes of the same name see the same rows."""

CredentialCheck = Callable[[CredentialScopeOf], Awaitable[None]]

_NOW: Final = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
_DAY: Final = timedelta(days=1)


def _key(prefix: str, *, minutes: int = 0) -> ApiKey:
    return ApiKey(
        prefix=prefix,
        hash="ab" * 32,
        name="Grüße\x00🌍",
        user_id="ann",
        roles=("user", "metrics"),
        scopes=("chat",),
        created_at=_NOW + timedelta(minutes=minutes),
        expires_at=_NOW + _DAY,
    )


async def check_key_round_trip(scope_of: CredentialScopeOf) -> None:
    """What was added is what is found; a prefix is taken once; a tenant sees its own."""
    keys = scope_of("t").api_keys
    whole = _key("aaaa")
    bare = ApiKey(prefix="bbbb", hash="cd" * 32, user_id="bob", created_at=_NOW)
    for key in (whole, bare):
        await keys.add(key)
        expect_equal(await keys.find_by_prefix(key.prefix), key, "a key is kept exactly")
    expect_equal(await keys.find_by_prefix("cccc"), None, "an unknown key is not there")
    expect_equal(await scope_of("other").api_keys.find_by_prefix("aaaa"), None, "tenants are apart")
    error = await expect_error(keys.add(_key("aaaa")), "API_KEY_EXISTS", "a prefix is taken once")
    expect_equal(error.http_status, 409, "a taken prefix is a conflict")
    await scope_of("other").api_keys.add(_key("aaaa"))


async def check_keys_are_listed(scope_of: CredentialScopeOf) -> None:
    """A walk over the pages meets each key once, newest first."""
    keys = scope_of("t").api_keys
    for number in range(5):
        await keys.add(_key(f"k{number}", minutes=number // 2))
    await scope_of("other").api_keys.add(_key("foreign"))
    found: list[str] = []
    cursor = None
    while True:
        page = await keys.list(limit=2, cursor=cursor)
        found += [key.prefix for key in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    expect_equal(found, ["k4", "k3", "k2", "k1", "k0"], "each once, newest first")
    for limit in (0, 501):
        await expect_error(keys.list(limit=limit), "INVALID_REQUEST", "pages have bounds")


async def check_key_revocation(scope_of: CredentialScopeOf) -> None:
    """A key is revoked once, for good, and stays to be seen."""
    keys = scope_of("t").api_keys
    await keys.add(_key("aaaa"))
    foreign = scope_of("other").api_keys
    for call in (keys.revoke("zzzz", at=_NOW), foreign.revoke("aaaa", at=_NOW)):
        await expect_error(call, "API_KEY_NOT_FOUND", "what is not there cannot be revoked")
    results = await asyncio.gather(*(keys.revoke("aaaa", at=_NOW) for _ in range(8)))
    expect_equal(sum(results), 1, "exactly one of many calls revokes")
    expect_equal(await keys.revoke("aaaa", at=_NOW + _DAY), False, "once is enough")
    found = await keys.find_by_prefix("aaaa")
    expect_equal(found and found.revoked_at, _NOW, "the first time counts")
    expect(found and not found.is_valid(_NOW), "a revoked key is not valid")


async def check_key_use(scope_of: CredentialScopeOf) -> None:
    """The last use is kept and never goes back."""
    keys = scope_of("t").api_keys
    await keys.add(_key("aaaa"))
    await keys.add(_key("bbbb"))
    await keys.touch({})
    await keys.touch({"aaaa": _NOW + _DAY, "bbbb": _NOW, "gone": _NOW})
    await keys.touch({"aaaa": _NOW, "bbbb": _NOW + _DAY})
    for prefix in ("aaaa", "bbbb"):
        found = await keys.find_by_prefix(prefix)
        expect_equal(found and found.last_used_at, _NOW + _DAY, "the latest use is kept")
        expected = msgspec.structs.replace(_key(prefix), last_used_at=_NOW + _DAY)
        expect_equal(found, expected, "nothing else is changed")


async def check_rotation(scope_of: CredentialScopeOf) -> None:
    """Only the newest token of a family is good, once; a second use revokes the family."""
    tokens = scope_of("t").tokens
    await tokens.begin("f", user_id="ann", jti="1", expires_at=_NOW + _DAY)
    await tokens.begin("other", user_id="ann", jti="1", expires_at=_NOW + _DAY)
    expect_equal(await _rotate(tokens, "f", "1", "2"), Rotation.ROTATED, "the first use is good")
    expect_equal(await _rotate(tokens, "f", "2", "3"), Rotation.ROTATED, "so is the next token's")
    expect_equal(await tokens.is_revoked("f"), False, "nothing is revoked by proper use")
    expect_equal(await _rotate(tokens, "f", "1", "x"), Rotation.REUSED, "a second use is seen")
    expect_equal(await tokens.is_revoked("f"), True, "it revokes the family")
    for jti in ("3", "x", "1"):
        verdict = await _rotate(tokens, "f", jti, "y")
        expect_equal(verdict, Rotation.REVOKED, "no token of a revoked family is good")
    expect_equal(await tokens.is_revoked("other"), False, "other families go on")
    expect_equal(await _rotate(tokens, "never", "1", "2"), Rotation.UNKNOWN, "unknown is no token")
    foreign = scope_of("elsewhere").tokens
    expect_equal(await _rotate(foreign, "other", "1", "2"), Rotation.UNKNOWN, "tenants are apart")


async def check_rotation_side_by_side(scope_of: CredentialScopeOf) -> None:
    """Of many calls with one token exactly one wins; the next one revokes the family."""
    tokens = scope_of("t").tokens
    for number in range(5):
        family = f"f{number}"
        await tokens.begin(family, user_id="ann", jti="1", expires_at=_NOW + _DAY)
        calls = (_rotate(tokens, family, "1", f"new{index}") for index in range(8))
        verdicts = sorted(map(str, await asyncio.gather(*calls)))
        expected = sorted([Rotation.ROTATED, Rotation.REUSED, *[Rotation.REVOKED] * 6])
        expect_equal(verdicts, [str(one) for one in expected], "exactly one wins, one is caught")
        expect_equal(await tokens.is_revoked(family), True, "the family is revoked")


async def check_token_revocation(scope_of: CredentialScopeOf) -> None:
    """Families are revoked once, known or not, until their tokens have expired."""
    tokens = scope_of("t").tokens
    await tokens.begin("known", user_id="ann", jti="1", expires_at=_NOW + _DAY)
    for family in ("known", "unknown"):
        expect_equal(await tokens.is_revoked(family), False, "nothing is revoked by itself")
        calls = (tokens.revoke(family, at=_NOW, expires_at=_NOW + 2 * _DAY) for _ in range(8))
        expect_equal(sum(await asyncio.gather(*calls)), 1, "exactly one of many calls revokes")
        expect_equal(await tokens.is_revoked(family), True, "it is revoked")
        verdict = await _rotate(tokens, family, "1", "2")
        expect_equal(verdict, Rotation.REVOKED, "a revoked family gives no tokens")
    expect_equal(await scope_of("other").tokens.is_revoked("known"), False, "tenants are apart")


async def check_sweep(scope_of: CredentialScopeOf) -> None:
    """Expired families are no good and can be forgotten; others stay."""
    tokens = scope_of("t").tokens
    await tokens.begin("old", user_id="ann", jti="1", expires_at=_NOW - _DAY)
    await tokens.begin("new", user_id="ann", jti="1", expires_at=_NOW + _DAY)
    await tokens.revoke("gone", at=_NOW - 3 * _DAY, expires_at=_NOW - 2 * _DAY)
    foreign = scope_of("other").tokens
    await foreign.begin("old", user_id="ann", jti="1", expires_at=_NOW - _DAY)
    expect_equal(await _rotate(tokens, "old", "1", "2"), Rotation.UNKNOWN, "expired is no good")
    expect_equal(await tokens.sweep(before=_NOW), 2, "what has expired is swept")
    expect_equal(await tokens.sweep(before=_NOW), 0, "once")
    expect_equal(await _rotate(tokens, "new", "1", "2"), Rotation.ROTATED, "the rest stays")
    expect_equal(await foreign.sweep(before=_NOW), 1, "each tenant sweeps its own")


async def _rotate(tokens: TokenRepository, family: str, jti: str, new_jti: str) -> Rotation:
    return await tokens.rotate(
        family, jti=jti, new_jti=new_jti, now=_NOW, expires_at=_NOW + 2 * _DAY
    )


CREDENTIAL_CHECKS: Final[tuple[CredentialCheck, ...]] = (
    check_key_round_trip,
    check_keys_are_listed,
    check_key_revocation,
    check_key_use,
    check_rotation,
    check_rotation_side_by_side,
    check_token_revocation,
    check_sweep,
)
"""All checks of this module; each wants scopes that nothing was stored in."""
