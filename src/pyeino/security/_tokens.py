"""AuthService: signed tokens that say who asks, for how long, and what the token is good for."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final, Literal, cast

import msgspec

from pyeino.errors import MissingDependencyError, UnauthorizedError, ValidationError
from pyeino.security._principal import Role, scopes_of
from pyeino.security._secrets import check_secret

TokenKind = Literal["access", "refresh"]

ALGORITHM: Final = "HS256"
LEEWAY: Final = 5.0
"""Seconds by which the clocks of two machines may differ."""

_MOST: Final = 8192
_REQUIRED: Final = ("exp", "iat", "iss", "aud", "jti", "kind", "user_id", "roles")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says, checked. Times are seconds since 1970.

    `family` is shared by all tokens that came of one sign-in. `key_id` is the API key that the
    sign-in was made with, "" when there was none.
    """

    user_id: str
    roles: tuple[Role, ...]
    exp: int
    iat: int
    iss: str
    aud: str
    jti: str
    kind: TokenKind
    family: str
    scopes: frozenset[str]
    tenant: str = "local"
    key_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """A short-lived token for requests, and the one that gets the next pair, once.

    `expires_in` and `refresh_expires_in` are seconds from now.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    refresh_expires_in: int
    refresh_jti: str
    family: str


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The claims as they stand in a token; a wrong type is a forged token."""

    user_id: str
    roles: tuple[str, ...]
    exp: int
    iat: int
    iss: str
    aud: str
    jti: str
    kind: TokenKind
    family: str = ""
    scopes: tuple[str, ...] | None = None
    tenant: str = "local"
    key_id: str = ""


