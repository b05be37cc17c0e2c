"""The statements of the queue in SQLAlchemy Core, compiled once for each dialect, at import.

`now` is the clock that counts: on PostgreSQL the server's own, so that workers on machines whose
clocks differ agree. `FOR UPDATE SKIP LOCKED` lets two workers take two messages at once; SQLite,
which has one writer, leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    ColumnElement,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    extract,
    func,
    insert,
    literal_column,
    select,
    update,
)

from pyeino.integrations.sql._postgres_statements import Statement, compiled
from pyeino.integrations.sql._statements import compiled_for_sqlite
from pyeino.integrations.sql._tables import queue_messages as q

StatementT = TypeVar("StatementT")

_NOTHING: Final = literal_column("0", Integer)
_ONE: Final = literal_column("1", Integer)
_ALIVE: Final = q.c.dead_at == _NOTHING
_DEAD: Final = q.c.dead_at > _NOTHING
_NO_LEASE: Final = literal_column("''", Text)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatements(Generic[StatementT]):
    """Every statement of the queue, as a dialect's driver takes it."""

    insert: StatementT
    exists: StatementT
    live: StatementT
    last: StatementT
    ready: StatementT
    take: StatementT
    extend: StatementT
    ack: StatementT
    attempts: StatementT
    give_back: StatementT
    bury: StatementT
    counts: StatementT
    dead: StatementT
    forget_dead: StatementT
    trim_dead: StatementT


def _statements(
    compiled: Callable[[ClauseElement], StatementT], now: ColumnElement[int]
) -> QueueStatements[StatementT]:
    own = and_(q.c.tenant == bindparam("tenant"), q.c.queue == bindparam("queue"))
    key = and_(own, q.c.id == bindparam("message_id"))
    held = and_(key, _ALIVE, q.c.lease == bindparam("token"))
    due = q.c.visible_at <= now
    delayed = now + bindparam("delay", type_=BigInteger)
    until = now + bindparam("timeout", type_=BigInteger)
    newest = (q.c.dead_at.desc(), q.c.number.desc())
    kept = select(q.c.id).where(own, _DEAD).order_by(*newest).limit(bindparam("limit"))
    return QueueStatements(
        insert=compiled(insert(q).values(**_new_row(), visible_at=delayed)),
        exists=compiled(select(q.c.dead_at).where(key)),
        live=compiled(select(func.count()).select_from(q).where(own, _ALIVE)),
        last=compiled(select(func.coalesce(func.max(q.c.number), _NOTHING)).where(own)),
        ready=compiled(
            select(q.c.id, q.c.payload, q.c.attempts)
            .where(own, _ALIVE, due)
            .order_by(q.c.number)
            .limit(_ONE)
            .offset(_NOTHING)
            .with_for_update(skip_locked=True)
        ),
        take=compiled(
            update(q)
            .where(key)
            .values(lease=bindparam("token"), attempts=q.c.attempts + _ONE, visible_at=until)
        ),
        extend=compiled(update(q).where(held).values(visible_at=until)),
        ack=compiled(delete(q).where(held)),
        attempts=compiled(select(q.c.attempts).where(held).with_for_update()),
        give_back=compiled(
            update(q)
            .where(held)
            .values(lease=_NO_LEASE, visible_at=delayed, reason=bindparam("why"))
        ),
        bury=compiled(
            update(q)
            .where(key)
            .values(lease=_NO_LEASE, dead_at=now, visible_at=now, reason=bindparam("why"))
        ),
        counts=compiled(
            select(
                _count_if(and_(_ALIVE, due)),
                _count_if(and_(_ALIVE, ~due, q.c.lease == _NO_LEASE)),
                _count_if(and_(_ALIVE, ~due, q.c.lease != _NO_LEASE)),
                _count_if(_DEAD),
            ).where(own)
        ),
        dead=compiled(
            select(q.c.id, q.c.payload, q.c.attempts, q.c.reason, q.c.dead_at)
            .where(own, _DEAD)
            .order_by(*newest)
            .limit(bindparam("limit"))
            .offset(_NOTHING)
        ),
        forget_dead=compiled(delete(q).where(key, _DEAD)),
        trim_dead=compiled(delete(q).where(own, _DEAD, q.c.id.not_in(kept.offset(_NOTHING)))),
    )


def _new_row() -> dict[str, ColumnElement[Any]]:
    """A message that nobody has had yet; when it is visible is set beside this."""
    return {
        "tenant": bindparam("tenant"),
        "queue": bindparam("queue"),
        "id": bindparam("message_id"),
        "number": bindparam("number"),
        "payload": bindparam("payload"),
        "attempts": _NOTHING,
        "lease": _NO_LEASE,
        "dead_at": _NOTHING,
        "reason": _NO_LEASE,
    }


def _count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, _ONE)))


_SERVER_CLOCK: Final = cast(
    extract("epoch", func.clock_timestamp()) * literal_column("1000000", Integer),
    BigInteger,
)

SQLITE: Final[QueueStatements[str]] = _statements(
    compiled_for_sqlite, bindparam("now", type_=BigInteger)
)
POSTGRES: Final[QueueStatements[Statement]] = _statements(compiled, _SERVER_CLOCK)
