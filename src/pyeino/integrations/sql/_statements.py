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


def compiled_for_sqlite(statement: ClauseElement) -> str:
    """The statement as text with parameters by name."""
    return str(statement.compile(dialect=_DIALECT))


INSERT_SESSION = compiled_for_sqlite(core.INSERT_SESSION)
SELECT_SESSION = compiled_for_sqlite(core.SELECT_SESSION)
LOCK_SESSION = compiled_for_sqlite(core.LOCK_SESSION)
SESSION_EXISTS = compiled_for_sqlite(core.SESSION_EXISTS)
UPDATE_SESSION = compiled_for_sqlite(core.UPDATE_SESSION)
TOUCH_SESSION = compiled_for_sqlite(core.TOUCH_SESSION)
DELETE_SESSION = compiled_for_sqlite(core.DELETE_SESSION)
LIST_SESSIONS = compiled_for_sqlite(core.LIST_SESSIONS)
INSERT_MESSAGE = compiled_for_sqlite(core.INSERT_MESSAGE)
LAST_POSITION = compiled_for_sqlite(core.LAST_POSITION)
SELECT_MESSAGE = compiled_for_sqlite(core.SELECT_MESSAGE)
TURN_STATUS = compiled_for_sqlite(core.TURN_STATUS)
END_TURN = compiled_for_sqlite(core.END_TURN)
SET_ANSWER = compiled_for_sqlite(core.SET_ANSWER)
LIST_FORWARD = compiled_for_sqlite(core.LIST_FORWARD)
LIST_BACKWARD = compiled_for_sqlite(core.LIST_BACKWARD)
HISTORY = compiled_for_sqlite(core.HISTORY)
LOCK_STALE = compiled_for_sqlite(core.LOCK_STALE)
FAIL_STALE = compiled_for_sqlite(core.FAIL_STALE)

INSERT_KEY = compiled_for_sqlite(credentials.INSERT_KEY)
SELECT_KEY = compiled_for_sqlite(credentials.SELECT_KEY)
LIST_KEYS = compiled_for_sqlite(credentials.LIST_KEYS)
REVOKE_KEY = compiled_for_sqlite(credentials.REVOKE_KEY)
TOUCH_KEY = compiled_for_sqlite(credentials.TOUCH_KEY)
INSERT_FAMILY = compiled_for_sqlite(credentials.INSERT_FAMILY)
LOCK_FAMILY = compiled_for_sqlite(credentials.LOCK_FAMILY)
ROTATE_FAMILY = compiled_for_sqlite(credentials.ROTATE_FAMILY)
REUSED_FAMILY = compiled_for_sqlite(credentials.REUSED_FAMILY)
FAMILY_REVOKED = compiled_for_sqlite(credentials.FAMILY_REVOKED)
SWEEP_FAMILIES = compiled_for_sqlite(credentials.SWEEP_FAMILIES)
REVOKE_FAMILY = compiled_for_sqlite(credentials.revoke_family(sqlite_insert, "max"))
