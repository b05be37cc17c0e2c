"""AiohttpClient: the client of a load test, on connections that are kept."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from types import TracebackType
from typing import Self

import msgspec

from pyeino.errors import MissingDependencyError
from pyeino.loadtest._client import LoadReply, LoadRequest
from pyeino.loadtest._config import LoadTestConfig, LoadTestConfigError
from pyeino.loadtest._events import StreamReader
from pyeino.wire import SSEError

try:
    import aiohttp
except ImportError as missing:
    raise MissingDependencyError("aiohttp", extra="loadtest") from missing

_LARGEST_PROBLEM = 65_536
_CODE = re.compile(r"[A-Za-z][A-Za-z_]{1,60}")


class _Error(msgspec.Struct, frozen=True, kw_only=True):
    code: str | None = None


class _Problem(msgspec.Struct, frozen=True, kw_only=True):
    """As much of an error body as names it: the native form and OpenAI's have it in one place."""

    error: _Error


_problems = msgspec.json.Decoder(_Problem)

# The first that fits counts: subclasses come before their bases.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorCertificateError, "tls"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientConnectorError, "connect"),
    (TimeoutError, "timeout"),
    (aiohttp.ServerDisconnectedError, "disconnected"),
    (aiohttp.ClientPayloadError, "disconnected"),
    (aiohttp.ClientOSError, "disconnected"),
    (aiohttp.ClientResponseError, "bad_response"),
    (SSEError, "bad_response"),
    (aiohttp.ClientError, "client"),
    (OSError, "disconnected"),
)
_FAULTS: tuple[type[Exception], ...] = tuple(kind for kind, _ in _WORDS)


class AiohttpClient:
    """Sends the requests of a load test to its target and nowhere else.

    One connection for each worker, kept between requests. Redirects are not followed, no proxy is
    taken from the environment, cookies are not kept. Use it with `async with`, which raises
    LoadTestConfigError when `ca_file` cannot be read.
    """

    def __init__(self, config: LoadTestConfig) -> None:
        self._config = config
        self._url = config.target
        self._timeout = config.timeout
        self._headers = _headers_of(config)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        trust: ssl.SSLContext | bool = True
        if self._url.startswith("https:"):
            trust = await asyncio.to_thread(_trust, self._config)
        connector = aiohttp.TCPConnector(
            limit=self._config.concurrency, keepalive_timeout=60.0, ssl=trust
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def do(self, request: LoadRequest) -> LoadReply:
        """Send one request and read the whole answer; a fault of the wire is a reply, too."""
        session = self._session
        if session is None:
            raise RuntimeError("AiohttpClient is used before `async with` has opened it")
        status: int | None = None
        try:
            async with (
                asyncio.timeout(self._timeout),
                session.request(
                    self._config.method,
                    self._url,
                    data=request.body or None,
                    allow_redirects=False,
                ) as response,
            ):
                status = response.status
                if not 200 <= status < 300:
                    return LoadReply(status=status, error=await _refusal(response))
                if response.content_type == "text/event-stream":
                    return await _stream(response)
                await response.read()
                return LoadReply(status=status)
        except _FAULTS as fault:
            return LoadReply(status=status, error=_word(fault))


async def _stream(response: aiohttp.ClientResponse) -> LoadReply:
    reader = StreamReader()
    async for data in response.content.iter_any():
        reader.feed(data, at=time.perf_counter_ns())
    reader.end()
    return LoadReply(status=response.status, error=reader.error, chunks=reader.chunks)


async def _refusal(response: aiohttp.ClientResponse) -> str:
    """`http_429`, and the code of the error where the body has one."""
    word = f"http_{response.status}"
    body = await response.read()
    if len(body) > _LARGEST_PROBLEM:
        return word
    try:
        code = _problems.decode(body).error.code or ""
    except (msgspec.DecodeError, msgspec.ValidationError):
        return word
    return f"{word} {code}" if _CODE.fullmatch(code) else word


def _word(fault: Exception) -> str:
    return next(word for kind, word in _WORDS if isinstance(fault, kind))


def _headers_of(config: LoadTestConfig) -> dict[str, str]:
    sent = {"user-agent": "pyeino-loadtest", "accept": "*/*"}
    if config.bodies:
        sent["content-type"] = "application/json"
    if config.api_key:
        sent["authorization"] = f"Bearer {config.api_key}"
    return sent | {name.lower(): value for name, value in config.headers.items()}


def _trust(config: LoadTestConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
    except OSError as error:  # SSLError is one
        problem = f"ca_file: {config.ca_file} holds no certificates that can be read: {error}"
        raise LoadTestConfigError((problem,)) from error
    if not config.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
