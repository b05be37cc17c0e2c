"""Authenticator: from what a request shows to who it acts for; tokens given, renewed, revoked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import TracebackType
from typing import Final, Self

from pyeino.errors import AppError, UnauthorizedError
from pyeino.monitoring import Logger
from pyeino.security import (
    API_KEY_MARK,
    SCOPES,
    AuthService,
    Claims,
    Principal,
    TokenPair,
    api_key_matches,
    api_key_prefix,
    hash_api_key,
    same_secret,
    scopes_of,
)
from pyeino.service._recent import Recent
from pyeino.service._validation import check_id
from pyeino.stores import ApiKey, ApiKeyRepository, Rotation, TokenRepository

BOOTSTRAP: Final = "bootstrap"
"""User and client id of whoever shows the bootstrap key."""

_REMEMBERED: Final = 4096
_SWEEP_EVERY: Final = 3600.0
_LAST_FLUSH: Final = 5.0
_SHORTEST_BOOTSTRAP: Final = 32


class Authenticator:
    """Checks credentials against the stores; use it with `async with`, which owns its task.

    What was found good is believed for `cache_ttl` seconds, so that most requests ask no
    database: a key or token that another process revokes is refused after that time at the
    latest, one revoked here at once. Last uses are written every `flush_interval` seconds, and at
    the end; expired families of tokens are swept every hour. `clock` gives seconds since 1970.
    Made for one event loop.
    """

    def __init__(
        self,
        auth: AuthService,
        keys: ApiKeyRepository,
        tokens: TokenRepository,
        *,
        bootstrap_key: str | None = None,
        tenant: str = "local",
        cache_ttl: float = 10.0,
        flush_interval: float = 60.0,
        logger: Logger | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """ValueError for a bootstrap key of fewer than 32 characters; None or "" is none."""
        if bootstrap_key and len(bootstrap_key) < _SHORTEST_BOOTSTRAP:
            raise ValueError(f"a bootstrap key needs at least {_SHORTEST_BOOTSTRAP} characters")
        self._auth = auth
        self._keys = keys
        self._tokens = tokens
        self._bootstrap_key = bootstrap_key or ""
        # Tokens got with a bootstrap key end with it, so they say which one it was: in so few
        # digits that whoever reads a token cannot try keys on them.
        self._bootstrap_id = f"{BOOTSTRAP}:{hash_api_key(self._bootstrap_key)[:6]}"
        self._tenant = tenant
        self._flush_interval = flush_interval
        self._log = logger
        self._clock = clock
        self._good_keys: Recent[ApiKey] = Recent(ttl=cache_ttl, most=_REMEMBERED, clock=clock)
        self._good_families: Recent[bool] = Recent(ttl=cache_ttl, most=_REMEMBERED, clock=clock)
        self._good_tokens: Recent[Claims] = Recent(ttl=cache_ttl, most=_REMEMBERED, clock=clock)
        self._uses: dict[str, datetime] = {}
        self._task: asyncio.Task[None] | None = None

    async def authenticate(
        self, *, bearer: str | None = None, api_key: str | None = None
    ) -> Principal:
        """Who the credentials of a request stand for; `api_key` counts when both are given.

        `bearer` is what follows "Bearer " in `Authorization`: a token, or an API key, as clients
        of OpenAI send theirs. Raises UnauthorizedError API_KEY_REQUIRED, INVALID_API_KEY,
        INVALID_TOKEN, TOKEN_EXPIRED or TOKEN_REVOKED (401).
        """
        if api_key:
            return await self._with_key(api_key)
        if not bearer:
            raise UnauthorizedError("API_KEY_REQUIRED", "API key required")
        if bearer.startswith(API_KEY_MARK) or self._is_bootstrap(bearer):
            return await self._with_key(bearer)
        claims = self._claims_of(bearer)
        self._check_tenant(claims)
        await self._check_family(claims.family)
        return Principal(
            user_id=claims.user_id,
            roles=frozenset(claims.roles),
            scopes=claims.scopes,
            kind="token",
            client_id=claims.family,
            tenant=claims.tenant,
        )

    async def issue(self, principal: Principal, *, user_id: str | None = None) -> TokenPair:
        """A first pair of tokens for who showed an API key, or for another user.

        Tokens for another user have the role "user" and no scope that the key lacks; they need
        the scope act_for_others, else UnauthorizedError USER_NOT_ALLOWED (403). A token gets no
        tokens: UnauthorizedError API_KEY_REQUIRED. ValidationError INVALID_REQUEST for a `user_id`
        that is none: not 1 to 128 printable characters.
        """
        if principal.kind == "token":
            raise UnauthorizedError("API_KEY_REQUIRED", "API key required")
        roles, scopes = principal.roles, principal.scopes
        if user_id is not None and user_id != principal.user_id:
            check_id("user_id", user_id)
            if not principal.allows("act_for_others"):
                raise UnauthorizedError(
                    "USER_NOT_ALLOWED",
                    "These credentials may not act for another user",
                    details="Leave user_id out, or use a key with the scope act_for_others.",
                    http_status=403,
                )
            roles, scopes = frozenset({"user"}), scopes & scopes_of({"user"})
        pair = self._auth.generate_pair(
            principal.user_id if user_id is None else user_id,
            sorted(roles),
            scopes=scopes,
            tenant=self._tenant,
            key_id=self._key_id_of(principal),
        )
        await self._tokens.begin(
            pair.family,
            user_id=principal.user_id if user_id is None else user_id,
            jti=pair.refresh_jti,
            expires_at=self._now() + self._auth.refresh_expiry,
        )
        return pair

    async def refresh(self, refresh_token: str) -> TokenPair:
        """The next pair for a refresh token, which is good once.

        A token that was used before revokes all that came of its sign-in: TOKEN_REVOKED. So does
        one whose API key has been revoked or has expired meanwhile.
        """
        claims = self._auth.validate_token(refresh_token, kind="refresh")
        self._check_tenant(claims)
        if not await self._key_still_good(claims):
            await self._revoke_family(claims.family)
            raise _revoked()
        pair = self._auth.generate_pair(
            claims.user_id,
            claims.roles,
            family=claims.family,
            scopes=claims.scopes,
            tenant=claims.tenant,
            key_id=claims.key_id,
        )
        now = self._now()
        rotation = await self._tokens.rotate(
            claims.family,
            jti=claims.jti,
            new_jti=pair.refresh_jti,
            now=now,
            expires_at=now + self._auth.refresh_expiry,
        )
        if rotation is Rotation.ROTATED:
            return pair
        self._good_families.drop(claims.family)
        if rotation is Rotation.REUSED and self._log:
            self._log.warn(
                "A refresh token was used twice; its family is revoked", user_id=claims.user_id
            )
        raise _revoked()

    async def revoke(self, token: str) -> None:
        """Sign out: revoke an access or refresh token and all that came of the same sign-in.

        Raises UnauthorizedError INVALID_TOKEN or TOKEN_EXPIRED; revoking twice is fine.
        """
        try:
            claims = self._auth.validate_token(token, kind="refresh")
        except UnauthorizedError as error:
            if error.code == "TOKEN_EXPIRED":
                raise
            claims = self._auth.validate_token(token)
        self._check_tenant(claims)
        await self._revoke_family(claims.family)

    async def revoke_key(self, prefix: str) -> bool:
        """End an API key for good, here at once; False when it was revoked before.

        NotFoundError API_KEY_NOT_FOUND. Tokens that were got with it end at their next refresh.
        """
        done = await self._keys.revoke(prefix, at=self._now())
        self._good_keys.drop(prefix)
        return done

    async def flush(self) -> None:
        """Write the last uses of keys now; what cannot be written is kept for the next time."""
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await self._keys.touch(uses)
        except BaseException:
            self._uses = uses | self._uses
            raise

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work(), name="authenticator")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()  # it never ends by itself: this raises what it died of
        try:
            async with asyncio.timeout(_LAST_FLUSH):
                await self.flush()
        except (AppError, TimeoutError) as trouble:
            self._tell("The last uses of API keys could not be written", trouble)

    async def _with_key(self, plain: str) -> Principal:
        if self._is_bootstrap(plain):
            return Principal(
                user_id=BOOTSTRAP,
                roles=frozenset({"admin"}),
                scopes=SCOPES,
                kind="api_key",
                client_id=BOOTSTRAP,
                tenant=self._tenant,
            )
        prefix, since = api_key_prefix(plain), self._good_keys.drops
        key = None if prefix is None else await self._find(prefix)
        # Compared even when there is no such key, so that the time tells nothing.
        matches = api_key_matches(plain, key.hash if key else hash_api_key(""))
        now = self._now()
        if key is None or not matches or not key.is_valid(now):
            raise UnauthorizedError("INVALID_API_KEY", "Invalid API key")
        if self._good_keys.get(key.prefix) is None:
            self._good_keys.put(key.prefix, key, since=since)
        self._note_use(key.prefix, now)
        return Principal(
            user_id=key.user_id,
            roles=frozenset(key.roles),
            scopes=scopes_of(key.roles) if key.scopes is None else frozenset(key.scopes),
            kind="api_key",
            client_id=key.prefix,
            tenant=self._tenant,
        )

    def _claims_of(self, token: str) -> Claims:
        """What an access token says; the signature of one just seen is not computed again."""
        name = sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        claims = self._good_tokens.get(name)
        if claims is None or claims.exp <= self._clock():
            claims = self._auth.validate_token(token)
            self._good_tokens.put(name, claims)
        return claims

    def _key_id_of(self, principal: Principal) -> str:
        if principal.kind != "api_key":
            return ""
        return self._bootstrap_id if principal.client_id == BOOTSTRAP else principal.client_id

    async def _find(self, prefix: str) -> ApiKey | None:
        return self._good_keys.get(prefix) or await self._keys.find_by_prefix(prefix)

    async def _key_still_good(self, claims: Claims) -> bool:
        if not claims.key_id:
            return True
        if claims.key_id.startswith(BOOTSTRAP):
            return bool(self._bootstrap_key) and claims.key_id == self._bootstrap_id
        key = await self._keys.find_by_prefix(claims.key_id)
        return key is not None and key.is_valid(self._now())

    async def _check_family(self, family: str) -> None:
        """Raise TOKEN_REVOKED; that is remembered, too, so that asking again costs nothing."""
        good = self._good_families.get(family)
        if good is None:
            since = self._good_families.drops
            good = not await self._tokens.is_revoked(family)
            self._good_families.put(family, good, since=since)
        if not good:
            raise _revoked()

    async def _revoke_family(self, family: str) -> None:
        now = self._now()
        # As long as the longest-lived token of the family may still be shown.
        until = now + self._auth.refresh_expiry + timedelta(minutes=1)
        await self._tokens.revoke(family, at=now, expires_at=until)
        self._good_families.drop(family)

    def _is_bootstrap(self, plain: str) -> bool:
        return bool(self._bootstrap_key) and same_secret(plain, self._bootstrap_key)

    def _check_tenant(self, claims: Claims) -> None:
        if claims.tenant != self._tenant:
            cause = ValueError("a token of another tenant")
            raise UnauthorizedError("INVALID_TOKEN", "Invalid token", cause=cause)

    def _note_use(self, prefix: str, now: datetime) -> None:
        if prefix in self._uses or len(self._uses) < _REMEMBERED:
            self._uses[prefix] = now

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    async def _work(self) -> None:
        sweep_at = 0.0
        while True:
            await asyncio.sleep(self._flush_interval)
            try:
                await self.flush()
                if time.monotonic() >= sweep_at:
                    await self._tokens.sweep(before=self._now())
                    sweep_at = time.monotonic() + _SWEEP_EVERY
            except AppError as error:  # the database is away: the next round tries again
                self._tell("API keys and tokens could not be kept in order", error)

    def _tell(self, message: str, error: Exception) -> None:
        if self._log:
            self._log.warn(message, error=error)


def _revoked() -> UnauthorizedError:
    return UnauthorizedError(
        "TOKEN_REVOKED", "The token has been revoked", details="Sign in again."
    )
