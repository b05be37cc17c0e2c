"""The routes of signing in: tokens for an API key, renewed and revoked, and who one is."""

from __future__ import annotations

from typing import Literal

import msgspec

from pyeino.errors import UnauthorizedError
from pyeino.security import Principal, TokenPair
from pyeino.server._exchange import Exchange
from pyeino.service import Authenticator


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For whom tokens are asked; without `user_id` for the owner of the API key."""

    user_id: str | None = None


class RefreshRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The refresh token of the last answer; it is good once."""

    refresh_token: str


class RevokeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An access or refresh token; all that came of the same sign-in ends with it."""

    token: str


class TokenGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of tokens; `expires_in` and `refresh_expires_in` are seconds from now."""

    access_token: str
    refresh_token: str
    expires_in: int
    refresh_expires_in: int
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (a name, not a secret)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who the credentials of this request stand for, and what they allow."""

    user_id: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    kind: Literal["local", "token", "api_key"]


async def issue_token(exchange: Exchange, request: TokenRequest) -> None:
    """A pair of tokens for an API key."""
    principal = _principal(exchange)
    if principal.kind == "token":
        raise UnauthorizedError(
            "API_KEY_NEEDED",
            "Tokens are given for an API key, not for another token",
            details="Send the API key, or POST the refresh token to /api/v1/auth/refresh.",
            http_status=403,
        )
    pair = await _authenticator(exchange).issue(principal, user_id=request.user_id)
    await exchange.reply_json(_grant(pair))


async def refresh_token(exchange: Exchange, request: RefreshRequest) -> None:
    """The next pair for a refresh token; one that was used before ends its whole family."""
    _guarded(exchange)
    try:
        pair = await _authenticator(exchange).refresh(request.refresh_token)
    except UnauthorizedError as error:
        _note(exchange, error)
        raise
    await exchange.reply_json(_grant(pair))


async def revoke_token(exchange: Exchange, request: RevokeRequest) -> None:
    """Sign out."""
    _guarded(exchange)
    try:
        await _authenticator(exchange).revoke(request.token)
    except UnauthorizedError as error:
        _note(exchange, error)
        raise
    await exchange.reply_nothing()


async def show_identity(exchange: Exchange, _: None) -> None:
    """Who one is."""
    principal = _principal(exchange)
    await exchange.reply_json(
        Identity(
            user_id=principal.user_id,
            roles=tuple(sorted(principal.roles)),
            scopes=tuple(sorted(principal.scopes)),
            kind=principal.kind,
        )
    )


def _guarded(exchange: Exchange) -> None:
    caller = exchange.caller
    if caller is not None:
        exchange.backend.doorkeeper.check_failures(caller.address)


def _note(exchange: Exchange, error: UnauthorizedError) -> None:
    caller = exchange.caller
    if caller is not None:
        exchange.backend.doorkeeper.note_failure(caller.address, error)


def _principal(exchange: Exchange) -> Principal:
    caller = exchange.caller
    if caller is None or caller.principal is None:
        raise UnauthorizedError("API_KEY_REQUIRED", "API key required")
    return caller.principal


def _authenticator(exchange: Exchange) -> Authenticator:
    authenticator = exchange.backend.doorkeeper.authenticator
    if authenticator is None:
        raise AssertionError("the routes of signing in are there with auth only")
    return authenticator


def _grant(pair: TokenPair) -> TokenGrant:
    return TokenGrant(
        access_token=pair.access_token,
        refresh_token=pair.refresh_token,
        expires_in=pair.expires_in,
        refresh_expires_in=pair.refresh_expires_in,
    )
