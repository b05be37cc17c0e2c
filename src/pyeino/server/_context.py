"""Middleware: the ids of a request, taken in or made, bound to its task and given back."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pyeino.monitoring import bind_request
from pyeino.server._asgi import STARTS, header


class RequestIds:
    """Binds X-Request-ID (a new one when absent or not sane) and `traceparent`; answers the id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        with bind_request(
            request_id=header(scope, b"x-request-id"), traceparent=header(scope, b"traceparent")
        ) as context:
            request_id = (b"x-request-id", context.request_id.encode("ascii"))

            async def with_id(message: Message) -> None:
                if message["type"] in STARTS:
                    message["headers"] = [*message.get("headers", ()), request_id]
                await send(message)

            await self._app(scope, receive, with_id)
