"""Middleware: one metric, one duration and one log line for each request."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pyeino.monitoring import Logger, Metrics
from pyeino.server._asgi import RECORD_KEY, STARTS, ClientGoneError, RequestRecord

CLIENT_CLOSED = 499
"""The status that metrics and logs show when the client left before any answer."""

_SWITCHED = 101
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observe:
    """Counts requests by method, route template and status, and writes the access log.

    Paths that match no route are one value, "unmatched", so that a scanner cannot fill the
    metrics. Requests in `quiet` (probes, scrapes) are logged at debug.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, logger: Logger, quiet: frozenset[str]
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._logger = logger
        self._quiet = quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a client that has left is no error."""
        record = scope[RECORD_KEY] = RequestRecord()
        began = time.perf_counter()

        async def watched(message: Message) -> None:
            if message["type"] in STARTS:
                record.started, record.status = True, message.get("status", 101)
            elif not message.get("more_body", False):
                record.complete = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientGoneError:
            record.client_gone = True
        finally:
            method = scope.get("method", "GET")
            record.method = method if method in _METHODS else "OTHER"
            self._finish(record, time.perf_counter() - began)

    def _finish(self, record: RequestRecord, duration: float) -> None:
        quiet = record.endpoint in self._quiet
        report(record, duration, metrics=self._metrics, logger=self._logger, quiet=quiet)


def report(
    record: RequestRecord,
    duration: float,
    *,
    metrics: Metrics,
    logger: Logger,
    quiet: bool = False,
) -> None:
    """Count and log one request that has ended.

    A WebSocket that was opened is no request and has no duration; what comes over it is.
    """
    status = record.status or (CLIENT_CLOSED if record.client_gone else 500)
    metrics.inc_requests(record.method, record.endpoint, status)
    if status != _SWITCHED:
        metrics.observe_request_duration(record.method, record.endpoint, duration)
    error_type = record.error_type
    if not error_type and status >= 400:
        error_type = "client_closed" if record.client_gone else "internal"
    if error_type:
        metrics.inc_request_errors(record.method, record.endpoint, error_type)
    fields = {
        "method": record.method,
        "endpoint": record.endpoint,
        "status": status,
        "duration": round(duration, 6),
    }
    if record.error_code:
        fields["code"] = record.error_code
    if record.client_gone:
        fields["client_gone"] = True
    log = logger.debug if quiet else logger.info
    log("Request served", **fields)
