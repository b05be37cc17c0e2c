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


def compiled(statement: ClauseElement) -> Statement:
    """`statement` in PostgreSQL's words."""
    made = statement.compile(dialect=_DIALECT)
    names: list[str] = getattr(made, "positiontup", None) or []
    return Statement(text=str(made), names=tuple(names))


INSERT_SESSION = compiled(core.INSERT_SESSION)
SELECT_SESSION = compiled(core.SELECT_SESSION)
LOCK_SESSION = compiled(core.LOCK_SESSION)
SESSION_EXISTS = compiled(core.SESSION_EXISTS)
UPDATE_SESSION = compiled(core.UPDATE_SESSION)
TOUCH_SESSION = compiled(core.TOUCH_SESSION)
DELETE_SESSION = compiled(core.DELETE_SESSION)
LIST_SESSIONS = compiled(core.LIST_SESSIONS)
INSERT_MESSAGE = compiled(core.INSERT_MESSAGE)
LAST_POSITION = compiled(core.LAST_POSITION)
SELECT_MESSAGE = compiled(core.SELECT_MESSAGE)
TURN_STATUS = compiled(core.TURN_STATUS)
END_TURN = compiled(core.END_TURN)
SET_ANSWER = compiled(core.SET_ANSWER)
LIST_FORWARD = compiled(core.LIST_FORWARD)
LIST_BACKWARD = compiled(core.LIST_BACKWARD)
HISTORY = compiled(core.HISTORY)
LOCK_STALE = compiled(core.LOCK_STALE)
FAIL_STALE = compiled(core.FAIL_STALE)

INSERT_KEY = compiled(credentials.INSERT_KEY)
SELECT_KEY = compiled(credentials.SELECT_KEY)
LIST_KEYS = compiled(credentials.LIST_KEYS)
REVOKE_KEY = compiled(credentials.REVOKE_KEY)
TOUCH_KEY = compiled(credentials.TOUCH_KEY)
INSERT_FAMILY = compiled(credentials.INSERT_FAMILY)
LOCK_FAMILY = compiled(credentials.LOCK_FAMILY)
ROTATE_FAMILY = compiled(credentials.ROTATE_FAMILY)
REUSED_FAMILY = compiled(credentials.REUSED_FAMILY)
FAMILY_REVOKED = compiled(credentials.FAMILY_REVOKED)
SWEEP_FAMILIES = compiled(credentials.SWEEP_FAMILIES)
REVOKE_FAMILY = compiled(credentials.revoke_family(postgres_insert, "greatest"))
