"""A real WebSocket client, whose frames are dicts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

PATIENCE = 30.0
TERMINAL = {"done", "error", "cancelled"}


@dataclass
class SocketClient:
    """What a test says to the server, and what it gets back."""

    raw: ClientConnection

    async def send(self, type: str, **fields: Any) -> None:
        await self.raw.send(json.dumps({"type": type, **fields}))

    async def ask(self, request_id: str = "r1", message: str = "Hello", **more: Any) -> None:
        await self.send("chat", request_id=request_id, user_id="u1", message=message, **more)

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            frame: dict[str, Any] = json.loads(await self.raw.recv())
            return frame

    async def until_end(self) -> list[dict[str, Any]]:
        """The frames up to the first terminal one."""
        frames = [await self.next()]
        while frames[-1]["type"] not in TERMINAL:
            frames.append(await self.next())
        return frames

    async def closed(self) -> tuple[int | None, str]:
        """The code and reason of the close, once it has come."""
        async with asyncio.timeout(PATIENCE):
            await self.raw.wait_closed()
        return self.raw.close_code, self.raw.close_reason or ""


@asynccontextmanager
async def socket_to(running: Any, **options: Any) -> AsyncIterator[SocketClient]:
    """A socket to a running server."""
    url = running.url.replace("http://", "ws://") + "/api/v1/ws"
    async with connect(url, proxy=None, **options) as raw:
        yield SocketClient(raw)


def text_of(frames: list[dict[str, Any]]) -> str:
    return "".join(one["delta"] for one in frames if one["type"] == "chunk")
