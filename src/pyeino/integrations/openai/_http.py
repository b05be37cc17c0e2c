"""Endpoint: one base URL, one pool of connections, and what happens when a call fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from pyeino.errors import AppError, DeclarationError, ExternalError, MissingDependencyError
from pyeino.integrations.openai._errors import ProviderError, error_of_status, failed, timed_out
from pyeino.integrations.openai._retry import RetryPolicy, may_retry
from pyeino.wire import SSEDecoder, SSEError, SSEEvent

try:
    import aiohttp
except ImportError as missing:
    raise MissingDependencyError("aiohttp", extra="openai") from missing

OPENAI_URL = "https://api.openai.com/v1"
_MAX_BODY = 64 * 1024 * 1024
_MAX_ERROR_BODY = 64 * 1024
_READ = 64 * 1024


class Endpoint:
    """An OpenAI-compatible endpoint.

    `base_url` is what comes before `/chat/completions`; `api_key` goes out as a bearer token and is
    never shown; `headers` go out with every call. `timeout` is in seconds: a whole answer has to
    be there within it, a streamed one may not stall for longer. Redirects are not followed and no
    proxy is taken from the environment, so the key goes nowhere else. Whoever makes the endpoint
    closes it (`async with`, or `aclose`).
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
        """Opens nothing yet. Raises DeclarationError for a URL that is not http or https."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DeclarationError(
                "the base URL of a provider cannot be used",
                expected="an http:// or https:// URL such as http://localhost:11434/v1",
                found=repr(base_url),
            )
        self.base_url = base_url.rstrip("/")
        self.retry = retry or RetryPolicy()
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._max_connections = max_connections
        self._headers = {"content-type": "application/json", **(headers or {})}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url!r})"

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
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, path: str, body: bytes, *, model: str) -> bytes:
        """POST `body` and give the whole answer; retried as the policy says.

        Raises the typed errors of `error_of_status`, ExternalError MODEL_FAILED when the provider
        cannot be reached or breaks off, InternalError TIMEOUT (504).
        """
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(self._timeout), self._call(path, body) as response:
                    if response.status == 200:
                        return await _read(response, _MAX_BODY)
                    error, delay = await self._refused(response, attempt, model)
            except (TimeoutError, aiohttp.ClientError, OSError) as cause:
                error, delay = _broken(cause), self.retry.delay(attempt, {})
            if delay is None:
                raise error
            await asyncio.sleep(delay)
            attempt += 1

    async def post_stream(self, path: str, body: bytes, *, model: str) -> AsyncIterator[SSEEvent]:
        """POST `body` and give the events of the answer; closing it closes the connection.

        Retried only as long as no event has been given.
        """
        attempt = 0
        while True:
            begun = False
            try:
                async with self._call(path, body) as response:
                    if response.status == 200:
                        async for event in self._events(response):
                            begun = True
                            yield event
                        return
                    error, delay = await self._refused(response, attempt, model)
            except (TimeoutError, aiohttp.ClientError, OSError) as cause:
                error = _broken(cause)
                delay = None if begun else self.retry.delay(attempt, {})
            if delay is None:
                raise error
            await asyncio.sleep(delay)
            attempt += 1

    @asynccontextmanager
    async def _call(self, path: str, body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        response = await self._open().post(
            self.base_url + path, data=body, headers=self._headers, allow_redirects=False
        )
        finished = False
        try:
            yield response
            finished = response.content.at_eof()
        finally:
            # a connection with an unread answer cannot be used again
            response.release() if finished else response.close()

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[SSEEvent]:
        kind = response.headers.get("content-type", "")
        if not kind.startswith("text/event-stream"):
            raise failed(
                "The model provider did not stream",
                ProviderError(
                    f"expected text/event-stream, found {kind!r}",
                    status=response.status,
                    body=(await _read(response, _MAX_ERROR_BODY)).decode("utf-8", "replace"),
                ),
            )
        decoder = SSEDecoder()
        try:
            while chunk := await response.content.read(_READ):
                for event in decoder.feed(chunk):
                    yield event
        except SSEError as cause:
            raise failed("The model provider's stream cannot be read", cause) from cause

    async def _refused(
        self, response: aiohttp.ClientResponse, attempt: int, model: str
    ) -> tuple[AppError, float | None]:
        body = await _read(response, _MAX_ERROR_BODY)
        headers = {name.lower(): value for name, value in response.headers.items()}
        error = error_of_status(response.status, body, headers, model=model)
        if not may_retry(response.status, headers):
            return error, None
        return error, self.retry.delay(attempt, headers)

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ExternalError("MODEL_CLOSED", "The connection to the model provider is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._max_connections),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._connect_timeout, sock_read=self._timeout
                ),
                trust_env=False,
                auto_decompress=True,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _broken(cause: Exception) -> AppError:
    # aiohttp's own time-outs are TimeoutErrors too; so is that of `asyncio.timeout`
    if isinstance(cause, TimeoutError):
        return timed_out(cause)
    if isinstance(cause, aiohttp.ClientConnectorError):
        return failed("The model provider cannot be reached", cause)
    return failed("The connection to the model provider broke", cause)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """At most `limit` bytes of an answer; a success that is longer is refused."""
    parts: list[bytes] = []
    size = 0
    while chunk := await response.content.read(_READ):
        size += len(chunk)
        if size > limit:
            if response.status == 200:
                cause = ProviderError(f"the answer is longer than {limit} bytes", status=200)
                raise failed("The model provider's answer is too large", cause)
            break
        parts.append(chunk)
    return b"".join(parts)
