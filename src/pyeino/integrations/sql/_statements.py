"""Every statement of the repositories, built with SQLAlchemy Core and compiled once, at import.

The threads hand the compiled text to sqlite3, which keeps the prepared form of it: no part of
SQLAlchemy runs when a message is stored.
"""

from __future__ import annotations

from sqlalchemy import (
    ClauseElement,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from pyeino.integrations.sql._tables import messages, sessions

_DIALECT = sqlite_dialect(paramstyle="named")


def _compiled(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=_DIALECT))


# Written out rather than bound: a partial index is used only when its condition can be seen.
_PENDING = literal_column("'pending'", Text)
_NOTHING = literal_column("0", Integer)
_session_key = and_(
    sessions.c.tenant == bindparam("tenant"),
    sessions.c.user_id == bindparam("user_id"),
    sessions.c.id == bindparam("session_id"),
)
_session_fields = select(
    sessions.c.id,
    sessions.c.user_id,
    sessions.c.title,
    sessions.c.metadata,
    sessions.c.created_at,
    sessions.c.updated_at,
)
_own_sessions = and_(
    sessions.c.tenant == bindparam("tenant"), sessions.c.user_id == bindparam("user_id")
)

INSERT_SESSION = _compiled(insert(sessions))
SELECT_SESSION = _compiled(_session_fields.where(_session_key))
SESSION_EXISTS = _compiled(select(sessions.c.created_at).where(_session_key))
UPDATE_SESSION = _compiled(
    update(sessions)
    .where(_session_key)
    .values(title=bindparam("title"), metadata=bindparam("metadata"), updated_at=bindparam("now"))
)
TOUCH_SESSION = _compiled(update(sessions).where(_session_key).values(updated_at=bindparam("now")))
DELETE_SESSION = _compiled(delete(sessions).where(_session_key))
LIST_SESSIONS = _compiled(
    _session_fields.where(
        _own_sessions,
        tuple_(sessions.c.created_at, sessions.c.id)
        < tuple_(bindparam("created_at"), bindparam("after_id")),
    )
    .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
    .limit(bindparam("limit"))
    .offset(_NOTHING)
)

_message_fields = select(
    messages.c.id,
    messages.c.session_id,
    messages.c.user_id,
    messages.c.turn_id,
    messages.c.position,
    messages.c.role,
    messages.c.content,
    messages.c.status,
    messages.c.created_at,
    messages.c.updated_at,
    messages.c.finish_reason,
    messages.c.error_code,
    messages.c.prompt_tokens,
    messages.c.completion_tokens,
    messages.c.total_tokens,
    messages.c.metadata,
)
_in_session = and_(
    messages.c.tenant == bindparam("tenant"),
    messages.c.user_id == bindparam("user_id"),
    messages.c.session_id == bindparam("session_id"),
)
_message_key = and_(
    messages.c.tenant == bindparam("tenant"),
    messages.c.id == bindparam("message_id"),
    messages.c.user_id == bindparam("user_id"),
)

INSERT_MESSAGE = _compiled(insert(messages))
LAST_POSITION = _compiled(
    select(func.coalesce(func.max(messages.c.position), _NOTHING)).where(_in_session)
)
SELECT_MESSAGE = _compiled(_message_fields.where(_message_key))
TURN_STATUS = _compiled(
    select(messages.c.status).where(_message_key, messages.c.turn_id == messages.c.id)
)
END_TURN = _compiled(
    update(messages)
    .where(messages.c.tenant == bindparam("tenant"), messages.c.turn_id == bindparam("answer_id"))
    .values(
        status=bindparam("outcome"), remembered=bindparam("remember"), updated_at=bindparam("now")
    )
)
SET_ANSWER = _compiled(
    update(messages)
    .where(messages.c.tenant == bindparam("tenant"), messages.c.id == bindparam("answer_id"))
    .values(
        content=bindparam("text"),
        finish_reason=bindparam("reason"),
        error_code=bindparam("error"),
        prompt_tokens=bindparam("prompt"),
        completion_tokens=bindparam("completion"),
        total_tokens=bindparam("total"),
        metadata=bindparam("extra"),
    )
)
LIST_FORWARD = _compiled(
    _message_fields.where(_in_session, messages.c.position > bindparam("after"))
    .order_by(messages.c.position)
    .limit(bindparam("limit"))
    .offset(_NOTHING)
)
LIST_BACKWARD = _compiled(
    _message_fields.where(_in_session, messages.c.position < bindparam("after"))
    .order_by(messages.c.position.desc())
    .limit(bindparam("limit"))
    .offset(_NOTHING)
)
HISTORY = _compiled(
    _message_fields.where(_in_session, messages.c.remembered == true())
    .order_by(messages.c.position.desc())
    .limit(bindparam("limit"))
    .offset(_NOTHING)
)
COUNT_STALE = _compiled(
    select(func.count())
    .select_from(messages)
    .where(
        messages.c.tenant == bindparam("tenant"),
        messages.c.status == _PENDING,
        messages.c.created_at < bindparam("before"),
        messages.c.turn_id == messages.c.id,
    )
)
FAIL_STALE = _compiled(
    update(messages)
    .where(
        messages.c.tenant == bindparam("tenant"),
        messages.c.status == _PENDING,
        messages.c.created_at < bindparam("before"),
    )
    .values(
        status=bindparam("failed"),
        updated_at=bindparam("now"),
        error_code=case(
            (messages.c.turn_id == messages.c.id, bindparam("error", type_=Text)),
            else_=messages.c.error_code,
        ),
    )
)
