"""The routes of sessions: list, begin, look at, rename, remove, and read their messages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pyeino.server._exchange import Exchange


class UserQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose session it is; the caller's own when it is left out."""

    user_id: str | None = None


class PageQuery(UserQuery, frozen=True, kw_only=True):
    """Whose, how many, and after which page: `cursor` is the one that the page before gave."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    cursor: str | None = None


class MessagesQuery(PageQuery, frozen=True, kw_only=True):
    """The same, and from which end: asc is oldest first, desc newest first."""

    order: Literal["asc", "desc"] = "asc"


class NewSession(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session to begin, of the caller unless `user_id` says; without `session_id` it gets one."""

    user_id: str | None = None
    session_id: str | None = None
    title: str = ""


class SessionChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to set; a field that is left out stays as it is, `metadata` is replaced whole."""

    title: str | None = None
    metadata: dict[str, Any] | None = None


async def list_sessions(exchange: Exchange, _: None) -> None:
    """A page of the user's sessions, newest first."""
    query: PageQuery = exchange.query
    page = await exchange.backend.service.sessions.list(
        user_id=exchange.user_id(query.user_id),
        limit=query.limit,
        cursor=query.cursor,
        call=exchange.call(),
    )
    await exchange.reply_json(page)


async def create_session(exchange: Exchange, session: NewSession) -> None:
    """Begin a session."""
    made = await exchange.backend.service.sessions.create(
        user_id=exchange.user_id(session.user_id),
        session_id=session.session_id,
        title=session.title,
        call=exchange.call(),
    )
    await exchange.reply_json(made, status=201)


async def get_session(exchange: Exchange, _: None) -> None:
    """One session."""
    found = await exchange.backend.service.sessions.get(
        _session_id(exchange),
        user_id=exchange.user_id(exchange.query.user_id),
        call=exchange.call(),
    )
    await exchange.reply_json(found)


async def update_session(exchange: Exchange, changes: SessionChanges) -> None:
    """Set title or metadata."""
    changed = await exchange.backend.service.sessions.update(
        _session_id(exchange),
        user_id=exchange.user_id(exchange.query.user_id),
        title=changes.title,
        metadata=changes.metadata,
        call=exchange.call(),
    )
    await exchange.reply_json(changed)


async def delete_session(exchange: Exchange, _: None) -> None:
    """Remove a session with its messages."""
    await exchange.backend.service.sessions.delete(
        _session_id(exchange),
        user_id=exchange.user_id(exchange.query.user_id),
        call=exchange.call(),
    )
    await exchange.reply_nothing()


async def list_messages(exchange: Exchange, _: None) -> None:
    """A page of a session's messages."""
    query: MessagesQuery = exchange.query
    page = await exchange.backend.service.sessions.messages(
        _session_id(exchange),
        user_id=exchange.user_id(query.user_id),
        limit=query.limit,
        cursor=query.cursor,
        newest_first=query.order == "desc",
        call=exchange.call(),
    )
    await exchange.reply_json(page)


def _session_id(exchange: Exchange) -> str:
    return exchange.path_parameters["session_id"]
