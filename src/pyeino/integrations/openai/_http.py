"""Endpoint: one base URL, one pool of connections, and what happens when a call fails."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from pyeino.errors import AppError, InternalError, MissingDependencyError
from pyeino.integrations.openai._address import (
    checked_headers,
    checked_positive,
    checked_url,
    hider,
)
from pyeino.integrations.openai._errors import (
    ProviderError,
    error_of_status,
    failed,
    timed_out,
    told_of,
)
from pyeino.integrations.openai._retry import RetryPolicy, may_retry
from pyeino.monitoring import request_context
from pyeino.wire import SSEDecoder, SSEError, SSEEvent

try:
    import aiohttp
except ImportError as missing:
    raise MissingDependencyError("aiohttp", extra="openai") from missing

OPENAI_URL = "https://api.openai.com/v1"
DONE = "[DONE]"
_MAX_BODY = 64 * 1024 * 1024
_MAX_ERROR_BODY = 64 * 1024
_LINGER = 0.5  # seconds for the end of an answer to follow its [DONE]
_ERROR_PATIENCE = 5.0  # seconds for the body of an error
_LOOK = 1.0  # seconds between two looks at a connection that is silent
_FAULTS = (TimeoutError, aiohttp.ClientError, OSError)
_LASTING = (aiohttp.InvalidURL, aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch)


class Endpoint:
    """An OpenAI-compatible endpoint.

    `base_url` is what comes before `/chat/completions`; `api_key` goes out as a bearer token and is
    never shown; `headers` go out with every call and win over our own. `timeout` is in seconds and
    for one try: a whole answer has to be there within it, a streamed one may not stay silent for
    longer, neither before its first event nor between two. A bound on the whole is the caller's
    (`asyncio.timeout`): a cancel closes the connection wherever it arrives. Redirects are not
    followed and no proxy is taken from the environment, so the key goes nowhere else. More calls
    than `max_connections` wait for one another. Whoever makes the endpoint closes it (`async
    with`, or `aclose`).
    """

    def __init__(
        self,
        base_url: str = OPENAI_URL,
        *,
        api_key: str = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        connect_timeout: float = 10.0,
        max_connections: int = 100,
        retry: RetryPolicy | None = None,
    ) -> None:
        """Opens nothing yet. Raises DeclarationError for a URL, key or number of no use."""
        checked_positive(
            timeout=timeout, connect_timeout=connect_timeout, max_connections=max_connections
        )
        self.base_url = checked_url(base_url)
        self.retry = retry or RetryPolicy()
        self.hide = hider(api_key, headers)
        self._headers = checked_headers(api_key, headers)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._session: aiohttp.ClientSession | None = None
        # aiohttp's own limit cancels those who wait for a connection when the session is closed
        self._places = asyncio.Semaphore(max_connections)
        self._answers: set[aiohttp.ClientResponse] = set()
        self._closed = asyncio.Event()

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url!r})"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the endpoint."""
        parts = urlsplit(self.base_url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; calls under way fail. Closing again does nothing."""
        self._closed.set()
        for response in tuple(self._answers):
            response.close()  # tells its reader, which closing the session does not
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, path: str, body: bytes, *, model: str) -> bytes:
        """POST `body` and give the whole answer; retried as the policy says.

        Raises the typed errors of `error_of_status`, ExternalError MODEL_FAILED when the provider
        cannot be reached or breaks off, InternalError TIMEOUT (504), MODEL_CLOSED (503).
        """
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(self._timeout), self._call(path, body) as response:
                    if response.status == 200:
                        return await self._whole(response)
                    error, delay = await self._refused(response, attempt, model)
            except _FAULTS as fault:
                error, delay = self._broken(fault, attempt)
            await self._pause(error, delay)
            attempt += 1

    async def post_stream(
        self, path: str, body: bytes, *, model: str
    ) -> AsyncGenerator[list[SSEEvent], None]:
        """POST `body` and give the events of the answer, as many at a time as have arrived.

        Retried only as long as no event has been given; the errors are those of `post`. Closing
        it closes the connection, unless the answer is over.
        """
        attempt = 0
        while True:
            begun = False
            try:
                async with self._call(path, body) as response:
                    if response.status == 200:
                        await self._check_kind(response)
                        decoder = SSEDecoder()
                        while chunk := await _next_bytes(response, self._timeout):
                            events = self._decode(decoder, chunk)
                            if not events:
                                continue
                            begun = True
                            yield events
                            if any(event.data == DONE for event in events):
                                await _finish(response)
                                return
                        return
                    error, delay = await self._refused(response, attempt, model)
            except _FAULTS as fault:
                error, delay = self._broken(fault, attempt)
            await self._pause(error, None if begun else delay)
            attempt += 1

    @asynccontextmanager
    async def _call(self, path: str, body: bytes) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        async with asyncio.timeout(self._timeout):
            await self._places.acquire()
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._open().post(
                    self.base_url + path,
                    data=body,
                    headers=self._traced_headers(),
                    allow_redirects=False,
                )
            self._answers.add(response)
            try:
                yield response
            finally:
                self._answers.discard(response)
                if response.content.at_eof():
                    response.release()
                else:  # a connection with an unread answer cannot be used again
                    response.close()
        finally:
            self._places.release()

    def _traced_headers(self) -> dict[str, str]:
        """The headers of one call: those of every call, and the trace that it belongs to."""
        traceparent = request_context().traceparent()
        if not traceparent:
            return self._headers
        return {"traceparent": traceparent, **self._headers}

    def _open(self) -> aiohttp.ClientSession:
        if self._closed.is_set():
            raise _closed_error()
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                # the other bounds are ours: see `_call` and `_next_bytes`
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _pause(self, error: AppError, delay: float | None) -> None:
        """Wait before the next try, or raise `error` when there is none to come."""
        if self._closed.is_set():
            raise _closed_error() from error
        if delay is None:
            raise error
        try:
            async with asyncio.timeout(delay):
                await self._closed.wait()
        except TimeoutError:
            return
        raise _closed_error() from error

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        size = 0
        while chunk := await _next_bytes(response, self._timeout):
            size += len(chunk)
            if size > _MAX_BODY:
                cause = ProviderError(f"the answer is longer than {_MAX_BODY} bytes", status=200)
                raise failed("The model provider's answer is too large", cause)
            parts.append(chunk)
        return b"".join(parts)

    async def _check_kind(self, response: aiohttp.ClientResponse) -> None:
        kind = response.headers.get("content-type", "")
        if not kind.lower().startswith("text/event-stream"):
            text = (await self._start_of(response)).decode("utf-8", "replace")
            cause = ProviderError(
                f"expected text/event-stream, found {kind!r}", status=200, body=self.hide(text)
            )
            raise failed("The model provider did not stream", cause)

    def _decode(self, decoder: SSEDecoder, chunk: bytes) -> list[SSEEvent]:
        try:
            return decoder.feed(chunk)
        except SSEError as cause:
            raise failed("The model provider's stream cannot be read", cause) from cause

    async def _refused(
        self, response: aiohttp.ClientResponse, attempt: int, model: str
    ) -> tuple[AppError, float | None]:
        """The error of an answer that is no success, and how long to wait before another try."""
        body = await self._start_of(response)
        headers = {name.lower(): value for name, value in response.headers.items()}
        told = told_of(body)
        shown = self.hide(body.decode("utf-8", "replace"))
        error = error_of_status(response.status, told, model=model, headers=headers, shown=shown)
        if not may_retry(response.status, headers, told):
            return error, None
        return error, self.retry.delay(attempt, headers)

    async def _start_of(self, response: aiohttp.ClientResponse) -> bytes:
        """As much of an error's body as came and is worth reading; the status counts without it."""
        body = bytearray()
        try:
            async with asyncio.timeout(min(_ERROR_PATIENCE, self._timeout / 2)):
                while len(body) < _MAX_ERROR_BODY and (chunk := await _next_bytes(response)):
                    body += chunk
        except _FAULTS as fault:
            body += f" (broken off: {type(fault).__name__})".encode()
        return bytes(body[:_MAX_ERROR_BODY])

    def _broken(self, fault: Exception, attempt: int) -> tuple[AppError, float | None]:
        """The error of a call without an answer, and how long to wait before another try."""
        delay = None if isinstance(fault, _LASTING) else self.retry.delay(attempt, {})
        # aiohttp's own time-outs are TimeoutErrors too; so is that of `asyncio.timeout`
        if isinstance(fault, TimeoutError):
            return timed_out(fault), delay
        if isinstance(fault, aiohttp.ClientConnectorError):
            return failed("The model provider cannot be reached", fault), delay
        cause: Exception = fault
        if isinstance(fault, aiohttp.ClientResponseError):
            # its repr holds the headers that were sent, and so the key
            cause = ProviderError(self.hide(f"{type(fault).__name__}: {fault.message}"))
        return failed("The connection to the model provider broke", cause), delay


async def _next_bytes(response: aiohttp.ClientResponse, patience: float = math.inf) -> bytes:
    """The next bytes of an answer, b"" at its end; TimeoutError after `patience` s of silence.

    aiohttp never tells a reader that the chunked encoding broke when the break came in a packet
    of its own, and its time-out is off by then: so the bound is ours, and so is the look whether
    there still is a connection.
    """
    content = response.content
    chunk = content.read_nowait()
    if chunk or content.at_eof():
        return chunk
    while True:
        step = min(patience, _LOOK)
        try:
            async with asyncio.timeout(step):
                return await content.readany()
        except TimeoutError:
            patience -= step
            if patience <= 0:
                raise
        if response.connection is None or response.connection.transport is None:
            raise aiohttp.ClientPayloadError("the connection was lost in the middle of an answer")


async def _finish(response: aiohttp.ClientResponse) -> None:
    """Read what follows [DONE], so that the connection can serve the next call."""
    try:
        async with asyncio.timeout(_LINGER):
            while await _next_bytes(response):
                pass
    except _FAULTS:
        response.close()  # the answer is whole all the same


def _closed_error() -> InternalError:
    return InternalError(
        "MODEL_CLOSED", "The connection to the model provider is closed", http_status=503
    )
