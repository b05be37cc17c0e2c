"""pyeino serve: the chat service behind HTTP."""

from __future__ import annotations

import argparse
import asyncio
import functools
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyeino.cli._exit import UsageError
from pyeino.cli._objects import load_object
from pyeino.cli._settings import settings_from
from pyeino.compose import Runnable
from pyeino.monitoring import StructuredLogger
from pyeino.processes import Member
from pyeino.schema import Message
from pyeino.server import ServerOptions, StopSignal, create_app, loop_factory, run_server
from pyeino.service import ChatInput
from pyeino.wiring import ModelAddress, Settings, as_chat_chain, build

ChatChain = Runnable[ChatInput, Message]
_TAKEN = ("auto", "plain", "rag", "tools")


def serve(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; 0 when everything ended well."""
    settings = settings_from(arguments)
    if settings.server.workers > 1:
        from pyeino.cli._serve_workers import serve_workers

        return serve_workers(settings, arguments)
    chain, further = load_chains(arguments.chain, arguments.further)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve_application(settings, chain, further))


def load_chains(
    chain: str | None, further: Sequence[str]
) -> tuple[ChatChain | None, dict[str, ChatChain]]:
    """The chat chain that is named, if any, and the further ones."""
    if chain is None:
        return None, further_chains(further)
    found: Any = load_object(chain)
    return as_chat_chain(found, name=chain), further_chains(further)


def further_chains(given: Sequence[str]) -> dict[str, ChatChain]:
    """The chains of `--chain name=module:attribute`, by name. Raises UsageError."""
    found: dict[str, ChatChain] = {}
    for text in given:
        name, mark, where = text.partition("=")
        if not mark or not name.isidentifier() or name in _TAKEN or name in found:
            raise UsageError(
                f"--chain {text}: expected name=module:attribute, each with a name of its own "
                f"other than {', '.join(_TAKEN)}",
                remedy="for example --chain summary=app:summary",
            )
        found[name] = as_chat_chain(load_object(where), name=where)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What a process that serves with others has of them; the caller closes the logger."""

    member: Member
    logger: StructuredLogger
    stop: StopSignal
    listener: socket.socket
    model_address: ModelAddress | None


async def serve_application(
    settings: Settings,
    chain: ChatChain | None,
    further: Mapping[str, ChatChain],
    *,
    joined: Joined | None = None,
) -> int:
    """Serve until it is asked to stop; the exit code."""
    async with build(
        settings,
        chat_chain=chain,
        further=further,
        logger=joined.logger if joined else None,
        model_address=joined.model_address if joined else None,
    ) as application:
        application.metrics.set_workers(1)
        options = server_options(settings)
        app = create_app(
            application.service,
            options=options,
            metrics=application.metrics,
            logger=application.logger,
            probes=application.probes,
            tracing=application.tracing,
            authenticator=application.authenticator,
            rate_limits=application.rate_limits,
            siblings=joined.member if joined else None,
        )
        run = functools.partial(
            run_server,
            app,
            options=options,
            on_drain=application.service.drain,
            logger=application.logger,
        )
        if joined is None:
            return await run()
        member = joined.member
        member.metrics = application.metrics
        return await run(
            stop=joined.stop, listener=joined.listener, on_ready=lambda _: member.ready()
        )


def server_options(settings: Settings) -> ServerOptions:
    """What the server needs of the settings."""
    server, limits = settings.server, settings.limits
    return ServerOptions(
        host=server.host,
        port=server.port,
        allowed_hosts=server.allowed_hosts,
        allowed_origins=server.allowed_origins,
        read_timeout=server.read_timeout,
        write_timeout=server.write_timeout,
        idle_timeout=server.idle_timeout,
        heartbeat=server.heartbeat,
        drain_delay=server.drain_delay,
        drain_timeout=server.drain_timeout,
        max_body_bytes=limits.max_body_bytes,
        max_requests=limits.max_requests,
        max_connections=limits.max_connections,
        metrics_path=settings.metrics.path if settings.metrics.enabled else None,
        metrics_token=settings.metrics.token,
        trusted_proxies=server.trusted_proxies,
        cors_origins=server.cors_origins,
        requests_per_minute=limits.requests_per_minute,
        burst=limits.burst,
        tokens_per_minute=limits.tokens_per_minute,
        default_max_tokens=settings.llm.max_tokens,
    )
