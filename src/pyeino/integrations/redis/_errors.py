"""Redis' errors as errors that say what to do.

    ExternalError   503 REDIS_UNREACHABLE  no connection, or none in time
                    503 REDIS_REFUSED      wrong password, or a command that this user may not use
                    503 REDIS_FAILED       the server said no: full, read-only, loading, …

`details` holds the remedy and is safe to show; the address, without its password, is in `where`.
"""

from __future__ import annotations

from pyeino.errors import AppError, ExternalError, MissingDependencyError

try:
    from redis import exceptions as exceptions  # also for the rest of this folder
except ImportError as error:
    raise MissingDependencyError("redis", extra="redis") from error

_REFUSED = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
    exceptions.AuthenticationWrongNumberOfArgsError,
)
_UNREACHABLE = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)


def as_redis_error(error: Exception, *, where: str) -> Exception:
    """`error` as an AppError with a remedy; what does not come from Redis stays as it is."""
    if isinstance(error, AppError) or not isinstance(error, exceptions.RedisError | OSError):
        return error
    if _is_refusal(error):
        return _located(
            ExternalError(
                "REDIS_REFUSED",
                "Redis refuses this user",
                details="Check user and password in redis.url, and what the user may do.",
                cause=error,
                http_status=503,
            ),
            where,
        )
    loading = isinstance(error, exceptions.BusyLoadingError)
    if isinstance(error, _UNREACHABLE) and not loading:
        return _located(
            ExternalError(
                "REDIS_UNREACHABLE",
                "Redis cannot be reached",
                details="Start it, or check redis.url and the network; the next call tries again.",
                cause=error,
                http_status=503,
            ),
            where,
        )
    return _located(
        ExternalError(
            "REDIS_FAILED",
            "Redis could not do what was asked",
            details="See its own words in the log: it may be full, read-only or still loading.",
            cause=error,
            http_status=503,
        ),
        where,
    )


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the server refused the user; what happens while connecting comes wrapped."""
    while error is not None and not isinstance(error, _REFUSED):
        error = error.__cause__ or error.__context__
    return error is not None


def _located(error: AppError, where: str) -> AppError:
    error.where = where
    error.remedy = error.details
    error.add_note(f"redis: {where}")
    return error
