"""Caller: who one request acts for, what it may do, and what it may still spend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Scope

from pyeino.errors import UnauthorizedError
from pyeino.monitoring import request_context
from pyeino.security import Principal
from pyeino.server._quota import ClientBudget
from pyeino.service import CallContext

CALLER_KEY: Final = "pyeino.caller"

LOCAL_USER: Final = "local"
"""The one user there is as long as nobody has to say who they are."""

PUBLIC: Final = "public"
"""The scope of a route that anybody may ask, without limit: pages and probes."""
SELF: Final = "self"
"""The scope of a route whose body is its own proof, such as a refresh token."""
SIGNED_IN: Final = "signed_in"
"""The scope of a route for whoever has shown good credentials."""
OPEN: Final = frozenset({PUBLIC, SELF})


@dataclass(slots=True, kw_only=True)
class Credentials:
    """What a request shows: at most one of each, None where there is none."""

    bearer: str | None = None
    api_key: str | None = None

    def __repr__(self) -> str:
        """Without what they are."""
        return "Credentials(…)"


@dataclass(slots=True, kw_only=True)
class Caller:
    """The caller of one request; `principal` is None on routes whose body is the proof.

    `budget` is None where nobody is limited. `credentials` are there for sockets, which show them
    once and are asked for them with every request.
    """

    address: str
    principal: Principal | None
    budget: ClientBudget | None = None
    credentials: Credentials | None = None

    @property
    def user_id(self) -> str:
        """The user that a request which names none acts for."""
        return self.principal.user_id if self.principal is not None else LOCAL_USER

    @property
    def is_local(self) -> bool:
        """True where the server asks for no credentials."""
        return self.principal is None or self.principal.kind == "local"


def call_context(caller: Caller | None, **more: Any) -> CallContext:
    """What every call of the service is told: the request, whose it has to be, its budget.

    A caller that may act for others is bound to no user.
    """
    principal = caller.principal if caller is not None else None
    user_id = None
    if principal is not None and not principal.allows("act_for_others"):
        user_id = principal.user_id
    return CallContext(
        request_id=request_context().request_id,
        user_id=user_id,
        budget=caller.budget if caller is not None else None,
        **more,
    )


def caller_of(scope: Scope) -> Caller | None:
    """The caller that Authentication has found; None on public routes."""
    caller = scope.get(CALLER_KEY)
    return caller if isinstance(caller, Caller) else None


def require_scope(caller: Caller | None, scope: str) -> None:
    """Raise unless `caller` has `scope`: 401 for nobody, 403 INSUFFICIENT_SCOPE for somebody."""
    if scope in OPEN:
        return
    principal = caller.principal if caller is not None else None
    if principal is None:
        raise UnauthorizedError("API_KEY_REQUIRED", "API key required")
    if scope != SIGNED_IN and not principal.allows(scope):
        raise UnauthorizedError(
            "INSUFFICIENT_SCOPE",
            f"These credentials do not have the scope {scope}",
            details="Use a key or a token with a role that has it; docs/security.md lists them.",
            metadata={"scope": scope},
            http_status=403,
        )
