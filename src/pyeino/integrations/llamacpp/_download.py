"""Downloads over HTTP that go on where they stopped."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyeino.errors import ExternalError, ValidationError
from pyeino.integrations.llamacpp._place import Progress, check_space, disk_full, folder_errors

ATTEMPTS = 5
"""Attempts in a row that bring nothing before it is given up."""

FIRST_PAUSE_SECONDS = 0.5
_TIMEOUT_SECONDS = 30.0
_BLOCK = 256 * 1024
_RETRIED = {408, 425, 429, 500, 502, 503, 504}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Started:
    """What is known about a part: whose it is, and the validator that says if it still fits."""

    url: str
    validator: str | None
    total: int | None


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to something that anybody may change on the way."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        allowed = ("https",) if urlsplit(req.full_url).scheme == "https" else ("https", "http")
        if urlsplit(newurl).scheme not in allowed:
            raise ExternalError(
                "DOWNLOAD_FAILED",
                f"{shown(req.full_url)} redirects to {shown(newurl)}, which is not secure; "
                "download it by hand if you trust it",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_url(url: str) -> None:
    """Raise ValidationError INVALID_URL unless `url` is a whole http or https address."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValidationError(
            "INVALID_URL", f"Expected an http or https address, found {shown(url)}"
        )


def shown(url: str) -> str:
    """`url` without user, password and query, which may be secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def download(url: str, part: Path, on_progress: Progress) -> None:
    """Fetch `url` into `part`, going on where an earlier attempt or an earlier process stopped.

    Whether the rest still belongs to what is there is left to the server (If-Range with its
    ETag or date); without a validator, or when it has changed, it begins anew. Blocks.
    Raises ExternalError DOWNLOAD_FAILED, InternalError DISK_FULL.
    """
    fruitless = 0
    while True:
        before = _size(part)
        try:
            _attempt(url, part, on_progress)
        except _Interrupted as error:
            fruitless = 0 if _size(part) > before else fruitless + 1
            if fruitless >= ATTEMPTS:
                raise ExternalError(
                    "DOWNLOAD_FAILED",
                    f"{shown(url)} could not be fetched: {error}; {_size(part)} bytes are kept, "
                    "the next pull goes on from there",
                    cause=error,
                ) from error
            time.sleep(FIRST_PAUSE_SECONDS * 2**fruitless)
        else:
            _notes(part).unlink(missing_ok=True)
            return


class _Interrupted(Exception):
    """This attempt ended early; another one may go on."""


def _attempt(url: str, part: Path, on_progress: Progress) -> None:
    started = _read_notes(part)
    offset = _size(part) if started and started.url == url and started.validator else 0
    headers = {"User-Agent": "pyeino", "Accept-Encoding": "identity"}
    if offset and started and started.validator:
        headers |= {"Range": f"bytes={offset}-", "If-Range": started.validator}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - check_url has seen it
    opener = urllib.request.build_opener(_NoDowngrade())
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
            _receive(response, url, part, offset, on_progress)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
                raise _Interrupted("the server has less than was fetched before") from error
            if error.code in _RETRIED:
                raise _Interrupted(f"the server answered {error.code}") from error
        raise ExternalError(
            "DOWNLOAD_FAILED",
            f"{shown(url)} cannot be fetched: the server answered {error.code}; check the address",
            metadata={"status": error.code},
            cause=error,
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as e:
        raise _Interrupted(str(getattr(e, "reason", None) or e or type(e).__name__)) from e


def _receive(response: Any, url: str, part: Path, offset: int, on_progress: Progress) -> None:
    resumed = response.status == http.client.PARTIAL_CONTENT
    length = response.headers.get("Content-Length")
    total = int(length) if length and length.isdigit() else None
    if resumed:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != offset:
            part.unlink(missing_ok=True)
            raise _Interrupted("the server sent another part than was asked for")
        total = int(found[3]) if found[3] != "*" else (total + offset if total else None)
    else:
        offset = 0
    folder = part.parent
    if total is not None:
        check_space(folder, total - offset)
    with folder_errors(folder, needed=total):
        file = part.open("ab" if resumed else "wb")
    with file:
        if not resumed:
            _write_notes(
                part, _Started(url=url, validator=_validator(response.headers), total=total)
            )
        on_progress(offset, total)
        while block := response.read(_BLOCK):
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise disk_full(folder, total, cause=error) from error
            offset += len(block)
            on_progress(offset, total)
    if total is not None and offset != total:
        raise _Interrupted(f"the connection ended after {offset} of {total} bytes")


def _validator(headers: Mapping[str, str]) -> str | None:
    """A strong ETag, else the date: a weak ETag does not promise the same bytes (RFC 9110)."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _notes(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _write_notes(part: Path, started: _Started) -> None:
    _notes(part).write_text(json.dumps(asdict(started)), encoding="utf-8")


def _read_notes(part: Path) -> _Started | None:
    try:
        return _Started(**json.loads(_notes(part).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError):
        return None  # no notes, or not ours: the part cannot be trusted and is begun anew
