"""Every statement as text for PostgreSQL, compiled once, at import; parameters are `$1`, `$2`, …"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ClauseElement, make_url
from sqlalchemy.dialects.postgresql import insert as postgres_insert

from pyeino.integrations.sql import _core as core
from pyeino.integrations.sql import _credential_core as credentials

_DIALECT = make_url("postgresql+asyncpg://").get_dialect()()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Text with numbered parameters, and which value each number stands for."""

    text: str
    names: tuple[str, ...]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the parameters; more values than those do no harm."""
        return [values[name] for name in self.names]


def compiled_for_postgres(statement: ClauseElement) -> Statement:
    """The statement as text with numbered parameters, and their names."""
    compiled = statement.compile(dialect=_DIALECT)
    names: list[str] = getattr(compiled, "positiontup", None) or []
    return Statement(text=str(compiled), names=tuple(names))


INSERT_SESSION = compiled_for_postgres(core.INSERT_SESSION)
SELECT_SESSION = compiled_for_postgres(core.SELECT_SESSION)
LOCK_SESSION = compiled_for_postgres(core.LOCK_SESSION)
SESSION_EXISTS = compiled_for_postgres(core.SESSION_EXISTS)
UPDATE_SESSION = compiled_for_postgres(core.UPDATE_SESSION)
TOUCH_SESSION = compiled_for_postgres(core.TOUCH_SESSION)
DELETE_SESSION = compiled_for_postgres(core.DELETE_SESSION)
LIST_SESSIONS = compiled_for_postgres(core.LIST_SESSIONS)
INSERT_MESSAGE = compiled_for_postgres(core.INSERT_MESSAGE)
LAST_POSITION = compiled_for_postgres(core.LAST_POSITION)
SELECT_MESSAGE = compiled_for_postgres(core.SELECT_MESSAGE)
TURN_STATUS = compiled_for_postgres(core.TURN_STATUS)
END_TURN = compiled_for_postgres(core.END_TURN)
SET_ANSWER = compiled_for_postgres(core.SET_ANSWER)
LIST_FORWARD = compiled_for_postgres(core.LIST_FORWARD)
LIST_BACKWARD = compiled_for_postgres(core.LIST_BACKWARD)
HISTORY = compiled_for_postgres(core.HISTORY)
LOCK_STALE = compiled_for_postgres(core.LOCK_STALE)
FAIL_STALE = compiled_for_postgres(core.FAIL_STALE)

INSERT_KEY = compiled_for_postgres(credentials.INSERT_KEY)
SELECT_KEY = compiled_for_postgres(credentials.SELECT_KEY)
LIST_KEYS = compiled_for_postgres(credentials.LIST_KEYS)
REVOKE_KEY = compiled_for_postgres(credentials.REVOKE_KEY)
TOUCH_KEY = compiled_for_postgres(credentials.TOUCH_KEY)
INSERT_FAMILY = compiled_for_postgres(credentials.INSERT_FAMILY)
LOCK_FAMILY = compiled_for_postgres(credentials.LOCK_FAMILY)
ROTATE_FAMILY = compiled_for_postgres(credentials.ROTATE_FAMILY)
REUSED_FAMILY = compiled_for_postgres(credentials.REUSED_FAMILY)
FAMILY_REVOKED = compiled_for_postgres(credentials.FAMILY_REVOKED)
SWEEP_FAMILIES = compiled_for_postgres(credentials.SWEEP_FAMILIES)
REVOKE_FAMILY = compiled_for_postgres(credentials.revoke_family(postgres_insert, "greatest"))
