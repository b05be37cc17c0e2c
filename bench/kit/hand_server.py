"""What the chat routes would be with nothing behind them: Starlette, msgspec and the same model.

    python -m kit.hand_server PORT

No sessions, no history, no metrics, no limits: the floor that the served request is compared with.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kit.scripted_app import Scripted
from pyeino import Message


class Asked(msgspec.Struct):
    """As much of the guide's request as an answer needs."""

    message: str
    user_id: str


class Answered(msgspec.Struct):
    """The guide's answer."""

    content: str
    user_id: str


MODEL = Scripted()


async def chat(request: Request) -> Response:
    asked = msgspec.json.decode(await request.body(), type=Asked)
    message = await MODEL.generate([Message.user(asked.message)])
    answer = Answered(content=message.content, user_id=asked.user_id)
    return Response(msgspec.json.encode(answer), media_type="application/json")


async def stream(request: Request) -> Response:
    asked = msgspec.json.decode(await request.body(), type=Asked)

    async def frames() -> AsyncIterator[bytes]:
        seq = 0
        async with MODEL.stream([Message.user(asked.message)]) as parts:
            async for part in parts:
                delta = msgspec.json.encode(part.content).decode()
                yield f'data: {{"seq": {seq}, "delta": {delta}}}\n\n'.encode()
                seq += 1
        yield b"event: done\ndata: {}\n\n"

    return StreamingResponse(frames(), media_type="text/event-stream")


async def ready(_: Request) -> Response:
    return Response(b"{}", media_type="application/json")


APP = Starlette(
    routes=[
        Route("/ready", ready),
        Route("/api/v1/chat", chat, methods=["POST"]),
        Route("/api/v1/chat/stream", stream, methods=["POST"]),
    ]
)

if __name__ == "__main__":
    config = uvicorn.Config(
        APP, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning"
    )
    asyncio.run(uvicorn.Server(config).serve())
