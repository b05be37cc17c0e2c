"""Middleware: who asks, before anything else is looked at; what is not open is closed."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pyeino.server._asgi import STARTS, local_path
from pyeino.server._caller import CALLER_KEY, caller_of
from pyeino.server._doorkeeper import Doorkeeper


class Authentication:
    """Finds the caller of each request, counts the request, and lets it in.

    Paths that no route has are closed like all others, so that nobody can look for them.
    """

    def __init__(self, app: ASGIApp, *, doorkeeper: Doorkeeper) -> None:
        self._app = app
        self._doorkeeper = doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or raise UnauthorizedError or RateLimitError."""
        caller = await self._doorkeeper.identify(scope, local_path(scope))
        # Set in any case: a scope may come from somebody who mounts this application.
        scope[CALLER_KEY] = caller
        if caller is not None and caller.budget is not None:
            await caller.budget.take_request()
        await self._app(scope, receive, send)


class LimitHeaders:
    """Says on every answer what its caller has left; errors are answers too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def told(message: Message) -> None:
            if message["type"] in STARTS:
                caller = caller_of(scope)
                if caller is not None and caller.budget is not None:
                    message["headers"] = [*message.get("headers", ()), *caller.budget.headers()]
            await send(message)

        await self._app(scope, receive, told)
