"""A real server that asks who comes in, and credentials of every kind for it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pyeino.integrations.memory import MemoryDatabase, MemoryRateLimit
from pyeino.monitoring import Metrics
from pyeino.security import AuthService
from pyeino.service import Authenticator, ChatService, create_api_key, default_chat_chain
from pyeino.testing import ScriptedChatModel, ScriptedReply

SECRET = "g7Hq2Lw9ZsX4cV8bN1mK5jR3tY6uP0aD"
BOOTSTRAP = "boot-7Hq2Lw9ZsX4cV8bN1mK5jR3tY6uP0aD"
ROLES = ("user", "metrics", "admin")


@dataclass
class Clock:
    """The time as the authenticator sees it."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Guarded:
    """A server with auth: its keys by role, and what signs its tokens."""

    running: Any
    auth: AuthService
    authenticator: Authenticator
    clock: Clock
    keys: dict[str, str] = field(default_factory=dict)
    rows: Any = None

    @property
    def http(self) -> Any:
        return self.running.http

    def token(self, user_id: str = "ann", *roles: str) -> str:
        return self.auth.generate_token(user_id, roles or ("user",))

    def bearer(self, user_id: str = "ann", *roles: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(user_id, *roles)}"}

    def key(self, role: str) -> dict[str, str]:
        return {"X-API-Key": self.keys[role]}


@asynccontextmanager
async def guarded_server(
    kit: Any,
    *steps: Any,
    replies: tuple[ScriptedReply, ...] = (),
    rate_limits: Any = None,
    service_options: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Guarded]:
    """A server that asks, made of the parts in `kit` (the conftest), with one key for each
    role, of the user `<role>-owner`."""
    model = ScriptedChatModel(*(replies or (kit.reply_of(*(steps or ("Hel", "lo"))),)))
    rows, clock = MemoryDatabase().scope(), Clock()
    logger, metrics = kit.ListLogger(), Metrics()
    auth = AuthService(SECRET, timedelta(minutes=15), timedelta(days=7), clock=clock)
    authenticator = Authenticator(
        auth,
        rows.api_keys,
        rows.tokens,
        bootstrap_key=BOOTSTRAP,
        logger=logger,
        clock=clock,
        cache_ttl=0.001,
    )
    service = ChatService(
        default_chat_chain(model),
        None,
        None,
        rows.sessions,
        rows.messages,
        logger,
        metrics,
        models=kit.MODELS,
        **(service_options or {}),
    )
    keys = {
        role: (await create_api_key(rows.api_keys, user_id=f"{role}-owner", roles=(role,))).plain
        for role in ROLES
    }
    async with (
        authenticator,
        service,
        kit.serving(
            service,
            model,
            logger=logger,
            metrics=metrics,
            authenticator=authenticator,
            rate_limits=MemoryRateLimit() if rate_limits is None else rate_limits,
            **options,
        ) as running,
    ):
        running.scope = rows
        yield Guarded(running, auth, authenticator, clock, keys, rows)


def chat_body(user_id: str = "ann", **more: Any) -> dict[str, Any]:
    return {"user_id": user_id, "message": "Hello", **more}


Guard = Callable[..., AbstractAsyncContextManager[Guarded]]
"""What the fixture `guarded` gives."""
