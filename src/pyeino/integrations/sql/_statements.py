"""Every statement as text for SQLite, compiled once, at import.

The threads hand the text to sqlite3, which keeps the prepared form of it.
"""

from __future__ import annotations

from sqlalchemy import ClauseElement
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from pyeino.integrations.sql import _core as core
from pyeino.integrations.sql import _credential_core as credentials

_DIALECT = sqlite_dialect(paramstyle="named")


def _compiled(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=_DIALECT))


INSERT_SESSION = _compiled(core.INSERT_SESSION)
SELECT_SESSION = _compiled(core.SELECT_SESSION)
LOCK_SESSION = _compiled(core.LOCK_SESSION)
SESSION_EXISTS = _compiled(core.SESSION_EXISTS)
UPDATE_SESSION = _compiled(core.UPDATE_SESSION)
TOUCH_SESSION = _compiled(core.TOUCH_SESSION)
DELETE_SESSION = _compiled(core.DELETE_SESSION)
LIST_SESSIONS = _compiled(core.LIST_SESSIONS)
INSERT_MESSAGE = _compiled(core.INSERT_MESSAGE)
LAST_POSITION = _compiled(core.LAST_POSITION)
SELECT_MESSAGE = _compiled(core.SELECT_MESSAGE)
TURN_STATUS = _compiled(core.TURN_STATUS)
END_TURN = _compiled(core.END_TURN)
SET_ANSWER = _compiled(core.SET_ANSWER)
LIST_FORWARD = _compiled(core.LIST_FORWARD)
LIST_BACKWARD = _compiled(core.LIST_BACKWARD)
HISTORY = _compiled(core.HISTORY)
LOCK_STALE = _compiled(core.LOCK_STALE)
FAIL_STALE = _compiled(core.FAIL_STALE)

INSERT_KEY = _compiled(credentials.INSERT_KEY)
SELECT_KEY = _compiled(credentials.SELECT_KEY)
LIST_KEYS = _compiled(credentials.LIST_KEYS)
REVOKE_KEY = _compiled(credentials.REVOKE_KEY)
TOUCH_KEY = _compiled(credentials.TOUCH_KEY)
INSERT_FAMILY = _compiled(credentials.INSERT_FAMILY)
LOCK_FAMILY = _compiled(credentials.LOCK_FAMILY)
ROTATE_FAMILY = _compiled(credentials.ROTATE_FAMILY)
REUSED_FAMILY = _compiled(credentials.REUSED_FAMILY)
FAMILY_REVOKED = _compiled(credentials.FAMILY_REVOKED)
SWEEP_FAMILIES = _compiled(credentials.SWEEP_FAMILIES)
REVOKE_FAMILY = _compiled(credentials.revoke_family(sqlite_insert, "max"))
