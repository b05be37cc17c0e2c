"""Checks of who reaches the server: exposure, authentication, limits, proxies, other origins."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from pyeino.wiring._located import problem_at, value_at
from pyeino.wiring._placeholders import PLACEHOLDER
from pyeino.wiring._problem import SettingProblem
from pyeino.wiring._tree import Settings

LEAST_SECRET = 32
LEAST_TOKEN = 16
_FEWEST_CHARACTERS = 8
_MAKE_ONE = "Make one with `pyeino keys secret`, and set it as {variable} or {variable}_FILE"
# Each is long enough that a random secret does not hold it.
_PLACEHOLDERS = (
    *("changeme", "replaceme", "yoursecret", "yourjwtsecret", "mysecret", "supersecret"),
    *("placeholder", "defaultsecret", "jwtsecret", "insecure", "verysecret", "secretkey"),
)
_COMMON_PASSWORDS = frozenset(
    {"admin", "changeme", "password", "postgres", "pyeino", "redis", "root", "secret", "test"}
    | {"yourpassword"}
)
_ONLY_WITH_AUTH = ("auth.jwt_secret", "auth.previous_jwt_secrets", "auth.bootstrap_key")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_access(settings: Settings) -> list[SettingProblem]:
    """All that is wrong with who may reach and use the server."""
    return [
        *_check_exposure(settings),
        *_check_auth(settings),
        *_check_limits(settings),
        *_check_proxies(settings),
        *_check_origins(settings),
        *_check_passwords(settings),
    ]


def is_placeholder(secret: str) -> bool:
    """Whether `secret` is what stands in examples, or one that anybody would try."""
    letters = "".join(one for one in secret.lower() if one.isalnum())
    return any(word in letters for word in _PLACEHOLDERS) or len(set(secret)) < _FEWEST_CHARACTERS


def _check_exposure(settings: Settings) -> Iterator[SettingProblem]:
    server = settings.server
    open_to_all = not is_loopback(server.host) and not settings.auth.enabled
    if open_to_all and not server.allow_public_without_auth:
        yield problem_at(
            settings,
            "server.host",
            "everybody who reaches this machine could use the server",
            remedy="Set auth.enabled: true; or listen on 127.0.0.1; or, behind a proxy that "
            "authenticates, set server.allow_public_without_auth: true",
        )
    if settings.environment == "production" and not settings.auth.enabled:
        yield problem_at(
            settings,
            "environment",
            "production needs authentication",
            remedy="Set auth.enabled: true and auth.jwt_secret; or, behind a proxy that "
            "authenticates, run with ENV=staging",
        )


def _check_auth(settings: Settings) -> Iterator[SettingProblem]:
    auth = settings.auth
    if not auth.enabled:
        for path in _ONLY_WITH_AUTH:
            if value_at(settings, path):
                yield problem_at(
                    settings,
                    path,
                    "nobody is asked for credentials",
                    remedy="Set auth.enabled: true, or remove it",
                )
    elif not auth.jwt_secret:
        yield problem_at(
            settings,
            "auth.jwt_secret",
            "tokens need a secret to be signed with",
            remedy=_MAKE_ONE.format(variable="PYEINO_AUTH__JWT_SECRET"),
        )
    for path in _ONLY_WITH_AUTH:
        yield from _check_secret(settings, path, least=LEAST_SECRET)
    yield from _check_secret(settings, "metrics.token", least=LEAST_TOKEN)
    if auth.refresh_expiry < auth.token_expiry:
        yield problem_at(
            settings,
            "auth.refresh_expiry",
            f"shorter than auth.token_expiry, {auth.token_expiry:g} s",
            remedy="Give it at least as long; a week is the default",
        )


def _check_secret(settings: Settings, path: str, *, least: int) -> Iterator[SettingProblem]:
    value: Any = value_at(settings, path)
    variable = f"PYEINO_{path.upper().replace('.', '__')}"
    for secret in (value,) if isinstance(value, str) else value:
        if not secret or PLACEHOLDER in secret:
            continue  # the placeholder of our own files is told elsewhere
        found = ""
        if len(secret.encode()) < least:
            found = f"at least {least} bytes are needed, found {len(secret.encode())}"
        elif is_placeholder(secret):
            found = "a placeholder, which anybody can guess"
        if found:
            yield problem_at(settings, path, found, remedy=_MAKE_ONE.format(variable=variable))


def _check_limits(settings: Settings) -> Iterator[SettingProblem]:
    if settings.limits.burst is not None and settings.limits.requests_per_minute is None:
        yield problem_at(
            settings,
            "limits.burst",
            "there is no limit that it belongs to",
            remedy="Set limits.requests_per_minute, or remove it",
        )


def _check_proxies(settings: Settings) -> Iterator[SettingProblem]:
    for text in settings.server.trusted_proxies:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            found = f"{text[:80]!r} is neither an address nor a network"
        else:
            if network.prefixlen:
                continue
            found = f"{text} is everybody: anyone could name any address as their own"
        yield problem_at(
            settings,
            "server.trusted_proxies",
            found,
            remedy="Give the addresses of your proxies, such as 10.0.0.7 or 10.1.0.0/16",
        )


def _check_origins(settings: Settings) -> Iterator[SettingProblem]:
    path = "server.cors_origins"
    for text in settings.server.cors_origins:
        if text == "*":
            if not settings.auth.enabled:
                yield problem_at(
                    settings,
                    path,
                    "without authentication any page that somebody has open could use the server",
                    remedy="Name the origins, or set auth.enabled: true",
                )
        elif not _is_origin(text):
            yield problem_at(
                settings,
                path,
                f"{text[:80]!r} is no origin",
                remedy="Give scheme and host, such as https://chat.example, or *",
            )


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    plain = f"{parts.scheme}://{parts.netloc}"
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and text.rstrip("/") == plain
        and port != 0
    )


def _check_passwords(settings: Settings) -> Iterator[SettingProblem]:
    """In production the databases do not have the passwords of examples either."""
    if settings.environment != "production":
        return
    for path in ("database.url", "redis.url"):
        try:
            url: str = value_at(settings, path)
            password = unquote(urlsplit(url).password or "")
        except ValueError:
            continue  # told elsewhere
        letters = "".join(one for one in password.lower() if one.isalnum())
        if letters in _COMMON_PASSWORDS:
            yield problem_at(
                settings,
                path,
                "its password is a placeholder, which anybody can guess",
                remedy="Give the user a password of its own, and keep it in a file (…_FILE)",
            )
