"""From settings to who may ask: the Authenticator over the database of the sessions."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Protocol

from pyeino.monitoring import Logger
from pyeino.security import AuthService
from pyeino.service import Authenticator
from pyeino.stores import ApiKeyRepository, TokenRepository
from pyeino.wiring._tree import Settings


class Credentials(Protocol):
    """What a tenant's part of a database keeps of keys and tokens."""

    @property
    def api_keys(self) -> ApiKeyRepository: ...

    @property
    def tokens(self) -> TokenRepository: ...


async def open_authenticator(
    settings: Settings,
    stack: AsyncExitStack,
    scope: Credentials,
    *,
    log: Logger,
) -> Authenticator | None:
    """The authenticator of `settings`, closed by `stack`; None where nobody is asked."""
    auth = settings.auth
    if not auth.enabled:
        return None
    service = AuthService(
        auth.jwt_secret,
        timedelta(seconds=auth.token_expiry),
        timedelta(seconds=auth.refresh_expiry),
        previous_secrets=auth.previous_jwt_secrets,
        issuer=auth.issuer,
        audience=auth.audience,
    )
    return await stack.enter_async_context(
        Authenticator(
            service,
            scope.api_keys,
            scope.tokens,
            bootstrap_key=auth.bootstrap_key,
            logger=log,
        )
    )
