"""Exchange: one request and the ways to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import msgspec
from starlette.types import Receive, Scope, Send

from pyeino.server._asgi import ClientGoneError, Headers, send_reply, wait_for_disconnect
from pyeino.server._backend import Backend
from pyeino.server._caller import LOCAL_USER, Caller, call_context, caller_of
from pyeino.server._errors import run_cancelled
from pyeino.service import CallContext

JSON = b"application/json"

ResultT = TypeVar("ResultT")

_encode = msgspec.json.Encoder(enc_hook=str).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request on its way through a route; `query` is the record of its parameters, if any."""

    scope: Scope
    receive: Receive
    send: Send
    backend: Backend
    query: Any = None

    @property
    def path_parameters(self) -> dict[str, str]:
        """What the route's template matched."""
        parameters: dict[str, str] = self.scope.get("path_params", {})
        return parameters

    @property
    def caller(self) -> Caller | None:
        """Who asks; None on public routes."""
        return caller_of(self.scope)

    def user_id(self, named: str | None = None) -> str:
        """The user that the request names, else the caller's own."""
        if named is not None:
            return named
        caller = self.caller
        return caller.user_id if caller is not None else LOCAL_USER

    def call(self, **more: Any) -> CallContext:
        """What every call of the service is told about the request; `more` are its fields."""
        return call_context(self.caller, **more)

    async def read_body(self) -> bytes:
        """The whole body; its bounds are the Limits middleware's."""
        parts: list[bytes] = []
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError("the client left while it sent its request")
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def while_connected(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """What `work` returns; a client that leaves meanwhile cancels it (ClientGoneError)."""
        try:
            async with asyncio.TaskGroup() as tasks:
                job = tasks.create_task(_outcome(work))
                watcher = tasks.create_task(wait_for_disconnect(self.receive))
                await asyncio.wait((job, watcher), return_when=asyncio.FIRST_COMPLETED)
                gone = not job.done()
                watcher.cancel()
                job.cancel()
        finally:
            work.close()  # in case it was cancelled before its first step
        if gone:
            raise ClientGoneError("the client left before the answer was there")
        if job.cancelled():
            raise run_cancelled()
        result, error = job.result()
        if error is not None:
            raise error
        return cast("ResultT", result)

    async def reply(
        self, body: bytes, *, media: bytes = JSON, status: int = 200, headers: Headers = ()
    ) -> None:
        """Answer with `body`."""
        await send_reply(
            self.send,
            status=status,
            headers=[
                (b"content-type", media),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
            body=body,
        )

    async def reply_nothing(self) -> None:
        """Answer 204: done, and there is nothing to say about it."""
        await send_reply(self.send, status=204, headers=(), body=b"")

    async def reply_json(self, record: object, *, status: int = 200, headers: Headers = ()) -> None:
        """Answer with `record` as JSON."""
        await self.reply(_encode(record), status=status, headers=headers)


async def _outcome(
    work: Coroutine[Any, Any, ResultT],
) -> tuple[ResultT | None, Exception | None]:
    # As a value, since a task group would wrap the error into a group.
    try:
        return await work, None
    except Exception as error:  # noqa: BLE001 (raised again by the caller)
        return None, error


Handler = Callable[[Exchange, Any], Awaitable[None]]
"""Answers one exchange; the second argument is the decoded body, None for a route without."""
