"""pyeino keys create | list | revoke | secret."""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime, timedelta

from pyeino.cli._exit import ExitCode, UsageError
from pyeino.cli._settings import settings_from
from pyeino.cli._terminal import note, printable, say
from pyeino.security import new_secret
from pyeino.service import CreatedApiKey, create_api_key
from pyeino.stores import ApiKey
from pyeino.wiring import Settings, open_api_keys, parse_duration

_PAGE = 100


def create(arguments: argparse.Namespace) -> int:
    """Make an API key and print it, once; everything else goes to standard error."""
    settings = settings_from(arguments)
    made = asyncio.run(_create(settings, arguments, expires_in=_duration(arguments.expires)))
    note(f"made API key {_described(made.record)}")
    note("keep it now: it is not stored and cannot be shown again")
    say(made.plain)
    return ExitCode.OK


def show_list(arguments: argparse.Namespace) -> int:
    """Print every key on a line of its own, newest first; never the key itself."""
    keys = asyncio.run(_list(settings_from(arguments)))
    for key in keys:
        say(_described(key))
    if not keys:
        note("no API keys; make one with `pyeino keys create --user NAME`")
    return ExitCode.OK


def revoke(arguments: argparse.Namespace) -> int:
    """End a key for good; 0 as well when it was revoked before."""
    done = asyncio.run(_revoke(settings_from(arguments), arguments.prefix))
    note(f"{arguments.prefix} {'is revoked' if done else 'was revoked before'}")
    return ExitCode.OK


def show_secret(_: argparse.Namespace) -> int:
    """Print a fresh secret: for auth.jwt_secret and for database.encryption_key."""
    say(new_secret())
    return ExitCode.OK


async def _create(
    settings: Settings, arguments: argparse.Namespace, *, expires_in: timedelta | None
) -> CreatedApiKey:
    async with open_api_keys(settings) as keys:
        return await create_api_key(
            keys,
            user_id=arguments.user,
            name=arguments.name,
            roles=arguments.roles or ("user",),
            scopes=arguments.scopes,
            expires_in=expires_in,
        )


async def _list(settings: Settings) -> list[ApiKey]:
    found: list[ApiKey] = []
    async with open_api_keys(settings) as keys:
        cursor = None
        while True:
            page = await keys.list(limit=_PAGE, cursor=cursor)
            found.extend(page.items)
            cursor = page.cursor
            if cursor is None:
                return found


async def _revoke(settings: Settings, prefix: str) -> bool:
    async with open_api_keys(settings) as keys:
        return await keys.revoke(prefix, at=datetime.now(UTC))


def _duration(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError):
        raise UsageError(
            f"--expires takes a duration, found {text!r}", remedy="for example --expires 90d"
        ) from None


def _described(key: ApiKey) -> str:
    parts = [key.prefix, f"user={printable(key.user_id)}", f"roles={','.join(key.roles)}"]
    if key.scopes is not None:
        parts.append(f"scopes={','.join(key.scopes)}")
    if key.name:
        parts.append(f"name={printable(key.name)!r}")
    parts.append(f"created={_moment(key.created_at)}")
    if key.expires_at is not None:
        parts.append(f"expires={_moment(key.expires_at)}")
    parts.append(f"used={_moment(key.last_used_at) if key.last_used_at else 'never'}")
    parts.append(_state(key))
    return "  ".join(parts)


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked={_moment(key.revoked_at)}"
    return "valid" if key.is_valid(datetime.now(UTC)) else "expired"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
