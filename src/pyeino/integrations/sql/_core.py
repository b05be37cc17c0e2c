"""Every statement of the repositories in SQLAlchemy Core, the same for every dialect.

Each dialect compiles them once, at import (`_statements.py`, `_postgres_statements.py`): no part
of SQLAlchemy runs when a message is stored. What locks a row says so with `FOR UPDATE`, which
SQLite, whose one writer needs no such lock, leaves out.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
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

from pyeino.integrations.sql._tables import messages, sessions

# Written out rather than bound: a partial index is used only when its condition can be seen.
_PENDING = literal_column("'pending'", Text)
_NOTHING = literal_column("0", Integer)
# A cursor may hold any number that a database can compare, a position is smaller.
_after = bindparam("after", type_=BigInteger)
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

INSERT_SESSION = insert(sessions)
SELECT_SESSION = _session_fields.where(_session_key)
LOCK_SESSION = SELECT_SESSION.with_for_update()
SESSION_EXISTS = select(sessions.c.created_at).where(_session_key)
UPDATE_SESSION = (
    update(sessions)
    .where(_session_key)
    .values(title=bindparam("title"), metadata=bindparam("metadata"), updated_at=bindparam("now"))
)
TOUCH_SESSION = update(sessions).where(_session_key).values(updated_at=bindparam("now"))
DELETE_SESSION = delete(sessions).where(_session_key)
LIST_SESSIONS = (
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

INSERT_MESSAGE = insert(messages)
LAST_POSITION = select(func.coalesce(func.max(messages.c.position), _NOTHING)).where(_in_session)
SELECT_MESSAGE = _message_fields.where(_message_key)
TURN_STATUS = (
    select(messages.c.status)
    .where(_message_key, messages.c.turn_id == messages.c.id)
    .with_for_update()
)
END_TURN = (
    update(messages)
    .where(messages.c.tenant == bindparam("tenant"), messages.c.turn_id == bindparam("answer_id"))
    .values(
        status=bindparam("outcome"), remembered=bindparam("remember"), updated_at=bindparam("now")
    )
)
SET_ANSWER = (
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
LIST_FORWARD = (
    _message_fields.where(_in_session, messages.c.position > _after)
    .order_by(messages.c.position)
    .limit(bindparam("limit"))
    .offset(_NOTHING)
)
LIST_BACKWARD = (
    _message_fields.where(_in_session, messages.c.position < _after)
    .order_by(messages.c.position.desc())
    .limit(bindparam("limit"))
    .offset(_NOTHING)
)
HISTORY = (
    _message_fields.where(_in_session, messages.c.remembered == true())
    .order_by(messages.c.position.desc())
    .limit(bindparam("limit"))
    .offset(_NOTHING)
)
LOCK_STALE = (
    select(messages.c.id)
    .where(
        messages.c.tenant == bindparam("tenant"),
        messages.c.status == _PENDING,
        messages.c.created_at < bindparam("before"),
        messages.c.turn_id == messages.c.id,
    )
    .order_by(messages.c.id)
    .with_for_update()
)
FAIL_STALE = (
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
