"""Routes for those who run the server: what may be changed without a restart."""

from __future__ import annotations

from typing import Literal

import msgspec

from pyeino.errors import UnauthorizedError, ValidationError
from pyeino.monitoring import AdjustableLogger, LogLevel
from pyeino.server._exchange import Exchange

LOG_LEVEL = "/api/v1/admin/log-level"


class LogLevelSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lowest level that is written to the log."""

    level: Literal["debug", "info", "warn", "error", "fatal"]


async def get_log_level(exchange: Exchange, _: None) -> None:
    """The level as it is now."""
    logger = _adjustable(exchange)
    await exchange.reply_json(_shown(logger))


async def put_log_level(exchange: Exchange, body: LogLevelSetting) -> None:
    """Another level, from the next line on, until the server ends; in all of its processes."""
    logger = _adjustable(exchange)
    before, level = logger.level, LogLevel.parse(body.level)
    if exchange.backend.siblings is not None:
        await exchange.backend.siblings.set_log_level(level)
    logger.level = level
    # At the graver of both, so that whoever reads the log sees why it grew silent or loud.
    told = {LogLevel.DEBUG: logger.debug, LogLevel.INFO: logger.info, LogLevel.WARN: logger.warn}
    log = told.get(max(before, level), logger.error)
    log("Log level changed", before=before.name.lower(), now=level.name.lower())
    await exchange.reply_json(_shown(logger))


def _shown(logger: AdjustableLogger) -> dict[str, str]:
    return {"level": logger.level.name.lower()}


def _adjustable(exchange: Exchange) -> AdjustableLogger:
    """The logger, when the caller may set it and it can be set."""
    backend = exchange.backend
    # With auth the route's scope has let this caller in.
    if backend.doorkeeper.authenticator is None and not backend.options.loopback:
        raise UnauthorizedError(
            "ADMIN_NEEDS_AUTH",
            "Without auth this is only for servers that listen on loopback",
            http_status=403,
        )
    logger = backend.logger
    if not isinstance(logger, AdjustableLogger):
        raise ValidationError(
            "LOG_LEVEL_FIXED",
            "The logger of this server has no level that could be set",
            http_status=409,
        )
    return logger
