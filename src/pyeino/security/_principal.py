"""Who asks, and what they may do: roles, scopes and the principal of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Role = str
"""The name of a set of scopes; one that is not in ROLE_SCOPES gives none."""

SCOPES: Final = frozenset(
    {"act_for_others", "admin", "chat", "embeddings", "metrics", "models", "sessions"}
)
"""Everything that can be allowed. `act_for_others` lets a caller name another user."""

ROLE_SCOPES: Final[Mapping[Role, frozenset[str]]] = MappingProxyType(
    {
        "user": frozenset({"chat", "embeddings", "models", "sessions"}),
        "metrics": frozenset({"metrics"}),
        "admin": SCOPES,
    }
)
"""What each role may do."""


def scopes_of(roles: Iterable[Role]) -> frozenset[str]:
    """All scopes that `roles` give together; a role that nobody knows gives none."""
    return frozenset(scope for role in roles for scope in ROLE_SCOPES.get(role, ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a request acts for, once its credentials have been checked.

    `client_id` names what was shown: the id of an API key, or the family of a token. Limits count
    by it. `kind` is "local" where the server asks for no credentials.
    """

    user_id: str
    roles: frozenset[Role]
    scopes: frozenset[str]
    kind: Literal["local", "token", "api_key"]
    client_id: str
    tenant: str = "local"

    def allows(self, scope: str) -> bool:
        """Whether `scope` was given to this principal."""
        return scope in self.scopes


def local_principal(user_id: str = "local") -> Principal:
    """The principal of a server without auth: it may do everything."""
    return Principal(
        user_id=user_id,
        roles=frozenset({"admin"}),
        scopes=SCOPES,
        kind="local",
        client_id="local",
    )
