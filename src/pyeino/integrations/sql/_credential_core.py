"""The statements of API keys and token families in SQLAlchemy Core, the same for every dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    update,
)

from pyeino.integrations.sql._tables import api_keys, token_families

_key = and_(
    api_keys.c.tenant == bindparam("tenant"), api_keys.c.prefix == bindparam("prefix_given")
)
_family = and_(
    token_families.c.tenant == bindparam("tenant"), token_families.c.id == bindparam("family")
)
_at = bindparam("at", type_=BigInteger)
_key_fields = select(
    api_keys.c.prefix,
    api_keys.c.hash,
    api_keys.c.name,
    api_keys.c.user_id,
    api_keys.c.roles,
    api_keys.c.scopes,
    api_keys.c.created_at,
    api_keys.c.expires_at,
    api_keys.c.last_used_at,
    api_keys.c.revoked_at,
)

INSERT_KEY = insert(api_keys)
SELECT_KEY = _key_fields.where(_key)
LIST_KEYS = (
    _key_fields.where(
        api_keys.c.tenant == bindparam("tenant"),
        tuple_(api_keys.c.created_at, api_keys.c.prefix)
        < tuple_(bindparam("created_before"), bindparam("after_prefix")),
    )
    .order_by(api_keys.c.created_at.desc(), api_keys.c.prefix.desc())
    .limit(bindparam("limit"))
    .offset(literal_column("0", Integer))
)
REVOKE_KEY = (
    update(api_keys).where(_key, api_keys.c.revoked_at == null()).values(revoked_at=bindparam("at"))
)
TOUCH_KEY = (
    update(api_keys)
    .where(_key, or_(api_keys.c.last_used_at == null(), api_keys.c.last_used_at < _at))
    .values(last_used_at=_at)
)

INSERT_FAMILY = insert(token_families)
LOCK_FAMILY = (
    select(token_families.c.jti, token_families.c.expires_at, token_families.c.revoked_at)
    .where(_family)
    .with_for_update()
)
ROTATE_FAMILY = (
    update(token_families)
    .where(_family)
    .values(jti=bindparam("new_jti"), expires_at=bindparam("until"))
)
REUSED_FAMILY = update(token_families).where(_family).values(revoked_at=bindparam("at"))
FAMILY_REVOKED = select(token_families.c.revoked_at).where(_family)
SWEEP_FAMILIES = delete(token_families).where(
    token_families.c.tenant == bindparam("tenant"),
    token_families.c.expires_at < bindparam("before"),
)


def revoke_family(insert_of_dialect: Callable[..., Any], greatest: str) -> Any:
    """Revoke a family, known or not: no row is touched when it was revoked before.

    Each dialect has an insert of its own that gives way to what is there, and its own name for
    the greatest of two numbers.
    """
    new = insert_of_dialect(token_families)
    return new.on_conflict_do_update(
        index_elements=[token_families.c.tenant, token_families.c.id],
        set_={
            "revoked_at": new.excluded.revoked_at,
            "expires_at": getattr(func, greatest)(
                token_families.c.expires_at, new.excluded.expires_at
            ),
        },
        where=token_families.c.revoked_at == null(),
    )
