"""The web pages and what they load: a few files of the package, known by name, held in memory."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from importlib import resources

from pyeino.errors import NotFoundError
from pyeino.server._asgi import header
from pyeino.server._exchange import Exchange, Handler

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One file: its bytes, its media type and the tag that changes with its bytes."""

    body: bytes
    media: bytes
    etag: str


class Pages:
    """The files of the package folder `web`, read once, off the event loop, when first asked for.

    Files of a type that is not listed here are not served.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._files: dict[str, Page] | None = None

    async def get(self, name: str) -> Page | None:
        """The file `name`; None when there is none."""
        if self._files is None:
            async with self._lock:
                if self._files is None:
                    self._files = await asyncio.to_thread(_load)
        return self._files.get(name)


def page_handler(pages: Pages, name: str) -> Handler:
    """A handler that answers the file `name`."""

    async def page(exchange: Exchange, _: None) -> None:
        await _reply(exchange, await pages.get(name))

    return page


def static_handler(pages: Pages) -> Handler:
    """A handler that answers the file that the path names."""

    async def static(exchange: Exchange, _: None) -> None:
        await _reply(exchange, await pages.get(exchange.path_parameters["name"]))

    return static


def _load() -> dict[str, Page]:
    folder = resources.files("pyeino.server").joinpath("web")
    if not folder.is_dir():
        return {}
    pages: dict[str, Page] = {}
    for entry in folder.iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        media = _TYPES.get(suffix)
        if media is None or not entry.is_file():
            continue
        body = entry.read_bytes()
        digest = hashlib.sha256(body).hexdigest()[:32]
        pages[entry.name] = Page(body=body, media=media.encode(), etag=f'"{digest}"')
    return pages


async def _reply(exchange: Exchange, page: Page | None) -> None:
    if page is None:
        raise NotFoundError("FILE_NOT_FOUND", "There is no such file")
    headers = [(b"etag", page.etag.encode()), (b"cache-control", b"no-cache")]
    if page.etag in _tags(header(exchange.scope, b"if-none-match")):
        await exchange.send({"type": "http.response.start", "status": 304, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    await exchange.reply(page.body, media=page.media, headers=headers)


def _tags(value: str | None) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in (value or "").split(",")}