class AuthService:
    """Makes and checks tokens (JWT, HS256 and nothing else); it stores nothing.

    `secret` needs 32 bytes, as do `previous_secrets`, whose tokens stay valid until they expire:
    so a secret is rotated without signing anybody out. Clocks may differ by 5 seconds.
    """

    def __init__(
        self,
        secret: str,
        token_expiry: timedelta = timedelta(minutes=15),
        refresh_expiry: timedelta = timedelta(days=7),
        *,
        previous_secrets: Sequence[str] = (),
        issuer: str = "pyeino",
        audience: str = "pyeino",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises ValidationError WEAK_SECRET for a short secret, INVALID_EXPIRY for times."""
        _check_expiry(token_expiry, refresh_expiry)
        self._jwt = _pyjwt()
        current = check_secret(secret)
        self._kid = _key_id(current)
        self._secrets = {_key_id(one): one for one in map(check_secret, previous_secrets)}
        self._secrets[self._kid] = current
        self._token_expiry = round(token_expiry.total_seconds())
        self._refresh_expiry = round(refresh_expiry.total_seconds())
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    @property
    def refresh_expiry(self) -> timedelta:
        """How long a refresh token is good for."""
        return timedelta(seconds=self._refresh_expiry)

    def generate_token(self, user_id: str, roles: Iterable[Role]) -> str:
        """An access token alone, for `user_id` with all scopes of `roles`."""
        jti = _new_id()
        return self._sign(user_id, roles, kind="access", jti=jti, more={"family": jti})

    def generate_pair(
        self,
        user_id: str,
        roles: Iterable[Role],
        *,
        family: str | None = None,
        scopes: Collection[str] | None = None,
        tenant: str = "local",
        key_id: str = "",
    ) -> TokenPair:
        """An access token and a refresh token of one family, a new one when none is named.

        `scopes` narrow what the roles give; None gives it all.
        """
        roles = tuple(roles)
        jti, family = _new_id(), family or _new_id()
        more: dict[str, Any] = {"family": family, "tenant": tenant, "key_id": key_id}
        if scopes is not None:
            more["scopes"] = sorted(scopes)
        return TokenPair(
            access_token=self._sign(user_id, roles, kind="access", jti=_new_id(), more=more),
            refresh_token=self._sign(user_id, roles, kind="refresh", jti=jti, more=more),
            expires_in=self._token_expiry,
            refresh_expires_in=self._refresh_expiry,
            refresh_jti=jti,
            family=family,
        )

    def validate_token(self, token: str, *, kind: TokenKind = "access") -> Claims:
        """What `token` says, when it is ours, of this kind and not expired.

        Raises UnauthorizedError TOKEN_EXPIRED or INVALID_TOKEN; why it is invalid stands in the
        cause only, for the log.
        """
        payload = self._read(token)
        if payload.kind != kind:
            raise _invalid(f"expected a token of kind {kind}, found {payload.kind}")
        now = self._clock()
        if payload.iat > now + LEEWAY:
            raise _invalid("the token is from the future: the clocks differ")
        if payload.exp <= now - LEEWAY:
            raise UnauthorizedError(
                "TOKEN_EXPIRED", "The token has expired", details="Refresh it, or sign in again."
            )
        scopes = scopes_of(payload.roles) if payload.scopes is None else frozenset(payload.scopes)
        return Claims(
            user_id=payload.user_id,
            roles=payload.roles,
            exp=payload.exp,
            iat=payload.iat,
            iss=payload.iss,
            aud=payload.aud,
            jti=payload.jti,
            kind=payload.kind,
            family=payload.family or payload.jti,
            scopes=scopes,
            tenant=payload.tenant,
            key_id=payload.key_id,
        )

    def _sign(
        self,
        user_id: str,
        roles: Iterable[Role],
        *,
        kind: TokenKind,
        jti: str,
        more: Mapping[str, Any],
    ) -> str:
        now = int(self._clock())
        expiry = self._token_expiry if kind == "access" else self._refresh_expiry
        claims: dict[str, Any] = {
            "user_id": user_id,
            "roles": list(roles),
            "exp": now + expiry,
            "iat": now,
            "iss": self._issuer,
            "aud": self._audience,
            "jti": jti,
            "kind": kind,
            **more,
        }
        secret = self._secrets[self._kid]
        token: str = self._jwt.encode(claims, secret, ALGORITHM, headers={"kid": self._kid})
        return token

    def _read(self, token: str) -> _Payload:
        if len(token) > _MOST:
            raise _invalid(f"longer than {_MOST} characters")
        try:
            # Only the name of the key is taken from the unchecked header, never the algorithm.
            kid = self._jwt.get_unverified_header(token).get("kid")
            secret = self._secrets.get(kid) if isinstance(kid, str) else None
            if secret is None:
                raise _invalid("signed with a secret that is not, or no longer, known")
            found = self._jwt.decode(
                token,
                secret,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                options={
                    "require": list(_REQUIRED),
                    "strict_aud": True,
                    # Checked by `validate_token`, with its own clock.
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
            return msgspec.convert(found, _Payload)
        except (self._jwt.PyJWTError, msgspec.ValidationError, ValueError) as error:
            raise _invalid("not a token of ours", error) from None


def _check_expiry(token: timedelta, refresh: timedelta) -> None:
    if not timedelta(seconds=1) <= token <= refresh:
        raise ValidationError(
            "INVALID_EXPIRY",
            "Tokens have to last for at least a second, and refresh tokens no less than those: "
            f"found {token} and {refresh}",
            details="Set auth.token_expiry and auth.refresh_expiry, such as 15m and 168h.",
        )


def _invalid(reason: str, error: Exception | None = None) -> UnauthorizedError:
    told = f"{reason} ({error})" if error else reason
    return UnauthorizedError("INVALID_TOKEN", "Invalid token", cause=ValueError(told))


def _new_id() -> str:
    return secrets.token_urlsafe(16)


def _key_id(secret: bytes) -> str:
    return sha256(b"pyeino token secret\0" + secret).hexdigest()[:16]


def _pyjwt() -> Any:
    try:
        import jwt
    except ImportError as error:
        raise MissingDependencyError("PyJWT", extra="security") from error
    return cast("Any", jwt)
