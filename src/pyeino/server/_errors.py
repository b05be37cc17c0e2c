"""Errors to responses: the envelope that fits the path, and the headers that say when to retry."""

from __future__ import annotations

import math

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from pyeino.errors import AppError, ErrorType, InternalError, as_app_error
from pyeino.monitoring import Logger, request_context
from pyeino.server._asgi import (
    ClientGoneError,
    RequestRecord,
    abort_connection,
    local_path,
    record_of,
    refuse_socket,
    send_reply,
)
from pyeino.wire import PROBLEM_JSON, openai_error_from, problem_from

DEFAULT_RETRY_AFTER = 1.0
_WAIT_AND_RETRY = frozenset({429, 503})
_CLIENT_WOULD_RETRY = frozenset({408, 409, 429})
_RETRY_MAY_HELP = frozenset({408, 429, 502, 503, 504})
_CLOSING = frozenset({408, 413, 431})
_LONGEST_HEADER = 200
_QUOTED = str.maketrans('"\\', "'/")

_encode = msgspec.json.Encoder(enc_hook=str).encode


def speaks_openai(path: str) -> bool:
    """True under /v1, where errors are OpenAI's object."""
    return path == "/v1" or path.startswith("/v1/")


def error_body(error: AppError, *, path: str) -> bytes:
    """The JSON of `error` in the envelope that belongs to `path`."""
    if speaks_openai(path):
        return _encode(openai_error_from(error))
    return _encode(
        problem_from(error, instance=path, request_id=request_context().request_id or None)
    )


def error_headers(error: AppError, *, path: str) -> list[tuple[bytes, bytes]]:
    """Content type, and what tells a client whether and when to try again.

    429 and 503 always carry retry-after (whole seconds, rounded up) and retry-after-ms. Errors
    that a client of OpenAI's API would try again although it cannot help carry
    x-should-retry: false. 401, and 403 for want of a scope, carry www-authenticate.
    """
    media = b"application/json" if speaks_openai(path) else PROBLEM_JSON.encode()
    headers = [(b"content-type", media)]
    if error.http_status in _WAIT_AND_RETRY:
        seconds = retry_after_of(error)
        headers.append((b"retry-after", b"%d" % math.ceil(seconds)))
        headers.append((b"retry-after-ms", b"%d" % math.ceil(seconds * 1000)))
    if not may_help_to_retry(error):
        headers.append((b"x-should-retry", b"false"))
    challenge = _challenge_of(error)
    if challenge is not None:
        headers.append((b"www-authenticate", challenge))
    allow = error.metadata.get("allow")
    if error.http_status == 405 and isinstance(allow, str):
        headers.append((b"allow", _quotable(allow)))
    if error.http_status in _CLOSING:
        headers.append((b"connection", b"close"))
    return headers


def _challenge_of(error: AppError) -> bytes | None:
    """What WWW-Authenticate says (RFC 6750): how to sign in, or what was wrong with the token."""
    if error.http_status == 401:
        if error.code == "API_KEY_REQUIRED":
            return b'Bearer realm="pyeino"'
        text = _quotable(error.message)
        return b'Bearer realm="pyeino", error="invalid_token", error_description="' + text + b'"'
    if error.http_status == 403 and error.code == "INSUFFICIENT_SCOPE":
        scope = _quotable(str(error.metadata.get("scope", "")))
        return b'Bearer realm="pyeino", error="insufficient_scope", scope="' + scope + b'"'
    return None


def _quotable(text: str) -> bytes:
    """`text` inside a header: a chain may raise errors with any text, and none ends a header."""
    plain = text[:_LONGEST_HEADER].translate(_QUOTED)
    return "".join(one if one.isprintable() else " " for one in plain).encode("ascii", "replace")


def retry_after_of(error: AppError) -> float:
    """Seconds after which to try again, from the error's metadata."""
    value = error.metadata.get("retry_after")
    if isinstance(value, int | float) and math.isfinite(value) and value > 0:
        return float(value)
    return DEFAULT_RETRY_AFTER


def may_help_to_retry(error: AppError) -> bool:
    """False where a client would try again and get the same answer.

    `metadata["retryable"]` decides when it is there. Otherwise a 409 and our own 500 stay what
    they are; time-outs, limits and failures of others may pass.
    """
    status = error.http_status
    if status < 500 and status not in _CLIENT_WOULD_RETRY:
        return True  # nobody retries these: nothing to say
    retryable = error.metadata.get("retryable")
    if isinstance(retryable, bool):
        return retryable
    return status in _RETRY_MAY_HELP


def run_cancelled() -> AppError:
    """The answer to a run that somebody else cancelled; trying again is up to the caller."""
    return InternalError("RUN_CANCELLED", "The run was cancelled", metadata={"retryable": False})


def note_error(scope: Scope, error: AppError, logger: Logger) -> None:
    """Remember `error` for metrics; log what is our own fault whole, with its cause."""
    note_failure(record_of(scope), error, logger)


def note_failure(record: RequestRecord, error: AppError, logger: Logger) -> None:
    """`note_error` for a request whose record is at hand."""
    record.error_type = str(error.type)
    record.error_code = error.code
    if error.type is ErrorType.INTERNAL and error.http_status == 500:
        logger.error(
            "Request failed", code=error.code, endpoint=record.endpoint, error=error.cause or error
        )


class ErrorBoundary:
    """Turns what the routes and guards raise into a response; the one place that does.

    What is raised before a WebSocket is open answers its handshake.

    An error after the response has begun cannot become one: it is logged and the connection cut,
    so that nobody takes half an answer for a whole one.
    """

    def __init__(self, app: ASGIApp, *, logger: Logger) -> None:
        self._app = app
        self._logger = logger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self._app(scope, receive, send)
        except ClientGoneError:
            raise
        except Exception as raised:  # noqa: BLE001 (the boundary: all become an answer, none is lost)
            await self._answer(raised, scope, send)

    async def _answer(self, raised: Exception, scope: Scope, send: Send) -> None:
        error = as_app_error(raised)
        note_error(scope, error, self._logger)
        if record_of(scope).started:
            self._logger.error("Response broken off", error=raised)
            abort_connection(scope)
            raise ClientGoneError("the response could not be finished") from raised
        path = local_path(scope)
        body = error_body(error, path=path)
        headers = [*error_headers(error, path=path), (b"content-length", b"%d" % len(body))]
        status = error.http_status
        if scope["type"] == "websocket":
            await refuse_socket(scope, send, status=status, headers=headers, body=body)
            return
        await send_reply(send, status=status, headers=headers, body=body)
